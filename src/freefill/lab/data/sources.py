"""What a run trains on: a folder of photos or shards, asked for photos by their number in the run.

Numbers go on over the epochs. Which photo a number takes is a function of the seed alone: not of
how many processes there are, and not of where the run was interrupted.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from freefill.errors import DataError
from freefill.lab.config import DataConfig
from freefill.lab.data.fetching import GIGABYTE, Cache, read
from freefill.lab.data.order import SHUFFLING, Order
from freefill.lab.data.photos import (
    UNREADABLE,
    PhotoStore,
    decode,
    open_store,
    sampling_weights,
    split,
)
from freefill.lab.data.shards import Shard, ShardFile, list_shards, names_shards
from freefill.types import Pixels

OnMessage = Callable[[str], None]
NEIGHBOURS = 16
"""Photos in a row that cannot be read before a run gives up."""


class Source(Protocol):
    """Photos for training.

    Attributes:
        photos: How many there are to train on.
        epoch: Samples in an epoch.
        held: Photos that are kept out of training, ``(H, W, 3)`` uint8 RGB; at least one.
    """

    photos: int
    epoch: int
    held: list[Pixels]

    def photo(self, number: int, side: int) -> Pixels:
        """Give the photo of a sample; threads may ask at the same time.

        Args:
            number: Number of the sample in the run, from 0.
            side: Side of the crop that will be cut from it, in pixels.

        Returns:
            ``(H, W, 3)`` uint8 RGB.
        """
        ...

    def count(self, side: int) -> int:
        """Count the photos that crops of this side are cut from.

        Raises:
            DataError: If there are none.
        """
        ...


class Folder:
    """Photos that were decoded into one file.

    Args:
        store: The photos.
        data: Which are kept out, how often each comes, and whether small ones are enlarged.
        seed: Seed of the run.
    """

    def __init__(self, store: PhotoStore, data: DataConfig, seed: int) -> None:
        if data.list:
            used, held = listed(store, Path(data.list))
        else:
            used, held = split(store.names, data.holdout, data.holdout_first)
        views = store.views()
        self.store, self.used = store, used
        self.views = [views[i] for i in used]
        self.held = [views[i] for i in held or used[:4]]
        self.photos = len(used)
        self.data, self.seed = data, seed
        self.sides = store.shapes[used].min(1)
        self._orders: dict[int, tuple[NDArray[np.intp], Order]] = {}
        self.epoch = self._ordered(0)[1].length

    def photo(self, number: int, side: int) -> Pixels:
        """Give the photo of a sample."""
        return self.views[self.place(number, side)]

    def place(self, number: int, side: int) -> int:
        """Give the place of a sample's photo among :attr:`views`."""
        places, order = self._ordered(side)
        return int(places[order.at(number)])

    def count(self, side: int) -> int:
        """Count the photos that crops of this side are cut from."""
        return len(self._ordered(side)[0])

    def _ordered(self, side: int) -> tuple[NDArray[np.intp], Order]:
        """Give the places of the photos that crops of this side are cut from, and their order."""
        least = 0 if self.data.enlarge else side
        if least not in self._orders:
            places = np.flatnonzero(self.sides >= least)
            if not places.size:
                raise DataError(
                    f"data.enlarge is false and no photo has the {side} pixels a side that the "
                    f"crops of a stage have: the largest of {self.photos} has {self.sides.max()}, "
                    f"with data.size={self.data.size}"
                )
            names = [self.store.names[self.used[place]] for place in places]
            order = Order(sampling_weights(names, self.data.weights), self.seed)
            self._orders[least] = places, order
        return self._orders[least]


