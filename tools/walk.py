"""The walk of one photo through the code, as docs/design.md draws it.

  python tools/walk.py cli PHOTO MASK OUT
  python tools/walk.py http PHOTO MASK

Prints the files that one fill visits, in the order of their first call, and counts calls from one
room (a folder of the package) to another that stands above it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

LAYERS = (
    ("cli",),
    ("lab",),
    ("server",),
    ("tasks", "batch"),
    ("video",),
    ("vision",),
    ("pipeline",),
    ("masks",),
    ("imaging",),
    ("weights",),
    ("files",),
    ("types", "errors", "registry"),
)
"""Rooms from the top to the bottom, as the contract of import-linter has them."""


class Walk:
    """What a profiler saw of freefill's own files."""

    def __init__(self, root: Path) -> None:
        self.root = f"{root}/"
        self.files: dict[str, None] = {}
        self.calls: dict[tuple[str, str], None] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Note a call from one file to another."""
        if event != "call" or frame.f_code.co_name == "<module>":
            return
        there = self._file(frame)
        if there is None:
            return
        self.files[there] = None
        back = frame.f_back
        while back is not None and self._file(back) is None:
            back = back.f_back
        here = None if back is None else self._file(back)
        if here is not None and here != there:
            self.calls[here, there] = None

    def _file(self, frame: FrameType) -> str | None:
        path = frame.f_code.co_filename
        return path[len(self.root) :] if path.startswith(self.root) else None


def layer(file: str) -> int:
    """Give the number of a file's layer, from the top."""
    room = file.split("/")[0].removesuffix(".py")
    return next((i for i, rooms in enumerate(LAYERS) if room in rooms), len(LAYERS))


def room(file: str) -> str:
    """Give the room that a file lies in: a folder of the package, or a file beside them."""
    return file.split("/")[0]


def by_command(photo: str, mask: str, out: str) -> None:
    """Fill one photo as the command line does."""
    from freefill.cli.main import app

    app(["fill", photo, "--mask", mask, "--out", out, "--overwrite"], standalone_mode=False)


def by_http(photo: str, mask: str) -> None:
    """Fill one photo as a client of the server."""
    from fastapi.testclient import TestClient

    from freefill.server.app import build
    from freefill.server.settings import Settings

    with TestClient(build(Settings(workers=1)), base_url="http://127.0.0.1") as client:
        files = {"image": Path(photo).read_bytes(), "mask": Path(mask).read_bytes()}
        assert client.post("/v1/fill", files=files).status_code == 200


def main() -> None:
    """Fill, and print the walk."""
    import freefill

    walk = Walk(Path(freefill.__file__).parent)
    way, *arguments = sys.argv[1:]
    ways: dict[str, Callable[..., None]] = {"cli": by_command, "http": by_http}
    run = ways[way]
    run(*arguments)  # loads everything: what importing calls is not the walk
    threading.setprofile(walk)
    sys.setprofile(walk)
    try:
        run(*arguments)
    finally:
        sys.setprofile(None)
    for file in walk.files:
        print(file)
    upward = [(a, b) for a, b in walk.calls if layer(b) < layer(a)]
    rooms = {(room(a), room(b)) for a, b in walk.calls if room(a) != room(b)}
    print(
        f"{len(walk.files)} files; {len(walk.calls)} ways between files, {len(rooms)} between "
        f"rooms; {len(upward)} upwards"
    )
    for here, there in upward:
        print(f"  {here} -> {there}")


if __name__ == "__main__":
    main()
