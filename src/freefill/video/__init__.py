"""Clips: reading, following what moves, bringing known pixels from other frames, writing.

The ground that :func:`freefill.tasks.video` stands on. PyAV (FFmpeg's codecs) and OpenCV (optical
flow) come with the extra ``video`` and are loaded when a clip is opened. Never imports torch.
"""

from __future__ import annotations

from typing import Any

from freefill.errors import ExtraMissingError

EXTRA = "pip install 'freefill[video]'"


def load_av() -> Any:
    """Give PyAV.

    Raises:
        ExtraMissingError: If it is not installed; the message is the command that does.
    """
    try:
        import av
    except ImportError:
        raise ExtraMissingError(f"clips need PyAV: {EXTRA}") from None
    return av


def load_cv2() -> Any:
    """Give OpenCV.

    Raises:
        ExtraMissingError: If it is not installed; the message is the command that does.
    """
    try:
        import cv2
    except ImportError:
        raise ExtraMissingError(f"clips need OpenCV: {EXTRA}") from None
    return cv2
