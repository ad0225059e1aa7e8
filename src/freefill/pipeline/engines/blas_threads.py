"""NumPy's matrix products on one thread, where photos already keep every core busy.

OpenBLAS, which comes with NumPy, starts a thread a core and lets all of them spin between two
products. With a photo on each core they take time from each other: a folder of photos of 512x512 on
two cores is filled 1.6 times as fast without them. It also sums in another order with more threads,
so that a pixel in some results would depend on the machine.

The command line sets ``OPENBLAS_NUM_THREADS``, which a person may set otherwise. This is for
batches: their results are the same bytes on all machines of a cluster, whatever is set there.
"""

from __future__ import annotations


def use_one_thread() -> bool:
    """Have matrix products computed by the thread that asks for them, from now on.

    To be called in the main thread, and in each thread that multiplies: most builds of OpenBLAS
    have one setting for the process, which belongs to the thread that set it first, and those on
    OpenMP have one for each thread.

    Returns:
        Whether the setting holds: there is a library that threadpoolctl knows, and no other thread
        of this process has set it to more.
    """
    import numpy  # noqa: F401 - only what is loaded is found
    from threadpoolctl import ThreadpoolController

    # Looking through the loaded libraries takes 0.3 ms. Without a `with` the limit stays.
    libraries = ThreadpoolController().select(user_api="blas")
    libraries.limit(limits=1)
    found = [library["num_threads"] for library in libraries.info()]
    return bool(found) and set(found) == {1}
