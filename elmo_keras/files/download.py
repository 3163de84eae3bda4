"""Fetches a file by its http or https address: once, into a cache, resuming where it broke off."""

import contextlib
import hashlib
import http.client
import json
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

from elmo_keras.utils.optional_module import OptionalModule

filelock = OptionalModule(
    "filelock",
    "A file is fetched by one process at a time: `pip install filelock`, or fetch it elsewhere and "
    "pass its path.",
)

_SCHEMES = ("http", "https")
_TIMEOUT = 60  # seconds, of one operation on a socket
_PAUSES = (1.0, 2.0, 4.0)  # seconds, before each of the retries
_CHUNK = 1 << 18
_ELSEWHERE = "or download it elsewhere and pass the path of the local file."

_Report = Callable[[int, int | None], None]


class DownloadError(OSError):
    """A file could not be downloaded, for a reason that lies with the network or the server.

    The message names the address and says what was received.

    Example:

    ```python
    import pathlib

    from elmo_keras.presets import download

    try:
        path = download.fetch("https://example.org/model/weights.hdf5")
    except download.DownloadError:
        path = pathlib.Path("weights.hdf5")
    ```
    """


class _Dropped(Exception):
    """The connection ended too early."""


class _Unreachable(_Dropped):
    """There was no connection at all."""


def is_address(source: object) -> bool:
    """Whether a source is an address that `fetch` takes, rather than a path.

    Args:
        source: anything.

    Returns:
        Whether it is a string that starts with `http://` or `https://`, in any case.
    """
    starts = tuple(f"{scheme}://" for scheme in _SCHEMES)
    return isinstance(source, str) and source.lower().startswith(starts)


def fetch(address: str, sha256: str | None = None, progress: bool = True) -> pathlib.Path:
    """Gives the local copy of a file, downloading it if there is none.

    Copies are kept in `~/.keras/elmo_keras/checkpoints`, or in the same place below the folder
    that the environment variable `KERAS_HOME` names. An interrupted download is resumed by the
    next call, if the server says which version of the file it sends and can send the rest of it.
    Of several processes that want the same file one downloads it, and the others wait.

    Args:
        address: str. Starts with `http://` or `https://` and ends in the name of a file.
        sha256: str. Checksum of the content, 64 hexadecimal digits. A cached copy with another
            one is removed and downloaded afresh. Defaults to `None`: any content will do.
        progress: bool. Whether to show a progress bar, on a standard error that is a terminal.

    Returns:
        The path of the local copy. It ends in the name of the file.

    Raises:
        ValueError: if an argument is invalid, or what is downloaded has another checksum.
        DownloadError: if the address cannot be reached, or does not give the whole file.

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
    # Files of one name at two addresses are two files.
    folder = hashlib.sha256(address.encode()).hexdigest()[:16]
    path = home / "elmo_keras" / "checkpoints" / folder / name
    # Before the lock, which needs a cache that can be written to.
    if _is_finished(path, sha256):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f"{name}.lock")):
        # Another process may have finished it meanwhile.
        if not _is_finished(path, sha256):
            path.unlink(missing_ok=True)
            _download(address, path, sha256, progress)
    return path


def _file_name(address: str) -> str:
    """The last part of an address' path, as a name that every file system takes."""
    problem = "an address of another kind"
    name = ""
    if is_address(address):
        try:
            parts = urllib.parse.urlsplit(address)
            name = posixpath.basename(parts.path)
            problem = _problem(address, parts, name)
        except ValueError as error:  # of the port, or of the brackets around an IPv6 host
            problem = str(error)
    if problem:
        # A password is not for logs.
        shown = re.sub("//[^/]*@", "//***@", address) if isinstance(address, str) else address
        raise ValueError(
            "`address` must be like `https://host/folder/name`, percent-encoded and without a "
            f"password. Received: {shown!r} ({problem}). Correct it, {_ELSEWHERE}"
        )
    # The beginning goes if it is too long, for the end says what kind of file it is.
    return re.sub(r'[<>:"|?*\\]', "_", name)[-200:]


def _problem(address: str, parts: urllib.parse.SplitResult, name: str) -> str:
    _ = parts.port  # raises a ValueError if it is no number
    if not parts.hostname:
        return "no host"
    if parts.username is not None:
        return "a user or a password"
    if name in ("", ".", ".."):
        return "no file name at its end"
    # Of the address itself: `urlsplit` leaves tabs and ends of lines out.
    if re.search(r"[^!-~]", address):
        return "spaces or characters outside of ASCII"
    return ""


def _is_finished(path: pathlib.Path, sha256: str | None) -> bool:
    return path.is_file() and (sha256 is None or _checksum(path) == sha256.lower())


