"""Which run fills a destination: one at a time.

On disk a file lock keeps a second run out, and goes away with its process. Object stores have no
locks, and pyarrow cannot ask for their conditional put (as of pyarrow 26 ``open_output_stream``
drops ``If-None-Match``): there, the run that begins last takes the destination over, and the one
before stops at its next commit.

A run owns a destination by its token in ``_job.json``. Who commits a block looks first whether it
is still there: workers may outlive their driver. A commit that was on its way when the next run
came writes what that run would write again.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from freefill.batch.distributed import files, manifest
from freefill.batch.distributed.blocks import Batch
from freefill.errors import StorageError
from freefill.weights.lock import file_lock

SETTLING = 2.0
"""Seconds after which a commit that had passed its check before a take-over is written."""


@contextmanager
def owned(batch: Batch) -> Iterator[tuple[Batch, bool]]:
    """Own a batch's destination, and write down what its results depend on.

    Args:
        batch: The batch.

    Yields:
        The batch with the token that its commits need, and whether it was begun before.

    Raises:
        StorageError: If another run fills the destination, or it cannot be written to.
        ConfigError: If the destination holds something else.
    """

    def refuse() -> None:
        raise StorageError(f"another run fills {batch.to}{_described(_driver(batch.to))}")

    with _locked(batch.to, refuse):
        begun = manifest.check(batch)
        before = _driver(batch.to)
        token = token_hex(8)
        driver = {"token": token, "host": socket.gethostname(), "pid": os.getpid()}
        manifest.begin(batch, driver)
        try:
            if before is not None:
                time.sleep(SETTLING)
            check(batch.to, token)
            if not begun:
                _check_empty(batch.to)
            yield replace(batch, token=token), begun
        finally:
            with suppress(OSError, StorageError):
                if (_driver(batch.to) or {}).get("token") == token:
                    manifest.begin(batch)


def check(to: str, token: str) -> None:
    """Make sure that a destination is still owned by a run; to be called before a commit.

    Raises:
        StorageError: If it is not, or that cannot be read.
    """
    driver = _driver(to)
    if (driver or {}).get("token") != token:
        raise StorageError(
            f"another run has begun to fill {to}{_described(driver)}; this one stops, and what it "
            "has committed stays"
        )


def _check_empty(to: str) -> None:
    """Make sure that nobody has committed anything since a destination was found empty."""
    if manifest.parts(to):
        # What those parts depend on is overwritten: nobody may go on with them.
        files.remove(files.join(to, manifest.JOB))
        raise StorageError(
            f"another run began to fill {to} at the same moment: name another destination"
        )


def _driver(to: str) -> dict[str, Any] | None:
    """Read which run owns a destination; ``None`` where the last one has ended by itself."""
    try:
        return manifest.driver(to)
    except OSError as error:
        raise StorageError(f"{to} cannot be read: {files.reason(error)}") from None


def _described(driver: dict[str, Any] | None) -> str:
    return f": process {driver.get('pid')} on {driver.get('host')}" if driver else ""


@contextmanager
def _locked(to: str, on_busy: Callable[[], None]) -> Iterator[None]:
    with ExitStack() as stack:
        if not files.is_remote(to):
            path = Path(to, manifest.LOCK)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(file_lock(path, on_busy))
            except StorageError:
                raise
            except OSError as error:
                raise StorageError(f"{to} cannot be written to: {files.reason(error)}") from None
        yield
