"""Processes that turn photo files into small JPEGs, and outlive every file that is broken.

Each worker has a pipe of its own, and one photo ahead of the one it is at. A file that crashes a
decoder ends that worker alone: another takes its place, and the file is tried once more before it
is called broken. Results come in the order of the photos, and only so many are made ahead.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol

from PIL import Image, UnidentifiedImageError

from freefill.errors import DataError, OutOfMemoryError
from freefill.imaging.formats import limits
from freefill.imaging.pillow import save_jpeg
from freefill.imaging.rgb import read_rgb
from freefill.lab.data.packing.duplicates import perceptual_hash

QUEUED = 2
"""Photos that a worker has been given at a time: the one it is at, and the next."""
AHEAD = 64
"""Photos a worker that may be finished before their turn, while another one takes long."""
MOST_A_SIDE = 65_500
DEATHS = 10
"""So many processes, and two more for each worker, may end in a row: then it is not the files."""
STARTLESS = 1
"""Exit code of an interpreter that ended with a traceback: in a worker, before its first photo."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Recipe:
    """How a photo is made ready.

    Attributes:
        size: Longest allowed shorter side, in pixels.
        quality: Of the JPEG, 1 to 100.
        smallest: Least shorter side of a photo that is taken, in pixels.
        max_pixels: The most that width times height of a file may be.
    """

    size: int
    quality: int
    smallest: int
    max_pixels: int


@dataclass(frozen=True)
class Ready:
    """A photo that is ready to be packed: JPEG, size in pixels, pHash."""

    jpeg: bytes
    width: int
    height: int
    phash: int


@dataclass(frozen=True)
class Broken:
    """A file that cannot be packed.

    Attributes:
        reason: Why not, in words that go on after "the file".
        unread: Whether the system could not read it at all.
    """

    reason: str
    unread: bool = False


Made = Ready | Broken


def make_ready(path: Path, recipe: Recipe) -> Made:
    """Decode, shrink, hash and encode one photo.

    Args:
        path: The file.
        recipe: How.

    Returns:
        The photo, or why there is none. Colours stay at full resolution (4:4:4): a network learns
        each pixel's, and 18 % more bytes bring the JPEG 2.6 dB nearer to the photo.
    """
    try:
        with path.open("rb") as file:
            limits.check_whole(file, "the file")
            with limits.opened(file, "the picture", recipe.max_pixels) as image:
                width, height = image.size
        if min(width, height) < recipe.smallest:
            return Broken(f"it is {width}x{height}: the shorter side is under {recipe.smallest}")
        with warnings.catch_warnings():
            # What Pillow thinks of a damaged tag is no line that a person can act on.
            warnings.simplefilter("ignore")
            small = Image.fromarray(
                read_rgb(path, shorter=recipe.size, max_pixels=recipe.max_pixels)
            )
        if max(small.size) > MOST_A_SIDE:
            return Broken(
                f"it is {small.width}x{small.height} when shrunk, and a JPEG has at most "
                f"{MOST_A_SIDE} pixels a side"
            )
        out = io.BytesIO()
        save_jpeg(small, out, quality=recipe.quality, subsampling=0, optimize=True)
        return Ready(out.getvalue(), small.width, small.height, perceptual_hash(small))
    except UnidentifiedImageError:
        return Broken("it is not an image in a format that can be read")
    except OSError as error:
        # Pillow raises OSError for damaged pixels; those of the system have a number.
        return Broken(error.strerror or str(error), unread=error.errno is not None)
    except MemoryError as error:
        # Nothing is wrong with the file: the process ends, and the pack says what is short.
        raise OutOfMemoryError(str(error) or f"not enough memory for {path}") from None
    except Exception as error:  # on damaged files Pillow raises whatever it trips over
        reason = str(error).removeprefix(f"{path} ").removeprefix("cannot be read: ")
        return Broken(reason or type(error).__name__)