def _checksum(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Part:
    """The file that a download grows in, and beside it what is known of the version it is of.

    Args:
        path: the file that it becomes.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path.with_name(f"{path.name}.part")
        self._sidecar = path.with_name(f"{path.name}.part.json")

    def begin(self, version: dict[str, str]) -> None:
        """Starts afresh."""
        # In this order: bytes of one version never lie beside the description of another.
        self.discard()
        self._sidecar.write_text(json.dumps(version), "utf-8")

    def kept(self) -> tuple[int, dict[str, str]]:
        """How many bytes can be continued, and of which version they are."""
        try:
            size = self.path.stat().st_size
            version = json.loads(self._sidecar.read_text("utf-8"))
        except (OSError, ValueError):
            return 0, {}
        if not isinstance(version, dict) or not all(isinstance(v, str) for v in version.values()):
            return 0, {}
        # Without a validator the server cannot be asked for the rest of the same version.
        return (size, version) if _validator(version) else (0, {})

    def finish(self, path: pathlib.Path) -> None:
        """Puts the file in its place, all at once."""
        os.replace(self.path, path)
        self.discard()

    def discard(self) -> None:
        """Removes all there is."""
        self.path.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)


def _version(headers: http.client.HTTPMessage, length: int | None) -> dict[str, str]:
    """What a response says of the version of the file that it brings."""
    version = {
        "etag": headers.get("ETag"),
        "last_modified": headers.get("Last-Modified"),
        "length": None if length is None else str(length),
    }
    return {key: value for key, value in version.items() if value}


def _validator(version: dict[str, str]) -> str | None:
    """What `If-Range` may hold. A weak ETag may not: it does not stand for the same bytes."""
    etag = version.get("etag", "W/")
    return version.get("last_modified") if etag.startswith("W/") else etag


def _download(address: str, path: pathlib.Path, sha256: str | None, progress: bool) -> None:
    part = _Part(path)
    with _reporting(path.name, progress) as report:
        _receive_persistently(address, part, report)
    received = sha256 and _checksum(part.path)
    if sha256 and received != sha256.lower():
        part.discard()
        raise ValueError(
            f"The content of {address} must have the sha256 {sha256.lower()}. Received: "
            f"sha256={received}. It is removed. Call again if the download was damaged; if the "
            "file is another version, check it and pass its checksum."
        )
    part.finish(path)


def _receive_persistently(address: str, part: _Part, report: _Report) -> None:
    for attempt, pause in enumerate((0.0, *_PAUSES)):
        time.sleep(pause)
        try:
            return _receive(address, part, report)
        except _Dropped as error:
            problem = error
        # Who is offline wants to know it at once; after a dropped connection it may come back.
        if isinstance(problem, _Unreachable) and attempt == 0:
            break
    size, _ = part.kept()
    kept = f" The {size} bytes that came are kept: calling again resumes there." if size else ""
    raise DownloadError(
        f"{address} must be reachable, for as long as it takes to receive it. Received: {problem}. "
        f"Connect to the network and call again, {_ELSEWHERE}{kept}"
    ) from problem


def _receive(address: str, part: _Part, report: _Report) -> None:
    """Asks once for what is missing of a part, and appends it."""
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
            part.begin(_version(response.headers, total))
        elif size:
            total = _content_range(response)[1]
            if total is None and response.length is not None:
                total = size + response.length
        else:
            raise _refused(address, response.status, response.reason)
        with part.path.open("ab") as file:
            # Not to the end of the stream: some servers leave the connection open.
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
        raise _Dropped(f"{size} of {total} bytes")


def _read(response: http.client.HTTPResponse, size: int) -> bytes:
    try:
        # `read` would wait for all of `size`, and lose what it has when the connection breaks.
        return response.read1(size)
    except (OSError, http.client.HTTPException) as error:
        raise _Dropped(f"a broken connection ({error!r})") from error


def _continues(response: http.client.HTTPResponse, size: int, version: dict[str, str]) -> bool:
    """Whether a response is the rest of a part: from its end on, and of the same version."""
    start, total = _content_range(response)
    if response.status != 206 or start != size:
        return False
    # Some servers ignore `If-Range` and send the rest of whatever they have.
    received = _version(response.headers, total)
    return all(received[key] == version[key] for key in received.keys() & version.keys())


def _content_range(response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    """The position of a response's first byte in the file, and the size of the file."""
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", header.strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects from http or https to https, and from http to http."""

    def http_error_302(self, req, fp, code, msg, headers):
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # of the address: urllib leaves the connection open
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in (req.type, "https"):
            msg = f"{msg}, a redirect from {req.type} to {newurl}, which is not followed"
            raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(
    address: str, size: int = 0, version: dict[str, str] | None = None
) -> http.client.HTTPResponse | urllib.error.HTTPError:
    """Asks for a file, or for what it has after `size` bytes of a version."""
    # Only these handlers: the usual opener knows `file:` and `ftp:` as well.
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
    # Some servers send the default name of urllib away.
    headers = {"User-Agent": "elmo_keras"}
    if size:
        headers |= {"Range": f"bytes={size}-", "If-Range": _validator(version or {})}
    try:
        return opener.open(urllib.request.Request(address, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if size and error.code == 416:
            return error
        error.close()  # It holds the open connection.
        raise _refused(address, error.code, error.reason) from error
    except (urllib.error.URLError, http.client.InvalidURL, ValueError) as error:
        raise _Unreachable(f"no connection ({getattr(error, 'reason', error)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Dropped(f"a broken connection ({error!r})") from error


def _refused(address: str, status: int, reason: str) -> DownloadError:
    answer = " ".join(f"HTTP {status} {reason}".split())  # urllib's reasons may have many lines.
    return DownloadError(
        f"{address} must be reachable. Received: {answer}. Check the address and call again, "
        f"{_ELSEWHERE}"
    )


@contextlib.contextmanager
def _reporting(name: str, progress: bool) -> Iterator[_Report]:
    """Gives a function that shows how much there is of how much, as long as the `with` lasts."""
    if not (progress and sys.stderr is not None and sys.stderr.isatty()):
        yield lambda size, total: None
        return
    # Slow to import, and only a download in a terminal needs it.
    import rich.console
    import rich.progress

    columns = (
        # A name is a name, whatever brackets there are in it.
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=rich.console.Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda size, total: bar.update(task, completed=size, total=total)
