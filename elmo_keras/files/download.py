"""Downloads files over http or https into a cache, and resumes interrupted downloads."""

import contextlib
import hashlib
import http.client
import os
import pathlib
import posixpath
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import IO, Any

from elmo_keras.files.partial_download import PartialDownload, validator_of, version_of
from elmo_keras.utils.optional_module import OptionalModule

filelock = OptionalModule(
    "filelock",
    "Downloads need it, so that one process at a time fetches a file: `pip install filelock`, or "
    "download the file elsewhere and pass its path.",
)

_SCHEMES = ("http", "https")
_TIMEOUT = 60  # seconds, of one socket operation
_PAUSES = (1.0, 2.0, 4.0)  # seconds before each retry
_CHUNK = 1 << 18
_ELSEWHERE = "or download it elsewhere and pass the path of the local file."

_Report = Callable[[int, int | None], None]


class DownloadError(OSError):
    """A file could not be downloaded because of the network or the server.

    Attributes:
        received: str. The server's answer, or the reason for a missing answer.

    Example:

    ```python
    import pathlib

    from elmo_keras.files import download

    try:
        path = download.fetch("https://example.org/model/weights.hdf5")
    except download.DownloadError:
        path = pathlib.Path("weights.hdf5")
    ```
    """

    def __init__(self, message: str, received: str = "") -> None:
        super().__init__(message)
        self.received = received


class _DroppedError(Exception):
    """The connection ended too early."""


class _UnreachableError(_DroppedError):
    """No connection could be made."""


def is_address(source: object) -> bool:
    """Returns whether a source is an address for `fetch`, rather than a path.

    Args:
        source: any object.

    Returns:
        `True` for a str that starts with `http://` or `https://`, in upper or lower case.
    """
    starts = tuple(f"{scheme}://" for scheme in _SCHEMES)
    return isinstance(source, str) and source.lower().startswith(starts)


def fetch(
    address: str,
    sha256: str | None = None,
    progress: bool = True,
    cache: str = "checkpoints",
) -> pathlib.Path:
    """Returns the path of a cached copy of a file, and downloads the file if there is no copy.

    Copies are kept in `~/.keras/elmo_keras`, or in `elmo_keras` inside the folder that the
    environment variable `KERAS_HOME` names. The next call resumes an interrupted download if the
    server identifies the version of the file and supports range requests. If several processes
    need the same file, one of them downloads it and the others wait.

    Args:
        address: str. Starts with `http://` or `https://` and ends in a file name.
        sha256: str. Expected checksum of the content, 64 hexadecimal digits. A cached copy with
            another checksum is removed and downloaded again. Defaults to `None`: no check.
        progress: bool. Whether to show a progress bar if standard error is a terminal. Defaults to
            `True`.
        cache: str. Name of the folder inside the cache. Defaults to `"checkpoints"`.

    Returns:
        The path of the local copy; its last part is the name of the file.

    Raises:
        ValueError: if an argument is invalid, or if the content has another checksum.
        DownloadError: if the address cannot be reached, or does not provide the whole file.
        OSError: if the copy cannot be written.

    Example:

    ```python
    path = fetch("https://example.org/model/weights.hdf5")
    ```
    """
    name = _file_name(address)
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(
            f"`sha256` must have 64 hexadecimal digits. Received: {sha256!r}. "
            "Pass None if it is not known."
        )
    home = pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    # Two addresses with the same file name must not share a copy.
    folder = hashlib.sha256(address.encode()).hexdigest()[:16]
    path = home / "elmo_keras" / cache / folder / name
    # Before the lock, which needs a writable cache.
    if _is_finished(path, sha256):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f"{name}.lock")):
        # Another process may have finished the download meanwhile.
        if not _is_finished(path, sha256):
            path.unlink(missing_ok=True)
            _download(address, path, sha256, progress)
    return path


def _file_name(address: str) -> str:
    """Returns the last part of the address's path, as a name valid on every file system."""
    problem = "not an http or https address"
    name = ""
    if is_address(address):
        try:
            parts = urllib.parse.urlsplit(address)
            name = posixpath.basename(parts.path)
            problem = _problem(address, parts, name)
        except ValueError as error:  # from the port, or from the brackets around an IPv6 host
            problem = str(error)
    if problem:
        # A password must not appear in logs.
        shown = re.sub("//[^/]*@", "//***@", address) if isinstance(address, str) else address
        raise ValueError(
            "`address` must be like `https://host/folder/name`, percent-encoded and without a "
            f"password. Received: {shown!r} ({problem}). Correct it, {_ELSEWHERE}"
        )
    # Long names lose their beginning, because the end tells the type of the file.
    return re.sub(r'[<>:"|?*\\]', "_", name)[-200:]


def _problem(address: str, parts: urllib.parse.SplitResult, name: str) -> str:
    _ = parts.port  # raises a ValueError if it is not a number
    if not parts.hostname:
        return "no host"
    if parts.username is not None:
        return "a user or a password"
    if name in ("", ".", ".."):
        return "no file name at its end"
    # Checks the whole address, because `urlsplit` drops tabs and line breaks.
    if re.search(r"[^!-~]", address):
        return "spaces or characters outside of ASCII"
    return ""


