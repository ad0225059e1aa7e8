"""The process that decodes: files in, pictures out, over its standard input and output.

:mod:`~freefill.server.decoding` starts it, ends it, and starts another. It loads what reads
pictures and nothing more, and says when it has. For each request it is sent the files, answers how
many pixels each has, is told whether to go on, and answers with the pictures. It ends when its
input does, so that none outlives its server.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import struct
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import numpy as np
from PIL import Image

from freefill.errors import FreefillError, OutOfMemoryError
from freefill.imaging.formats.reader import pixels_of
from freefill.imaging.io import read_picture
from freefill.imaging.picture import Picture

MARGIN, THREAD = 256_000_000, 16_000_000
"""Bytes that decoding may take whatever the file: tables and profiles; and for each core."""
BYTES_PER_PIXEL, BYTES_PER_ALLOWED = 80, 24
"""Bytes that it may take for each pixel, and for each that a file may have. Packed floats of 64
bits with alpha were seen to take 62, of which there may be an eighth of the pixels; what has 8 bits
takes up to 17 (WebP)."""
COPIES = 4
"""Times that the bytes of a file may be in memory."""


def send(file: IO[bytes], value: object) -> None:
    """Send anything that can be pickled; arrays, and bytes in a ``PickleBuffer``, uncopied.

    Raises:
        OSError: If nobody reads it any more.
    """
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, 5, buffer_callback=buffers.append)
    parts = [memoryview(content), *(buffer.raw() for buffer in buffers)]
    file.write(struct.pack(f"<I{len(parts)}Q", len(parts), *map(len, parts)))
    for part in parts:
        file.write(part)
    file.flush()


def receive(file: IO[bytes]) -> Any:
    """Receive what :func:`send` sent.

    Raises:
        EOFError: If the other side is gone.
    """
    (count,) = struct.unpack("<I", _read(file, 4))
    sizes = struct.unpack(f"<{count}Q", _read(file, 8 * count))
    content, *buffers = [_read(file, size) for size in sizes]
    return pickle.loads(content, buffers=buffers)  # noqa: S301  # by this package's own process


def _read(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise EOFError
    return content


def main() -> None:
    """Decode until the input ends."""
    # Both may be sent to a server with all that it has started. It still needs this process to
    # finish its work, and ends it then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    _silence_libraries()
    requests: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    Image.preinit()
    send(answers, None)
    while True:
        files, max_pixels = requests.get()
        counts = _measured(answers, files, max_pixels)
        if requests.get():
            _decoded(answers, files, counts, max_pixels)
        del files


def _silence_libraries() -> None:
    """Let nothing that libraries print reach the answers, or the server's log.

    They have a line or more for each file that is damaged, and any client can send those for ever.
    What is wrong with a file is the answer's to say; a traceback of this program still comes out.
    """
    sys.stderr = os.fdopen(os.dup(2), "w", errors="backslashreplace", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def _listen(requests: SimpleQueue[Any]) -> None:
    """Take requests in, and notice the end of the server in the midst of work, too."""
    try:
        while True:
            requests.put(receive(sys.stdin.buffer))
    except BaseException as error:
        os._exit(0 if isinstance(error, EOFError) else 1)


def _measured(answers: IO[bytes], files: Mapping[str, bytes], max_pixels: int) -> dict[str, int]:
    """Answer how many pixels each file has."""
    counts = {}
    for name, content in files.items():
        # Some readers make room for the pixels already: as many as there may be.
        with _limited(max_pixels, max_pixels, len(content)):
            counts[name] = pixels_of(content, max_pixels)
        send(answers, counts[name])
    return counts


def _decoded(
    answers: IO[bytes], files: dict[str, bytes], counts: Mapping[str, int], max_pixels: int
) -> None:
    """Answer with the pictures, or up to the first error with that."""
    answer: tuple[Picture, bool] | FreefillError
    for name in list(files):
        content = files.pop(name)
        with _limited(counts[name], max_pixels, len(content)) as most:
            try:
                answer = _picture(content, max_pixels)
            except MemoryError:
                answer = OutOfMemoryError(
                    f"decoding {name} takes more memory than "
                    + (f"the {most / 1e6:.0f} MB that it may" if most else "there is now")
                )
            except FreefillError as error:
                answer = error
        send(answers, answer)
        if isinstance(answer, FreefillError):
            return


def _picture(content: bytes, max_pixels: int) -> tuple[Picture, bool]:
    """Decode a file.

    Returns:
        The picture, and whether it keeps all of the file, which does not have to be sent back.
    """
    picture = read_picture(content, max_pixels=max_pixels)
    metadata = picture.source_metadata
    kept = metadata.jpeg is not None
    # Only what lies in one piece is sent uncopied.
    samples = np.ascontiguousarray(picture.samples)
    metadata = replace(metadata, jpeg=None)
    return replace(picture, samples=samples, source_metadata=metadata), kept


@contextmanager
def _limited(pixels: int, max_pixels: int, size: int) -> Iterator[int | None]:
    """Limit what this process may take, where the system can (Linux).

    Args:
        pixels: Of the file that is read.
        max_pixels: The most that it may have.
        size: Its bytes.

    Yields:
        Bytes beyond those that it has; ``None`` without a limit.
    """
    try:
        import resource

        kind = resource.RLIMIT_DATA
        hard = resource.getrlimit(kind)[1]
        data = int(Path("/proc/self/statm").read_bytes().split()[5]) * resource.getpagesize()
        most = MARGIN + THREAD * (os.cpu_count() or 1) + COPIES * size
        most += min(BYTES_PER_PIXEL * pixels, BYTES_PER_ALLOWED * max_pixels)
        limit = data + most if hard == resource.RLIM_INFINITY else min(data + most, hard)
        resource.setrlimit(kind, (limit, hard))
    except (ImportError, OSError, ValueError):
        yield None
        return
    try:
        yield most
    finally:
        # The next request may be larger, and is taken in before it is looked at.
        resource.setrlimit(kind, (hard, hard))


if __name__ == "__main__":
    main()
