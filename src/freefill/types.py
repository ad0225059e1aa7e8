"""What arrays are, and what a caller can be told: each name once.

``(H, W)`` and ``(H, W, C)`` are rows, columns and channels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""``(H, W)``, True where to fill; or where there is something else, such as a line."""
Rgb = NDArray[np.float32]
"""``(H, W, 3)`` in [0, 1]."""
Pixels = NDArray[np.uint8]
"""``(H, W, 3)``, RGB."""
Plane = NDArray[np.float32]
"""``(H, W)``, or several one after the other."""
Progress = Callable[[int, int], None]
"""Called with (done, in all)."""

GUIDANCE_CHANNELS = 5
"""Lines (1), where there are strokes of colour (1), and their colours (3)."""