def _is_finished(path: pathlib.Path, sha256: str | None) -> bool:
    return path.is_file() and (sha256 is None or _checksum(path) == sha256.lower())


def _checksum(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(address: str, path: pathlib.Path, sha256: str | None, progress: bool) -> None:
    part = PartialDownload(path)
    with _reporting(path.name, progress) as report:
        _receive_persistently(address, part, report)
    received = sha256 and _checksum(part.path)
    if sha256 and received != sha256.lower():
        part.discard()
        raise ValueError(
            f"The content of {address} must have the sha256 {sha256.lower()}. Received: "
            f"sha256={received}. The copy is removed. Call again if the download was damaged; if "
            "the file has another version, check it and pass its checksum."
        )
    part.finish(path)


def _receive_persistently(address: str, part: PartialDownload, report: _Report) -> None:
    for attempt, pause in enumerate((0.0, *_PAUSES)):
        time.sleep(pause)
        try:
            return _receive(address, part, report)
        except _DroppedError as error:
            problem = error
        # No retry if the first attempt finds no connection: the user is probably offline.
        if isinstance(problem, _UnreachableError) and attempt == 0:
            break
    size, _ = part.kept()
    kept = f" The first {size} bytes are kept: the next call resumes there." if size else ""
    raise DownloadError(
        f"{address} must be reachable until the whole file is received. Received: {problem}. "
        f"Connect to the network and call again, {_ELSEWHERE}{kept}",
        str(problem),
    ) from problem


def _receive(address: str, part: PartialDownload, report: _Report) -> None:
    """Requests the missing bytes of a partial download once, and appends them."""
    with contextlib.ExitStack() as stack:
        size, version = part.kept()
        response = stack.enter_context(_open(address, size, version))
        if size and response.status != 200 and not _continues(response, size, version):
            response.close()
            size = 0
            response = stack.enter_context(_open(address))
        if response.status == 200:
            size = 0
            total = response.length
            part.begin(version_of(response.headers, total))
        elif size:
            total = _content_range(response)[1]
            if total is None and response.length is not None:
                total = size + response.length
        else:
            raise _refused(address, response.status, response.reason)
        with part.path.open("ab") as file:
            # Not until the end of the stream: some servers keep the connection open.
            while total is None or size < total:
                chunk = _read(response, _CHUNK if total is None else min(_CHUNK, total - size))
                if not chunk:
                    break
                file.write(chunk)
                size += len(chunk)
                report(size, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and size < total:
        raise _DroppedError(f"{size} of {total} bytes")


def _read(response: Any, size: int) -> bytes:
    try:
        # `read` would wait for all `size` bytes and lose them when the connection breaks.
        return response.read1(size)
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(f"a broken connection ({error!r})") from error


def _continues(response: Any, size: int, version: dict[str, str]) -> bool:
    """Returns whether a response starts at byte `size` of the same version."""
    start, total = _content_range(response)
    if response.status != 206 or start != size:
        return False
    # Some servers ignore `If-Range` and send the rest of another version.
    received = version_of(response.headers, total)
    return all(received[key] == version[key] for key in received.keys() & version.keys())


def _content_range(response: Any) -> tuple[int | None, int | None]:
    """Returns the position of the response's first byte in the file, and the file's size."""
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", header.strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects from http or https to https, and from http to http."""

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # The new address is invalid; urllib leaves the connection open.
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in (req.type, "https"):
            msg = f"{msg}, a redirect from {req.type} to {newurl}, which is not followed"
            raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(address: str, size: int = 0, version: dict[str, str] | None = None) -> Any:
    """Requests a file, or its bytes from `size` on if it still has the given version.

    Returns:
        An `http.client.HTTPResponse`, or an `HTTPError` with status 416.
    """
    # Only these handlers: the default opener also opens `file:` and `ftp:` addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    # Some servers reject urllib's default user agent.
    headers = {"User-Agent": "elmo_keras"}
    if size:
        headers |= {"Range": f"bytes={size}-", "If-Range": validator_of(version or {}) or ""}
    try:
        return opener.open(urllib.request.Request(address, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if size and error.code == 416:
            return error
        error.close()  # It holds the open connection.
        raise _refused(address, error.code, error.reason) from error
    except (urllib.error.URLError, http.client.InvalidURL, ValueError) as error:
        raise _UnreachableError(f"no connection ({getattr(error, 'reason', error)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(f"a broken connection ({error!r})") from error


def _refused(address: str, status: int, reason: str) -> DownloadError:
    answer = " ".join(f"HTTP {status} {reason}".split())  # urllib's reasons may have line breaks.
    return DownloadError(
        f"{address} must be reachable. Received: {answer}. Check the address and call again, "
        f"{_ELSEWHERE}",
        answer,
    )


@contextlib.contextmanager
def _reporting(name: str, progress: bool) -> Iterator[_Report]:
    """Yields a function that reports the received and the total number of bytes."""
    if not (progress and sys.stderr is not None and sys.stderr.isatty()):
        yield lambda size, total: None
        return
    # Slow to import, and only needed for a download in a terminal.
    import rich.console
    import rich.progress

    columns = (
        # A file name may have brackets, which are not markup.
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=rich.console.Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda size, total: bar.update(task, completed=size, total=total)
