"""Opening clips: files that hold their own frames, whatever their names, and nothing besides them.

FFmpeg takes names for addresses (``http:c.mp4``) and patterns (``%d.png``), and what some files
hold for lists of other files, local or not (ffconcat, HLS, DASH, SDP). Here it never sees a name:
it is given the bytes of one regular file, may open no other, and reads only the containers in
:data:`CONTAINERS`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from freefill.errors import VideoError
from freefill.imaging.formats import MAX_PIXELS
from freefill.video import load_av

CONTAINERS = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg"),
    *("nut", "mxf", "mxf_opatom", "gxf", "ivf", "obu", "dv", "gif", "apng", "yuv4mpegpipe", "rm"),
    *("h264", "hevc", "vvc", "av1", "m4v", "mpegvideo", "vc1", "h263", "h261", "dirac", "mjpeg"),
    *("cavsvideo", "nuv", "nsv", "wtv", "flic", "swf", "amv", "cine", "roq", "smk", "bink"),
)
"""FFmpeg's names of the demuxers that may be used: each reads frames out of one file."""

NO_PROTOCOL = "none"
"""A list of protocols that none is on."""


class Content:
    """An open file without the name that FFmpeg would read something into.

    Args:
        file: Open for reading or writing bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.seek, self.tell = file.seek, file.tell
        self.error: BaseException | None = None
        """Why something could not be written, which is to be raised: FFmpeg may go on to the end
        over it, and PyAV loses a Ctrl-C."""
        if file.writable():
            self.write = self._write
        else:
            self.read = file.read

    def _write(self, content: bytes) -> int:
        try:
            return self.file.write(content)
        except BaseException as error:
            self.error = self.error or error
            raise OSError(errno.EIO, "stopped") from error


@contextmanager
def opened(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[Any]:
    """Open a file that has a video stream, with frames of at most so many pixels.

    Args:
        path: The file.
        max_pixels: The most that width times height of a frame may be: decoders refuse others, also
            those that come later.

    Raises:
        VideoError: If it cannot be opened, has no video, or larger frames.
        ExtraMissingError: If PyAV is not installed.
    """
    limit = {"max_pixels": str(max_pixels)}
    # Frames are decoded to find out what the streams are.
    with _file(path) as file, _container(path, file, limit) as container:
        if not container.streams.video:
            raise VideoError(f"{path} has no video stream: nothing to fill")
        stream = container.streams.video[0]
        coded = stream.codec_context
        if coded is None:
            raise VideoError(f"{path}: there is no decoder for its video stream")
        size = coded.width, coded.height
        # To a decoder with a limit, a frame that is larger has no size at all.
        _check_size(path, size if all(size) else _told_size(path, file), max_pixels)
        # Threads that take a frame each lose frames beside those that cannot be decoded, by chance,
        # and errors at the end.
        stream.thread_type = "SLICE"
        coded.options = limit
        yield container


def _check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise VideoError(
            f"{path} has frames of {width}x{height}, {width * height} pixels; the limit is "
            f"{max_pixels}: `max_pixels` raises it"
        )
    if not width * height:
        raise VideoError(
            f"{path} tells no size of its frames, or one that no decoder takes: it is damaged or "
            "was made to do harm"
        )


def _told_size(path: Path, file: BinaryIO) -> tuple[int, int]:
    """Give the size that a file tells of, without decoding its frames."""
    file.seek(0)
    with _container(path, file, {"skip_frame": "all"}) as container:
        coded = container.streams.video[0].codec_context
        return coded.width, coded.height


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    try:
        kind = path.stat().st_mode
        # A FIFO would be waited for as soon as it is opened.
        file = path.open("rb") if stat.S_ISREG(kind) else None
    except FileNotFoundError:
        raise VideoError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{path} is not a clip that can be read: {reason}") from None
    if file is None:
        what = "a folder, not a clip" if stat.S_ISDIR(kind) else "no regular file"
        raise VideoError(f"{path} is {what}")
    with file:
        yield file


@contextmanager
def _container(path: Path, file: BinaryIO, decoding: dict[str, str]) -> Iterator[Any]:
    av = load_av()
    options = {
        "format_whitelist": ",".join(CONTAINERS),
        "protocol_whitelist": NO_PROTOCOL,
        **decoding,
    }
    try:
        container = av.open(Content(file), options=options, metadata_errors="replace")
    except av.error.ArgumentError:
        raise VideoError(
            f"{path} is not a clip that can be read: it is a picture, a list of other files or of "
            "another kind that is not opened; a clip is one file that holds its own frames, such "
            "as .mp4, .mov, .mkv or .webm"
        ) from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if not os.fstat(file.fileno()).st_size:
            reason = "it is empty"
        raise VideoError(f"{path} is not a clip that can be read: {reason}") from None
    with container:
        yield container
