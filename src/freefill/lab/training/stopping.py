"""Stopping a run between two steps, when a person or a system asks for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import torch
from lightning_fabric import Fabric


class Stopping:
    """Makes the first Ctrl-C or SIGTERM a request, which the loop grants after the step in work.

    A second one ends the process at once. Signals that are ignored (``nohup`` and shells'
    background jobs ignore Ctrl-C) stay so. Elsewhere than in the main thread it does nothing.

    Attributes:
        asked: The signal that came, or ``None``.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stopping:
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                # None: it was not set by Python, and could not be set back.
                if handler not in (signal.SIG_IGN, None):
                    self._before[number] = handler
                    signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        self._give_back()

    def agreed(self, fabric: Fabric, at_row: bool) -> bool:
        """Tell whether to stop after this step, the same in all processes.

        Args:
            fabric: Joins the processes.
            at_row: Whether a row of the log was written: several processes ask each other only
                then, as every question makes a GPU wait.
        """
        if fabric.world_size == 1:
            return self.asked is not None
        if not at_row:
            return False
        mine = torch.tensor(float(self.asked is not None), device=fabric.device)
        return bool(fabric.all_reduce(mine, reduce_op="sum") > 0)

    def end(self) -> None:
        """End as the signal would have ended the process; nothing, where none came."""
        if self.asked is signal.SIGINT:
            raise KeyboardInterrupt
        if self.asked is not None:
            signal.raise_signal(self.asked)

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self.asked is not None:
            self._give_back()
            signal.raise_signal(number)
        self.asked = signal.Signals(number)

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
