"""Pack a run into a few files that a machine without internet can train from.

In the parts lie the code, the photos as JPEG of a quality that fits, their list, the settings, the
perceptual loss's network in fp16, weights to start from, and any wheels. On the other side
``python3 start.py`` (:mod:`freefill.lab.offline.start`), which lies beside them, does the rest;
torch has to be there.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from safetensors.torch import load_file, save

import freefill
from freefill.errors import CheckpointError, DataError
from freefill.imaging.pillow import save_jpeg
from freefill.lab.config import Config, from_dict
from freefill.lab.data.photos import decode, open_store
from freefill.lab.data.sources import listed
from freefill.lab.export import averages
from freefill.lab.offline import start
from freefill.pipeline.engines.cpu_count import available_cores

MEBIBYTE = 2**20
QUALITIES = (90, 85, 80, 75, 70, 65, 60, 50)
"""JPEG qualities that are tried, best first, until everything fits."""
SAMPLED = 100
"""Photos that a quality is judged by."""
SPARE = 2 * tarfile.RECORDSIZE
"""Bytes of a part that are left: a tar ends with zeros to a whole record, and one part has the
contents."""

Member = tuple[str, bytes]
"""Name and content of a file in a part."""


@dataclass(frozen=True)
class Packed:
    """What was packed.

    Attributes:
        files: The parts and ``start.py``.
        photos: How many photos.
        quality: Their JPEG quality.
    """

    files: list[Path]
    photos: int
    quality: int


def pack(
    data: Path,
    out: Path,
    config: Config,
    network: Path | None,
    *,
    init: Path | None = None,
    wheels: Path | None = None,
    parts: int = 3,
    part_size: float = 48.0,
    on_message: Callable[[str], None] = print,
) -> Packed:
    """Write the parts.

    Args:
        data: Folder of photos.
        out: Folder for the parts, made if needed; older parts in it are replaced.
        config: All settings; ``data.list`` chooses the photos.
        network: The perceptual loss's network, ``lpips_vgg.safetensors``; ``None`` for a run that
            has no such loss.
        init: Folder of average weights to start from, as training writes them.
        wheels: Folder of wheels for the other side's Python.
        parts: The most parts; fewer are made if they hold everything.
        part_size: The most that a part may have, in MiB.
        on_message: Called with lines for people.

    Returns:
        What was packed.

    Raises:
        CheckpointError: If ``init`` holds no average weights.
        DataError: If there are no photos or no wheels, or it does not all fit at the lowest
            quality; nothing is written then.
    """
    room = int(part_size * MEBIBYTE) - SPARE
    fixed = [
        *_settings(config, network),
        *_code(),
        *_weights(network, init),
        *(_wheels(wheels) if wheels else ()),
    ]
    if _divided(fixed, room, parts) is None:
        name, content = max(fixed, key=lambda member: len(member[1]))
        raise DataError(
            f"code, weights and wheels have {_size(fixed):.1f} MiB, {len(content) / MEBIBYTE:.1f} "
            f"of them {name}, and do not fit into {parts} x {part_size:g} MiB: make more or larger "
            "parts"
        )
    photos = _chosen(data, config)
    free = parts * room - sum(map(_cost, fixed))
    for quality in _promising(photos, config.data.size, free, on_message):
        encoded = _encoded(photos, config.data.size, quality)
        # As few parts as hold it.
        tried = (_divided(fixed + encoded, room, count) for count in range(1, parts + 1))
        bins = next((found for found in tried if found is not None), None)
        if bins is not None:
            break
    else:
        few = photos[:: max(1, len(photos) // SAMPLED)]
        least = _size(_encoded(few, config.data.size, QUALITIES[-1])) / len(few) * len(photos)
        raise DataError(
            f"{len(photos)} photos have about {least:.1f} MiB at JPEG quality {QUALITIES[-1]}, and "
            f"beside code, weights and wheels {parts} x {part_size:g} MiB leave them "
            f"{free / MEBIBYTE:.1f}: take fewer photos, or more or larger parts"
        )
    contents = {"parts": len(bins), "files": sum(map(len, bins)), "photos": len(photos)}
    bins[0].insert(0, (start.CONTENTS, json.dumps(contents).encode()))
    files = _written(bins, out)
    for file, members in zip(files, bins, strict=True):
        on_message(f"{file}: {file.stat().st_size / MEBIBYTE:.1f} MiB, {len(members)} files")
    script = out / "start.py"
    shutil.copyfile(start.__file__, script)
    on_message(f"{len(photos)} photos as JPEG of quality {quality}")
    return Packed([*files, script], len(photos), quality)


def _settings(config: Config, network: Path | None) -> Iterator[Member]:
    values = config.to_dict()
    values["data"] |= {"list": start.LIST if config.data.list else "", "resident": True}
    values["loss"]["perceptual_network"] = start.NETWORK if network else ""
    for number, name in enumerate(config.plugins):
        if name.endswith(".py"):
            values["plugins"][number] = f"{start.PLUGINS}/{number}/{Path(name).name}"
            yield values["plugins"][number], Path(name).read_bytes()
    yield start.SETTINGS, from_dict(values).to_toml().encode()
    if config.data.list:
        try:
            yield start.LIST, Path(config.data.list).read_bytes()
        except OSError as error:
            raise DataError(f"data.list: {config.data.list}: {error.strerror}") from None


def _code() -> Iterator[Member]:
    root = Path(freefill.__file__).parent
    for file in sorted(root.rglob("*.py")):
        yield f"{start.SOURCE}/freefill/{file.relative_to(root).as_posix()}", file.read_bytes()


def _weights(network: Path | None, init: Path | None) -> Iterator[Member]:
    if network is not None:
        halves = {name: tensor.half() for name, tensor in load_file(network).items()}
        yield start.NETWORK, save(halves)
    if init is not None:
        if not averages.is_average(init):
            raise CheckpointError(
                f"{init} holds no average weights ({averages.TENSORS} with {averages.RUN}): name "
                "the folder 'average' of a run"
            )
        folder = init.parent if init.name == averages.TENSORS else init
        for name in (averages.TENSORS, averages.RUN, averages.DISCRIMINATOR):
            if (folder / name).is_file():
                yield f"{start.INIT}/{name}", (folder / name).read_bytes()


def _wheels(folder: Path) -> Iterator[Member]:
    found = sorted(folder.glob("*.whl"))
    if not found:
        raise DataError(f"{folder} holds no wheels")
    for file in found:
        yield f"{start.WHEELS}/{file.name}", file.read_bytes()


def _chosen(data: Path, config: Config) -> list[tuple[Path, str]]:
    """List the photos that are used or kept out, each with its name in the parts."""
    # Decoding all of them tells which cannot be read, and of two sizes the larger one.
    store = open_store(data, config.data.size)
    indices = list(range(len(store)))
    if config.data.list:
        used, held = listed(store, Path(config.data.list))
        indices = sorted(used + held)
    found = []
    for name in (Path(store.names[index]) for index in indices):
        # Two folders may have photos of one name; a list, and what is kept out, go by it alone.
        folder = hashlib.sha256(name.parent.as_posix().encode()).hexdigest()[:8]
        found.append((data / name, f"{start.PHOTOS}/{folder}/{name.name}"))
    return found


def _promising(
    photos: list[tuple[Path, str]], size: int, room: int, on_message: Callable[[str], None]
) -> Iterator[int]:
    """Give the qualities at which the photos may fit, judged by some of them."""
    few = photos[:: max(1, len(photos) // SAMPLED)]
    for quality in QUALITIES:
        guessed = sum(map(_cost, _encoded(few, size, quality))) / len(few) * len(photos)
        if guessed <= room * 1.02:
            on_message(f"encoding {len(photos)} photos at quality {quality}")
            yield quality


def _encoded(photos: list[tuple[Path, str]], size: int, quality: int) -> list[Member]:
    def encode(photo: tuple[Path, str]) -> Member:
        path, name = photo
        buffer = io.BytesIO()
        image = Image.fromarray(decode(path, size))
        save_jpeg(image, buffer, quality=quality, optimize=True, progressive=True)
        return name, buffer.getvalue()

    with ThreadPoolExecutor(available_cores()) as pool:
        try:
            return list(pool.map(encode, photos))
        finally:
            pool.shutdown(cancel_futures=True)


def _cost(member: Member) -> int:
    """Count the bytes that a file takes in a tar: its header, and zeros to a whole block."""
    name, content = member
    blocks = -(-len(content) // tarfile.BLOCKSIZE)
    return len(tarfile.TarInfo(name).tobuf(tarfile.PAX_FORMAT)) + blocks * tarfile.BLOCKSIZE


def _size(members: Iterable[Member]) -> float:
    return sum(map(_cost, members)) / MEBIBYTE


def _divided(members: list[Member], room: int, parts: int) -> list[list[Member]] | None:
    """Divide files between parts, the largest first, each to the part with the most room.

    Returns:
        What lies in each part; ``None`` if it does not fit.
    """
    bins: list[list[Member]] = [[] for _ in range(parts)]
    left = [room] * parts
    for cost, member in sorted(((_cost(m), m) for m in members), key=lambda c: -c[0]):
        best = max(range(parts), key=left.__getitem__)
        left[best] -= cost
        if left[best] < 0:
            return None
        bins[best].append(member)
    return [sorted(part) for part in bins]


def _written(bins: list[list[Member]], out: Path) -> list[Path]:
    """Write the parts; those of an earlier call stay until all of these are whole."""
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"part-{number}.tar" for number in range(1, len(bins) + 1)]
    partial = [file.with_suffix(".partial") for file in files]
    try:
        for file, members in zip(partial, bins, strict=True):
            with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
                for name, content in members:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        for old in out.glob("part-*.tar"):
            old.unlink()
        for file, to in zip(partial, files, strict=True):
            file.replace(to)
    finally:
        for file in partial:
            file.unlink(missing_ok=True)
    return files