class Names(Protocol):
    """What gives the name of a photo at a place."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> str: ...


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    given: deque[int] = field(default_factory=deque)


class Workers:
    """Makes photos ready on several processes.

    Args:
        folder: What the names are relative to.
        names: The photos.
        recipe: How they are made ready.
        count: Processes; 0 does the work in this one.

    Use it as a context: the processes end with it. They also end when this one is killed.
    """

    def __init__(self, folder: Path, names: Names, recipe: Recipe, count: int) -> None:
        self.folder, self.names, self.recipe, self.count = folder, names, recipe, count
        self._workers: list[_Worker] = []
        self._crashed: set[int] = set()
        self._deaths = 0

    def __enter__(self) -> Workers:
        """Start nothing yet: the first photo that is asked for does."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, in the middle of their work if need be."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()

    def results(self, first: int) -> Iterator[Made]:
        """Yield what became of each photo, in their order.

        Args:
            first: The place to begin at.

        Raises:
            DataError: If processes end without making a photo ready, again and again.
        """
        if not self.count:
            for position in range(first, len(self.names)):
                yield make_ready(self.folder / self.names[position], self.recipe)
            return
        total = len(self.names)
        count = min(self.count, total - first)
        self._workers = [self._started() for _ in range(count)]
        done: dict[int, Made] = {}
        following = first
        for position in range(first, total):
            while position not in done:
                # Round by round, so that all of them begin at once.
                for _ in range(QUEUED):
                    for worker in self._workers:
                        room = following < min(total, position + AHEAD * count)
                        if room and len(worker.given) < QUEUED:
                            self._give(worker, following)
                            following += 1
                self._receive(done)
            yield done.pop(position)

    def _receive(self, done: dict[int, Made]) -> None:
        """Wait for results of any worker, and replace those that have died."""
        pipes = {worker.pipe: worker for worker in self._workers if worker.given}
        for pipe in wait(list(pipes)):
            worker = pipes[pipe]  # type: ignore[index]
            try:
                made: Made = worker.pipe.recv()
            except (EOFError, OSError):
                self._replace(worker, done)
            else:
                self._deaths = 0
                done[worker.given.popleft()] = made

    def _replace(self, worker: _Worker, done: dict[int, Made]) -> None:
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode or 0
        end = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._deaths += 1
        if code == STARTLESS or self._deaths > DEATHS + 2 * self.count:
            raise DataError(
                f"worker processes end before they have made one photo ready ({end}); if memory "
                "is short, take fewer `workers`. The same command goes on from the last shard"
            )
        culprit = worker.given[0]
        if culprit in self._crashed:
            self._crashed.discard(culprit)
            done[worker.given.popleft()] = Broken(f"the decoder crashed on it ({end})")
        else:
            self._crashed.add(culprit)
        fresh = self._started()
        self._workers[self._workers.index(worker)] = fresh
        for position in worker.given:
            self._give(fresh, position)

    def _give(self, worker: _Worker, position: int) -> None:
        worker.given.append(position)
        # A worker that has just died is noticed when its result is waited for.
        with suppress(OSError):
            worker.pipe.send(self.names[position])

    def _started(self) -> _Worker:
        here, there = multiprocessing.Pipe()
        # Spawned, not forked: a worker then holds no other's pipe, and sees it when this one dies.
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(there, self.folder, self.recipe), daemon=True
        )
        with _for_children():
            process.start()
        there.close()
        return _Worker(process, here)


@contextmanager
def _for_children() -> Iterator[None]:
    """Have processes that are started ignore Ctrl-C, which is ours, and use one thread each."""
    kept = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    # Only the main thread may set handlers; elsewhere, workers set it when they begin.
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _work(pipe: Connection, folder: Path, recipe: Recipe) -> None:
    """Make photos ready until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries in C write about a damaged file is said better by the reason in the report.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with suppress(EOFError, OSError):
        while True:
            name: str = pipe.recv()
            pipe.send(make_ready(folder / name, recipe))