def listed(store: PhotoStore, file: Path) -> tuple[list[int], list[int]]:
    """Choose photos by a list.

    Args:
        store: The photos.
        file: CSV with the columns ``file``, a name without its folder, and ``use``.

    Returns:
        Indices for training and indices held out, each sorted. What is not in the list is in
        neither; of photos of one name the largest is taken.

    Raises:
        DataError: If the list cannot be read, or photos of it are missing.
    """
    try:
        # What spreadsheets write begins with a mark of the encoding.
        with file.open(newline="", encoding="utf-8-sig") as lines:
            uses = {row["file"]: row["use"] or "" for row in csv.DictReader(lines)}
    except KeyError as error:
        raise DataError(f"data.list: {file} has no column {error}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"data.list: {file} cannot be read as a list: {error}") from None
    if "train" not in uses.values():
        raise DataError(f"data.list: no photo in {file} has the use 'train'")
    best: dict[str, int] = {}
    area = store.shapes.prod(1)
    for index, path in enumerate(store.names):
        name = Path(path).name
        if name in uses and (name not in best or area[index] > area[best[name]]):
            best[name] = index
    missing = sorted(name for name, use in uses.items() if use == "train" and name not in best)
    if missing:
        raise DataError(
            f"{len(missing)} of the photos that {file} lists for training are not there, "
            f"{missing[0]} among them"
        )
    chosen = sorted((index, uses[name]) for name, index in best.items())
    return (
        [index for index, use in chosen if use == "train"],
        [index for index, use in chosen if use.startswith("held-out")],
    )


class Shards:
    """Photos in shards, shuffled twice: the shards, and the photos of a few shards in a row.

    Args:
        shards: All of them.
        data: How many shards are shuffled together, and how many photos are kept out: those are
            taken from the first shard.
        seed: Seed of the run.
        cache: Where those from a web server are kept.
        on_message: Called with lines for people.

    Raises:
        DataError: If the settings do not go with shards, or the first one cannot be read.
    """

    def __init__(
        self, shards: list[Shard], data: DataConfig, seed: int, cache: Cache, on_message: OnMessage
    ) -> None:
        if data.list:
            raise DataError(
                "data.list goes by file names, which shards are not asked for: make shards of the "
                "photos in it, and leave it out"
            )
        if data.weights or data.holdout_first:
            raise DataError(
                "data.weights and data.holdout_first go by file names, which shards are not asked "
                "for: data.weights={} and data.holdout_first=[] leave them out"
            )
        if not data.enlarge:
            raise DataError(
                "data.enlarge is false, which goes by the sizes of photos, and shards are not "
                "asked for them: leave it out, or train on a folder"
            )
        self.window = min(data.window, len(shards))
        largest = sum(sorted(shard.bytes for shard in shards if shard.remote)[-2 * self.window :])
        if largest > cache.limit:
            raise DataError(
                f"data.cache is {cache.limit / GIGABYTE:g} GB, but twice data.window "
                f"({self.window}) shards have {largest / GIGABYTE:.3g} GB: raise the one or lower "
                "the other"
            )
        self.shards, self.size, self.seed = shards, data.size, seed
        self.cache, self.on_message = cache, on_message
        self.counts = np.array([shard.photos for shard in shards])
        total = int(self.counts.sum())
        # A fair sample where the shards are (`freefill pack` shuffles), and cheap: one shard read.
        chosen = np.random.default_rng(SHUFFLING).permutation(shards[0].photos)
        kept = min(data.holdout, total // 4, shards[0].photos)
        self.out = np.sort(chosen[:kept])
        self.counts[0] -= kept
        self.photos = self.epoch = total - kept
        # Two windows are in use where batches made ahead reach into the next one.
        self.opened = lru_cache(2 * self.window + 1)(self._open)
        self.plan = lru_cache(3)(self._plan)
        self.bounds = lru_cache(2)(self._bounds)
        first = self.opened(0)
        self.held = self._readable(first, self.out.tolist() or range(min(4, len(first))))

    def photo(self, number: int, side: int) -> Pixels:
        """Give the photo of a sample; one that cannot be read is replaced by the next, and named.

        Args:
            number: Number of the sample in the run, from 0.
            side: Not looked at: shards are made of photos of the size that is wanted.

        Raises:
            DataError: If a shard cannot be read, or many photos in a row.
        """
        for other in range(number, number + NEIGHBOURS):
            file, index = self._place(other)
            try:
                return self._decoded(file, index)
            except DataError as error:
                self.on_message(f"{error}: passed over")
        raise DataError(f"{NEIGHBOURS} photos in a row cannot be read, the last one in {file.path}")

    def count(self, side: int) -> int:
        """Count the photos that crops of any side are cut from."""
        return self.photos

    def _readable(self, file: ShardFile, members: Iterable[int]) -> list[Pixels]:
        found = []
        for index in members:
            try:
                found.append(self._decoded(file, index))
            except DataError as error:
                self.on_message(f"{error}: passed over")
        if not found:
            raise DataError(f"none of the first photos of {file.path} can be read")
        return found

    def _place(self, number: int) -> tuple[ShardFile, int]:
        epoch, place = divmod(number, self.epoch)
        _, ends = self.bounds(epoch)
        window = int(np.searchsorted(ends, place, side="right"))
        start = int(ends[window - 1]) if window else 0
        shards, members = self.plan(epoch, window)
        return self.opened(int(shards[place - start])), int(members[place - start])

    def _bounds(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the order of the shards in an epoch, and the place that each window ends before."""
        order = np.random.default_rng([self.seed, epoch, SHUFFLING]).permutation(len(self.shards))
        sums = np.cumsum(self.counts[order])
        last = np.arange(self.window - 1, len(order) + self.window - 1, self.window)
        return order, sums[np.minimum(last, len(order) - 1)]

    def _plan(self, epoch: int, window: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the shards and members of a window's samples, in order."""
        order, ends = self.bounds(epoch)
        chosen = order[window * self.window : (window + 1) * self.window]
        if window + 1 < len(ends):
            after = order[(window + 1) * self.window : (window + 2) * self.window]
            # What comes next is there when it is needed; an error is raised then, not here.
            Thread(target=self._prepare, args=(after.tolist(),), daemon=True).start()
        members = [np.arange(self.shards[s].photos) for s in chosen]
        members = [
            np.setdiff1d(m, self.out) if s == 0 else m for s, m in zip(chosen, members, strict=True)
        ]
        shards = np.repeat(chosen, [len(m) for m in members])
        rng = np.random.default_rng([self.seed, epoch, window, SHUFFLING])
        shuffled = rng.permutation(len(shards))
        return shards[shuffled], np.concatenate(members)[shuffled]

    def _prepare(self, shards: list[int]) -> None:
        for number in shards:
            try:
                self.opened(number)
            except DataError:
                return

    def _open(self, number: int) -> ShardFile:
        shard = self.shards[number]
        file = self.cache.open(shard)
        if len(file) != shard.photos:
            raise DataError(
                f"{shard.address} holds {len(file)} photos where its index says {shard.photos}"
            )
        return file

    def _decoded(self, file: ShardFile, index: int) -> Pixels:
        try:
            return decode(BytesIO(file.read(index)), self.size)
        except UNREADABLE as error:
            raise DataError(f"{file.path}: {file.names[index]}: {error}") from None


def open_source(
    data: str, config: DataConfig, seed: int, on_message: OnMessage, warn: OnMessage | None = None
) -> Source:
    """Open what ``--data`` names.

    Args:
        data: A folder of photos, or shards: see :func:`freefill.lab.data.shards.list_shards`.
        config: Sizes, and what is kept out.
        seed: Seed of the run.
        on_message: Called with lines for people.
        warn: Called with photos that are passed over, which are others in each process; by default
            as ``on_message``.

    Returns:
        The photos; those of a folder are decoded first, so that one that cannot be read is named
        before the first step.

    Raises:
        DataError: If there are none, or they cannot be read.
    """
    if not names_shards(data):

        def progress(done: int, total: int) -> None:
            if done == total or done % 512 == 0:
                on_message(f"decoded {done} of {total} photos")

        return Folder(open_store(data, config.size, progress=progress), config, seed)
    cache = Cache(round(config.cache * GIGABYTE))
    shards = list_shards(data, read, lambda found: cache.measure(found, on_message))
    return Shards(shards, config, seed, cache, warn or on_message)
