"""What freefill is compared with, each behind one small function.

A rival takes a photo ``(H, W, 3)`` uint8 RGB and a hole ``(H, W)`` bool, and gives the filled
photo.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ExtraMissingError

Pixels = NDArray[np.uint8]
Hole = NDArray[np.bool_]

TELEA_RADIUS = 5.0


def telea(photo: Pixels, hole: Hole, radius: float = TELEA_RADIUS) -> Pixels:
    """Fill by OpenCV's fast marching (Telea, 2004).

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.
        hole: ``(H, W)`` bool.
        radius: Neighbourhood, in pixels.

    Returns:
        The filled photo.

    Raises:
        ExtraMissingError: If OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise ExtraMissingError("this rival needs OpenCV: pip install 'freefill[rivals]'") from None
    # Without the hole's own pixels: what is there must not help.
    seen = np.where(hole[..., None], np.uint8(0), photo)
    filled = cv2.inpaint(seen, hole.astype(np.uint8), radius, cv2.INPAINT_TELEA)
    return np.asarray(filled, np.uint8)
