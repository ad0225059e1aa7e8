"""Lines of progress for work that takes minutes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Progress:
    """A line now and then, with the time that is left at the pace since the line before.

    What is there already passes at once, so the pace of all would promise too much.

    Args:
        on_message: Takes each line.
        things: What is counted, e.g. ``pictures``.
        every: Seconds between two lines.
    """

    def __init__(self, on_message: Callable[[str], None], things: str, every: float = 20.0) -> None:
        self.on_message, self.things, self.every = on_message, things, every
        self.last, self.done = time.monotonic(), 0

    def __call__(self, done: int, total: int, line: str) -> None:
        """Count: (done, total, what they are of)."""
        if done < self.done:  # of the next network
            self.done = 0
        now = time.monotonic()
        if done < total and now - self.last < self.every:
            return
        left = (now - self.last) / (done - self.done) * (total - done)
        self.last, self.done = now, done
        minutes, seconds = divmod(round(left), 60)
        self.on_message(f"{done} of {total} {self.things} ({line}), ETA {minutes}:{seconds:02}")
