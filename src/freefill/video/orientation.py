"""How a clip is to be turned and mirrored to stand upright, from its display matrix.

A matrix that has a negative determinant mirrors, which no angle can tell: FFmpeg's angle of a
mirrored clip is that of a turn by 180 degrees.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

TILT = 0.01
"""How far a matrix may be from one of the eight, in shares of its largest number."""


class Orientation(NamedTuple):
    """One of the eight ways a picture can lie.

    Attributes:
        swapped: Whether rows become columns, first.
        rows: Whether the order of the rows is then turned round.
        columns: Whether that of the columns is.
    """

    swapped: bool = False
    rows: bool = False
    columns: bool = False

    @classmethod
    def of(cls, frame: Any) -> tuple[Self, bool]:
        """Read it from a frame of PyAV.

        Args:
            frame: As it was decoded.

        Returns:
            The orientation, and whether the matrix says just that: others (a turn by 30 degrees)
            are brought to the nearest.
        """
        for data in frame.side_data:
            if data.type.name == "DISPLAYMATRIX":
                return cls.from_matrix(np.frombuffer(bytes(data), "=i4").tolist())
        return cls(), True

    @classmethod
    def from_matrix(cls, matrix: list[int]) -> tuple[Self, bool]:
        """Read it from the nine numbers of a display matrix.

        A pixel at (x, y) is shown at (a x + c y, b x + d y), where the matrix begins a, b, u, c, d.

        Args:
            matrix: The numbers, row by row.

        Returns:
            As :meth:`of`.

        Examples:
            >>> Orientation.from_matrix([-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30])
            (Orientation(swapped=False, rows=False, columns=True), True)
        """
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
        swapped = abs(b) + abs(c) > abs(a) + abs(d)
        right, down, rest = (c, b, (a, d)) if swapped else (a, d, (b, c))
        largest = max(abs(right), abs(down))
        exact = all(abs(number) <= TILT * largest for number in rest)
        return cls(swapped, down < 0, right < 0), exact

    def apply(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Bring samples ``(h, w)`` upright, as a view."""
        upright = samples.T if self.swapped else samples
        return upright[:: -1 if self.rows else 1, :: -1 if self.columns else 1]
