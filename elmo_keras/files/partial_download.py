"""Partial downloads: the bytes received so far, and the version of the file they belong to."""

import http.client
import json
import os
import pathlib


class PartialDownload:
    """A partial download, with a description of the file's version beside it.

    Args:
        path: path of the complete file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path.with_name(f"{path.name}.part")
        self._sidecar = path.with_name(f"{path.name}.part.json")

    def begin(self, version: dict[str, str]) -> None:
        """Starts a new download."""
        # In this order, so that bytes of one version never lie beside the description of another.
        self.discard()
        self._sidecar.write_text(json.dumps(version), "utf-8")

    def kept(self) -> tuple[int, dict[str, str]]:
        """Returns the number of bytes that can be resumed, and their version."""
        try:
            size = self.path.stat().st_size
            version = json.loads(self._sidecar.read_text("utf-8"))
        except (OSError, ValueError):
            return 0, {}
        if not isinstance(version, dict) or not all(isinstance(v, str) for v in version.values()):
            return 0, {}
        # Without a validator the rest of the same version cannot be requested.
        return (size, version) if validator_of(version) else (0, {})

    def finish(self, path: pathlib.Path) -> None:
        """Moves the complete file to its path."""
        os.replace(self.path, path)
        self.discard()

    def discard(self) -> None:
        """Removes both files."""
        self.path.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)


def version_of(headers: http.client.HTTPMessage, length: int | None) -> dict[str, str]:
    """Returns the version of the file in a response, from its headers."""
    version = {
        "etag": headers.get("ETag"),
        "last_modified": headers.get("Last-Modified"),
        "length": None if length is None else str(length),
    }
    return {key: value for key, value in version.items() if value}


def validator_of(version: dict[str, str]) -> str | None:
    """Returns a value for `If-Range`. A weak ETag does not qualify: it allows different bytes."""
    etag = version.get("etag", "W/")
    return version.get("last_modified") if etag.startswith("W/") else etag
