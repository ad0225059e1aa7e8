"""How many cores a process has: those that it may run on, and those that it has the time of."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where a container sees the limits that it was given."""


def available_cores(cgroup: Path = CGROUP) -> int:
    """Count the cores that this process may use (a container often has fewer than the machine).

    Two limits count: the cores that it may run on (``taskset``, ``--cpuset-cpus``), and the time
    that it is given on them (``docker run --cpus``, Kubernetes's ``limits.cpu``). With more threads
    than that, all of them stand still for the rest of each period.

    Args:
        cgroup: Where the limits of time lie.

    Returns:
        At least 1; a part of a core counts as one.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0)) or 1
    else:
        cores = os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota(cgroup))))


def _quota(cgroup: Path) -> float:
    """Give the cores' time that a container may take; infinity without a limit."""
    try:
        both = (cgroup / "cpu.max").read_text().split()
    except OSError:
        try:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            both = [(cgroup / "cpu" / name).read_text().strip() for name in names]
        except OSError:
            return math.inf
    try:
        quota, period = map(int, both)
    except ValueError:  # "max": no limit
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf
