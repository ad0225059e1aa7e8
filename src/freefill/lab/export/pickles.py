"""Weights out of ``.pth`` files from anywhere, as data and nothing else.

Such a file is a pickle: a small program. torch runs it with ``weights_only=True``, which calls a
short list of harmless functions. Some of those can still be made to ask for any amount of memory,
so the program is first read, not run, and must be one that a dict of tensors needs; and what
surrounds it must be no larger than it is on the disk.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from freefill.errors import WeightsError
from freefill.lab.export.programs import check_program

LIMIT = 512 * 2**20
"""Bytes of a file; this network with its critic and both optimizers has 120 MB."""
PROGRAM_LIMIT = 4 * 2**20
"""Bytes of a pickle without its numbers."""
DIRECTORY_LIMIT = 4 * 2**20
"""Bytes of a zip's list of entries."""


def check_size(path: Path) -> int:
    """Refuse a file that is too large to be read, before anything of it is.

    Args:
        path: The file.

    Returns:
        Its bytes.

    Raises:
        WeightsError: If it does not exist or has more than :data:`LIMIT` bytes.
    """
    if not path.is_file():
        raise WeightsError(f"{path} {'is no file' if path.exists() else 'does not exist'}")
    size = path.stat().st_size
    if size > LIMIT:
        raise WeightsError(
            f"{path} has {size:,} bytes, more than {LIMIT:,}: the weights of this network have "
            "about 16,000,000"
        )
    return size


def load_pickle(path: Path) -> Any:
    """Read a file that ``torch.save`` wrote, in its present or its old format.

    Args:
        path: The file.

    Returns:
        What was saved, tensors on the CPU. Those of the present format stay in the file until they
        are used.

    Raises:
        WeightsError: If it is too large, damaged, or holds more than tensors and plain values.
            Nothing in it is run.
    """
    size = check_size(path)
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\3\4"
        if zipped:
            _check_zip(path, size)
        else:
            _check_old(path, size)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except WeightsError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from None
    except Exception as error:  # torch, zipfile and pickle each have their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path} cannot be read; nothing in it was run: {reason}") from None


def _check_zip(path: Path, size: int) -> None:
    _check_directory(path, size)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = [entry.filename.lower() for entry in entries]
        if any("/code/" in name or name.endswith("constants.pkl") for name in names):
            raise WeightsError(
                "it is a TorchScript program: only weights are read, save its state_dict()"
            )
        if len(set(names)) != len(names):
            raise WeightsError("two entries of the zip have the same name")
        packed = [entry for entry in entries if entry.compress_type or entry.flag_bits & 1]
        if packed:
            raise WeightsError(
                f"{packed[0].filename[:80]} in it is compressed or encrypted, which torch does "
                "not write"
            )
        total = sum(entry.file_size for entry in entries)
        if total > size:
            raise WeightsError(
                f"its entries have {total:,} bytes, the file {size:,}: some share their bytes"
            )
        programs = [entry for entry in entries if entry.filename.lower().endswith("data.pkl")]
        if len(programs) != 1:
            raise WeightsError(f"it is a zip with {len(programs)} data.pkl; torch writes one")
        if programs[0].file_size > PROGRAM_LIMIT:
            raise WeightsError(f"its data.pkl has {programs[0].file_size:,} bytes")
        check_program(BytesIO(archive.read(programs[0])), size)
        # torch takes the numbers as they are; the zip knows what they were.
        if damaged := archive.testzip():
            raise WeightsError(f"{damaged[:80]} in it is damaged: its checksum is another one")


def _check_directory(path: Path, size: int) -> None:
    """See to it that there is one list of entries, and a short one.

    A zip can end in several, and two readers then see different files.
    """
    length = min(size, 98)
    with path.open("rb") as file:
        file.seek(size - length)
        tail = file.read(length).rjust(98, b"\0")
    end, locator, large = tail[76:], tail[56:76], tail[:56]
    if end[:4] != b"PK\5\6" or end[20:] != b"\0\0":
        raise WeightsError("its last 22 bytes are not the end of a zip from torch: it is cut off")
    listed = int.from_bytes(end[12:16], "little")
    if locator[:4] == b"PK\6\7":
        place = int.from_bytes(locator[8:16], "little")
        if large[:4] != b"PK\6\6" or place != size - 98:
            raise WeightsError("the end of the zip is damaged")
        listed = max(listed, int.from_bytes(large[40:48], "little"))
    if listed > DIRECTORY_LIMIT:
        raise WeightsError(f"its list of entries has {listed:,} bytes, over {DIRECTORY_LIMIT:,}")


def _check_old(path: Path, size: int) -> None:
    """Check the five pickles that the format before 2020 begins with."""
    with path.open("rb") as file:
        programs = BytesIO(file.read(PROGRAM_LIMIT))
    for _ in range(5):
        check_program(programs, size)
