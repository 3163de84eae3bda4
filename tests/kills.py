"""The states that a folder passes through while something is saved there.

A kill may leave any of them. They are copied by an audit hook, which Python calls before each
operation on files, whoever asks for it.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import sys

_CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_watched = []  # (folder, states, place for copies); hooks cannot be removed


def digest_of(folder):
    """A digest of all that is in a folder."""
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(folder).rglob("*")):
        content = path.read_bytes() if path.is_file() else b"/"
        digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@contextlib.contextmanager
def states_of(folder, copies):
    """Inside, copies of a folder are collected, one for each state that it is in.

    Args:
        folder: path. Of the files that are saved inside.
        copies: path. Where the copies go, in numbered folders.

    Yields:
        List of the copies' paths in their order, whole when the context ends.
    """
    _add_hook()
    states = []
    copies.mkdir(parents=True, exist_ok=True)
    _watched.append((folder, states, copies))
    try:
        yield states
    finally:
        _watched.pop()
        _copy(folder, states, copies)
    # Files that have been opened and not yet written whole.
    for state in list(states):
        hidden = [path for path in state.rglob(".*partial/*") if path.stat().st_size > 1]
        if hidden:
            cut = copies / f"{state.name}-cut"
            shutil.copytree(state, cut)
            for path in hidden:
                path = cut / path.relative_to(state)
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            states.insert(states.index(state), cut)


def _copy(folder, states, copies):
    if not folder.exists():
        return
    if states and digest_of(folder) == digest_of(states[-1]):
        return
    shutil.copytree(folder, copies / f"{len(states):03}")
    states.append(copies / f"{len(states):03}")


def _note(event, arguments):
    if not _watched or event not in _CHANGES:
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
        return
    watched = _watched.pop()  # what is opened to copy is not noted
    try:
        _copy(*watched)
    finally:
        _watched.append(watched)


def _add_hook(hooks=[]):  # noqa: B006
    if not hooks:
        hooks.append(_note)
        sys.addaudithook(_note)
