"""Pack a run into a few files that a machine without internet can train from.

In the parts lie the code, the photos as JPEG of a quality that fits, their list, the settings, the
perceptual loss's network in fp16, weights to start from, and any wheels. On the other side
``python3 start.py`` (:mod:`freefill.offline.start`), which lies beside them, does the rest; torch
has to be there.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from safetensors.torch import load_file, save

import freefill
from freefill.config import Config
from freefill.data.photos import decode, open_store
from freefill.data.sources import listed
from freefill.errors import DataError
from freefill.offline import start

MEGABYTE = 2**20
QUALITIES = (90, 85, 80, 75, 70, 65, 60, 50)
"""JPEG qualities that are tried, best first, until everything fits."""
SAMPLED = 100
"""Photos that a quality is judged by."""
OVERHEAD = 1024
"""Most bytes that a file costs a tar beside its own: a header, and zeros to a whole block."""


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
    network: Path,
    *,
    init: Path | None = None,
    wheels: Path | None = None,
    parts: int = 3,
    part_size: float = 48.0,
    say: Callable[[str], None] = print,
) -> Packed:
    """Write the parts.

    Args:
        data: Folder of photos.
        out: Folder for the parts, made if needed; older parts in it are replaced.
        config: All settings; ``data.list`` chooses the photos.
        network: The perceptual loss's network, ``lpips_vgg.safetensors``.
        init: Folder of average weights to start from, as training writes them.
        wheels: Folder of wheels for the other side's Python.
        parts: The most parts.
        part_size: The most that a part may have, in MiB.
        say: Called with lines for people.

    Returns:
        What was packed.

    Raises:
        DataError: If it does not fit at the lowest quality; nothing is written then.
    """
    chosen = _chosen(data, config)
    fixed = list(_fixed(config, network, init, wheels))
    if config.data.list:
        fixed.append((start.LIST, Path(config.data.list).read_bytes()))
    room = int(parts * part_size * MEGABYTE) - sum(len(c) + OVERHEAD for _, c in fixed)
    # What does not divide evenly between parts costs at most a photo each.
    quality, photos = _photos(chosen, config.data.size, int(room * 0.995), say)
    bins = _divided(fixed + photos, int(part_size * MEGABYTE), parts)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("part-*.tar"):
        old.unlink()
    files = []
    for number, members in enumerate(bins, 1):
        path = out / f"part-{number}.tar"
        with tarfile.open(path.with_suffix(".partial"), "w") as tar:
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        path.with_suffix(".partial").replace(path)
        files.append(path)
        say(f"{path}: {path.stat().st_size / MEGABYTE:.1f} MiB, {len(members)} files")
    script = out / "start.py"
    shutil.copyfile(start.__file__, script)
    say(f"{len(photos)} photos as JPEG of quality {quality}")
    return Packed([*files, script], len(photos), quality)


def _chosen(data: Path, config: Config) -> list[Path]:
    """List the photos that are used, each name once, and the few that are kept for previews."""
    store = open_store(data, config.data.size)
    indices = range(len(store))
    if config.data.list:
        used, held = listed(store, Path(config.data.list))
        indices = sorted(used + held)  # type: ignore[assignment]
    return [data / store.names[index] for index in indices]


def _fixed(
    config: Config, network: Path, init: Path | None, wheels: Path | None
) -> Iterator[tuple[str, bytes]]:
    values = config.to_dict()
    values["data"] |= {"list": start.LIST if config.data.list else "", "resident": True}
    values["loss"]["perceptual_network"] = start.NETWORK
    yield start.SETTINGS, json.dumps(values).encode()
    yield start.NETWORK, save({k: v.half().contiguous() for k, v in load_file(network).items()})
    root = Path(freefill.__file__).parent
    for file in sorted(root.rglob("*")):
        if file.suffix in {".py", ".jinja", ".toml"} and "__pycache__" not in file.parts:
            yield f"src/freefill/{file.relative_to(root).as_posix()}", file.read_bytes()
    for folder, name in ((init, start.INIT), (wheels, start.WHEELS)):
        if folder is not None:
            for file in sorted(p for p in folder.iterdir() if p.is_file()):
                yield f"{name}/{file.name}", file.read_bytes()


def _photos(
    paths: list[Path], size: int, room: int, say: Callable[[str], None]
) -> tuple[int, list[tuple[str, bytes]]]:
    """Encode the photos at the best quality that fits."""
    few = paths[:: max(1, len(paths) // SAMPLED)]
    decoded = [Image.fromarray(decode(path, size)) for path in few]
    for quality in QUALITIES:
        guessed = sum(len(_jpeg(image, quality)) + OVERHEAD for image in decoded)
        if guessed / len(few) * len(paths) > room * 1.02:
            continue
        say(f"encoding {len(paths)} photos at quality {quality}")
        with ThreadPoolExecutor() as pool:
            found = pool.map(lambda p: _jpeg(Image.fromarray(decode(p, size)), quality), paths)
            photos = [(_name(path), content) for path, content in zip(paths, found, strict=True)]
        if sum(len(content) + OVERHEAD for _, content in photos) <= room:
            return quality, photos
    raise DataError(
        f"{len(paths)} photos do not fit into {room / MEGABYTE:.0f} MiB at JPEG quality "
        f"{QUALITIES[-1]}: take fewer, or more or larger parts"
    )


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
    return buffer.getvalue()


def _name(path: Path) -> str:
    # Two folders may have photos of one name; where a list chooses, it goes by the name alone.
    folder = hashlib.sha256(str(path.parent).encode()).hexdigest()[:6]
    return f"{start.PHOTOS}/{folder}/{path.name}"


def _divided(
    members: list[tuple[str, bytes]], most: int, parts: int
) -> list[list[tuple[str, bytes]]]:
    """Divide files between parts, the largest first, each to the part with the most room."""
    bins: list[list[tuple[str, bytes]]] = [[] for _ in range(parts)]
    # A tar ends with zeros to a whole record.
    left = [most - 12 * 1024] * parts
    for name, content in sorted(members, key=lambda member: -len(member[1])):
        best = max(range(parts), key=left.__getitem__)
        left[best] -= len(content) + OVERHEAD
        if left[best] < 0:
            raise DataError(f"{name} does not fit into a part of {most / MEGABYTE:.0f} MiB")
        bins[best].append((name, content))
    return [sorted(members) for members in bins if members]
