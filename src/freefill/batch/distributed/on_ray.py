"""The runner on Ray: blocks go to processes on this machine or on a cluster, each with a session.

A process whose machine dies takes no block with it: Ray starts another and gives it the blocks
again, and as their results and parts of the manifest have the same names, nothing is there twice.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any

from freefill import __version__
from freefill.batch.distributed.blocks import Batch, Block, Done
from freefill.batch.distributed.files import is_remote
from freefill.batch.distributed.ray_output import suppress_output
from freefill.batch.distributed.worker import BatchWorker
from freefill.errors import ConfigError, FreefillError
from freefill.pipeline.engines.cpu_count import available_cores

STORE = 200_000_000
"""Bytes of shared memory for a Ray that is started here: photos do not go through it."""
CALLS = 2
"""Blocks that a process works on at a time, so that it does not wait at the end of each."""
ANSWER = 10.0
"""Seconds in which a cluster has to answer."""
ENVIRONMENT = "AWS_"
"""Variables that begin so go to the processes: where S3 is and who asks."""


class Blocks:
    """What runs in each process.

    Args:
        batch: What is filled and how.
        cores: Cores of the process.
        environment: Variables to set before anything connects.
    """

    def __init__(self, batch: Batch, cores: int, environment: dict[str, str]) -> None:
        os.environ.update(environment)
        self.batch, self.cores = batch, cores
        self.worker: BatchWorker | None = None
        self.trouble: str | None = None
        # What is wrong on a node is said in its first answer: Ray would start a process that
        # cannot be made again and again.
        try:
            _check_node(batch)
            self.worker = BatchWorker(batch, cores)
        except FreefillError as error:
            self.trouble = str(error)

    def __call__(self, table: Any) -> Any:
        """Fill the blocks of a table, and tell what became of them."""
        if self.worker is None:
            return _table([{"trouble": self.trouble}])
        blocks = [pickle.loads(cell.as_py()) for cell in table["block"]]  # noqa: S301
        try:
            done = list(self.worker.run(blocks))
        except FreefillError as error:
            return _table([{"trouble": str(error)}])
        return _table([{"done": pickle.dumps(found)} for found in done])


def run(
    batch: Batch,
    blocks: Sequence[Block],
    *,
    cores: int,
    workers: int | None,
    address: str | None,
    on_message: Callable[[str], None],
) -> Generator[Done]:
    """Fill blocks in processes of Ray.

    Args:
        batch: What is filled and how.
        blocks: The blocks.
        cores: Cores of a process.
        workers: Processes; by default as many as the machines have cores for.
        address: Of a cluster, ``auto`` for the one of this machine; ``None`` starts a Ray here that
            ends with this call.
        on_message: Called with a line when a process has died.

    Yields:
        What became of each block, as they are done.

    Raises:
        ConfigError: If there is no such cluster, or none of its machines has what a process needs.
        FreefillError: If a process cannot go on.
    """
    with suppress_output(on_message):
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        try:
            # An interrupt may come while it starts: what has started is stopped.
            _connect(ray, address, cores * (workers or 1))
            gpus = int(batch.device == "cuda")
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            fitting = sum(_fitting(node, cores, gpus) for node in nodes)
            if not fitting:
                wanted = f"{cores} cores" + (" and a GPU" if gpus else "")
                raise ConfigError(f"no machine of the cluster has {wanted} for a process")
            here = [place for place in (batch.source, batch.to) if not is_remote(place)]
            if len(nodes) > 1 and here:
                on_message(f"{here[0]} has to be the same folder on all {len(nodes)} machines")
            context = DataContext.get_current()
            context.enable_progress_bars = False
            context.print_on_execution_start = False
            context.execution_options.preserve_order = False
            environment = {
                name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT)
            }
            done = ray.data.from_items(
                [{"block": pickle.dumps(block)} for block in blocks],
                override_num_blocks=len(blocks),
            ).map_batches(
                Blocks,
                batch_size=1,
                batch_format="pyarrow",
                zero_copy_batch=True,
                fn_constructor_args=(batch, cores, environment),
                compute=ActorPoolStrategy(
                    size=min(workers or fitting, fitting, len(blocks)),
                    max_concurrent_calls_per_actor=CALLS,
                    max_tasks_in_flight_per_actor=CALLS,
                    enable_true_multi_threading=True,
                ),
                num_cpus=cores,
                num_gpus=gpus,
            )
            for row in done.iter_rows():
                if row["trouble"] is not None:
                    raise FreefillError(row["trouble"])
                yield pickle.loads(row["done"])  # noqa: S301
        except ray.exceptions.RayError as error:
            # Its last line is what was raised on the node: no freefill there, no machine left.
            why = str(error).strip().splitlines()[-1]
            raise FreefillError(
                f"Ray has stopped the batch: {why}; what was committed stays, and the same command "
                "goes on from there"
            ) from None
        finally:
            ray.shutdown()


def _connect(ray: Any, address: str | None, cores: int) -> None:
    silent = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        here = max(available_cores(), cores)
        # "local": not a cluster that this machine happens to be part of.
        ray.init(
            "local",
            num_cpus=here,
            include_dashboard=False,
            object_store_memory=STORE,
            **silent,
        )
        return
    try:
        host, colon, port = address.rpartition(":")
        if colon and port.isdigit() and "/" not in host:
            # Ray itself would try for ten minutes.
            socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
        ray.init(address=address, **silent)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"`address={address}`: no Ray answers there ({str(error).splitlines()[0]}); start one "
            "with: ray start --head"
        ) from None


def _fitting(resources: dict[str, float], cores: int, gpus: int) -> int:
    """Give how many processes a machine has room for."""
    fitting = int(resources.get("CPU", 0)) // cores
    return min(fitting, int(resources.get("GPU", 0)) // gpus) if gpus else fitting


def _check_node(batch: Batch) -> None:
    """Refuse to fill otherwise than the machine does where the batch was started."""
    import hashlib

    from freefill.weights import registry

    host = socket.gethostname()
    if __version__ != batch.version:
        raise ConfigError(
            f"{host} has freefill {__version__}, the batch was started by {batch.version}: install "
            "that there"
        )
    with registry.find(batch.model).path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != batch.weights:
        raise ConfigError(f"{host} has other weights {batch.model}: bring the same file there")


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    return pa.Table.from_pylist(
        rows, schema=pa.schema([("done", pa.binary()), ("trouble", pa.string())])
    )
