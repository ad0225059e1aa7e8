"""NumPy's matrix products on one thread, where photos already keep every core busy.

OpenBLAS, which comes with NumPy, starts a thread a core and lets all of them spin between two
products. With a photo on each core they take time from each other: a folder of photos of 512x512 on
two cores is filled 1.6 times as fast without them. It also sums in another order with more threads,
so that a pixel in some results would depend on the machine.

The command line sets ``OPENBLAS_NUM_THREADS``, which a person may set otherwise. This is for
batches: their results are the same bytes on all machines of a cluster, whatever is set there.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
"""One function, as NumPy's wheels and others name it."""


def use_one_thread() -> bool:
    """Have matrix products computed by the thread that asks for them, in this whole process.

    Returns:
        Whether an OpenBLAS was found; other libraries are left as they are.
    """
    found = False
    for path in _libraries():
        library = ctypes.CDLL(path)
        setter = next((getattr(library, name) for name in SETTERS if hasattr(library, name)), None)
        if setter is not None:
            setter(1)
            found = True
    return found


def _libraries() -> list[str]:
    """Give the files of OpenBLAS that are loaded, or may be."""
    import numpy

    maps = Path("/proc/self/maps")
    if maps.exists():
        lines = [line.split(maxsplit=5) for line in maps.read_text().splitlines()]
        paths = {fields[5] for fields in lines if len(fields) > 5}
        return sorted(path for path in paths if "openblas" in path.rpartition("/")[2])
    folder = Path(numpy.__file__).parent
    places = (folder.parent / "numpy.libs", folder / ".dylibs")
    return [str(path) for place in places for path in sorted(place.glob("*openblas*"))]
