"""One process, or several that `torchrun` or a cluster started: which one this is, what they share.

Whatever starts the processes sets the standard environment variables in each of them
(RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT). Without them a run is
one process.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import TorchElasticEnvironment
from lightning_fabric.strategies import DDPStrategy
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from freefill.errors import ConfigError, FreefillError
from freefill.lab.training import checkpoint
from freefill.pipeline.engines.cpu_count import available_cores

T = TypeVar("T")
PATIENCE = timedelta(hours=1)
"""How long processes wait for each other: while one of each machine decodes a folder, for one."""
NOISE = ("`broadcast_buffers` is deprecated", "Grad strides do not match bucket view strides")
"""Warnings of torch's that nobody can act on: the name before 2.13, and of 1x1 convolutions."""


def launch(precision: Any) -> Fabric:
    """Join the other processes, if there are any.

    Args:
        precision: Fabric's name of it.

    Returns:
        What knows the device, the other processes and the precision. It may be called again for
        another precision: the processes stay connected.

    Raises:
        ConfigError: If the environment's numbers do not fit each other.
    """
    world, here = _number("WORLD_SIZE", 1), _number("LOCAL_WORLD_SIZE", 1)
    if world == 1:
        return Fabric(accelerator="auto", devices=1, precision=precision)
    # What one process a pod leaves out.
    rank = _number("RANK", 0)
    os.environ.setdefault("LOCAL_RANK", str(rank % here))
    os.environ.setdefault("GROUP_RANK", str(rank // here))
    if world % here:
        raise ConfigError(
            f"WORLD_SIZE is {world} and LOCAL_WORLD_SIZE {here}: every machine must run as many "
            "processes as the others"
        )
    if not torch.cuda.is_available():
        # torchrun leaves each process one thread, whatever the number of cores.
        torch.set_num_threads(max(1, available_cores() // here))
    for harmless in NOISE:
        warnings.filterwarnings("ignore", harmless)
    # No buffers to broadcast: all processes make the same steps of the power iteration.
    strategy = DDPStrategy(cluster_environment=TorchElasticEnvironment(), broadcast_buffers=False)
    fabric = Fabric(
        accelerator="auto",
        devices=here,
        num_nodes=world // here,
        strategy=strategy,
        precision=precision,
    )
    _connect(fabric.device)
    fabric.launch()
    return fabric


def _connect(device: torch.device) -> None:
    """Meet the others, before Fabric would.

    Processes that torchrun restarts after a failure share a store with those before them, and
    would look for their neighbours at the addresses of the dead (pytorch/pytorch#135712).
    """
    if torch.distributed.is_initialized():
        return
    attempt = _number("TORCHELASTIC_RESTART_COUNT", 0)
    store, rank, world = next(rendezvous("env://"))
    torch.distributed.init_process_group(
        "gloo" if device.type == "cpu" else "nccl",
        store=PrefixStore(f"attempt {attempt}", store),
        rank=rank,
        world_size=world,
        timeout=PATIENCE,
        device_id=None if device.type == "cpu" else device,
    )


def leave() -> None:
    """Part from the other processes, when training is done."""
    # What averages gradients must be gone before the connection is: gloo's threads deadlock with
    # an interpreter that drops both at once (torch 2.13).
    gc.collect()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def on_first(fabric: Fabric, make: Callable[[], T]) -> T:
    """Let the first process make something, and give it to all.

    Args:
        fabric: Joins the processes.
        make: Called in the first one.

    Returns:
        What it gave.

    Raises:
        FreefillError: In the first process, if it was raised there.
        SystemExit: In the others then: one of them has said it.
    """
    if fabric.world_size == 1:
        return make()
    made: T | None = None
    wrong: FreefillError | None = None
    if fabric.global_rank == 0:
        try:
            made = make()
        except FreefillError as error:
            wrong = error
    made, failed = fabric.broadcast((made, wrong is not None))
    if wrong is not None:
        raise wrong
    if failed:
        raise SystemExit(2)
    return made


def once_a_machine(fabric: Fabric, make: Callable[[], T]) -> T:
    """Let one process of each machine make something first, and then the others.

    Args:
        fabric: Joins the processes.
        make: Called in every process; where it fills a cache, the others find it filled.

    Returns:
        What it gave in this process.

    Raises:
        FreefillError: If it was raised in this process.
        SystemExit: If it was raised in another one.
    """
    if fabric.world_size == 1:
        return make()
    made: T | None = None
    for first in (True, False):
        wrong: FreefillError | None = None
        if (fabric.local_rank == 0) == first:
            try:
                made = make()
            except FreefillError as error:
                wrong = error
        failed = torch.tensor(float(wrong is not None), device=fabric.device)
        total = float(fabric.all_reduce(failed, reduce_op="sum"))
        if wrong is not None:
            raise wrong
        if total:
            raise SystemExit(2)
    return made  # type: ignore[return-value]


def is_first() -> bool:
    """Return whether this is the first process, or the only one."""
    return _number("RANK", 0) == 0


def orphaned(parent: int) -> bool:
    """Return whether the `torchrun` that started this process has been killed.

    Args:
        parent: The parent's number when the process began.
    """
    return "TORCHELASTIC_RUN_ID" in os.environ and os.getppid() != parent


def restarted(run: Path) -> bool:
    """Return whether `torchrun` has restarted these processes in the middle of a run."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0) > 0 and (run / checkpoint.NAME).exists()


def _number(variable: str, otherwise: int) -> int:
    text = os.environ.get(variable, str(otherwise))
    if not text.isdecimal():
        raise ConfigError(f"the environment's {variable} is {text!r}, which is no number")
    return int(text)
