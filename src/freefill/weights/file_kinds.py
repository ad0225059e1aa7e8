"""What a file is that was given as a network and is none: told from its first and last bytes.

PyTorch's files are programs (pickles, TorchScript's code), so nothing in them is run or unpickled:
only the names in the zip are looked at.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
from pathlib import Path

from freefill.errors import WeightsError
from freefill.files.json_files import open_at_once

MOST = 2**31 - 1
"""Bytes that an ONNX file may have: what Protocol Buffers allow."""
MOST_NAMES = 1 << 20
"""Bytes of a zip's list of names that are read; LaMa's has 60 kB."""
_TAKES_ITS_PLACE = {"lama": "lama", "migan": "migan", "mi-gan": "migan", "mi_gan": "migan"}
_IN_CODE = {"saicinpainting": "lama", "migan": "migan"}
"""Words in the names of a TorchScript's modules."""


def check_is_network(path: Path) -> None:
    """Refuse what is no network before ONNX Runtime reads it, where a line can say what it is.

    Args:
        path: The file.

    Raises:
        WeightsError: If it is no file, is empty or too large, or is a known file of another kind.
    """
    try:
        with open(path, "rb", opener=open_at_once) as file:
            found = os.fstat(file.fileno())
            start = file.read(512) if stat.S_ISREG(found.st_mode) else b""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{path} cannot be read: {reason}") from None
    if not stat.S_ISREG(found.st_mode):
        raise WeightsError(f"{path} is no file: it is a folder, a pipe or a device")
    if not found.st_size:
        raise WeightsError(f"{path} is empty")
    if found.st_size > MOST:
        raise WeightsError(f"{path} has {found.st_size:,} bytes; an ONNX file has {MOST:,} at most")
    if start.startswith(b"PK\x03\x04"):
        explain_torchscript(path)
        raise WeightsError(f"{path} is a zip, not an ONNX file: unpack it")
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"{path} is a pointer of Git LFS, not the file itself: `git lfs pull` fetches that"
        )
    if re.match(rb"\s*<(!doctype|html|\?xml)", start, re.IGNORECASE):
        raise WeightsError(f"{path} is a web page, not an ONNX file: the download went wrong")


def explain_torchscript(path: Path) -> None:
    """Refuse a TorchScript file with the command that takes its place; let anything else pass.

    Args:
        path: A file, perhaps IOPaint's ``big-lama.pt`` or ``migan_traced.pt``.

    Raises:
        WeightsError: If it is one.
    """
    names = _names_in_zip(path)
    script = any(re.search(r"(^|/)code/", name) for name in names)
    if not script or not any(re.search(r"(^|/)(data|constants)\.pkl$", name) for name in names):
        return
    told = f"{path} is a TorchScript file: a program for PyTorch, which freefill does not run"
    code = " ".join(name.lower() for name in names if "/code/" in f"/{name}")
    found = [weights for word, weights in _IN_CODE.items() if word in code]
    stem = path.stem.lower()
    found += [weights for word, weights in _TAKES_ITS_PLACE.items() if word in stem]
    if not found:
        raise WeightsError(f"{told}; export it as ONNX, and see docs/models.md")
    raise WeightsError(
        f"{told}. The same network as ONNX: `freefill weights pull {found[0]}`, then --model "
        f"{found[0]}"
    )


def _names_in_zip(path: Path) -> list[str]:
    """List the files in a zip; none for anything else, or a list that is too long to be read."""
    try:
        with open(path, "rb", opener=open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return []
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (1 << 16)))
            end = file.read(1 << 16)
            # The record at a zip's end says how long its list is. In a zip of 4 GB it does not.
            place = end.rfind(b"PK\x05\x06")
            if place < 0 or len(end) < place + 22:
                return []
            if struct.unpack_from("<I", end, place + 12)[0] > MOST_NAMES:
                return []
            with zipfile.ZipFile(file) as archive:
                return archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, struct.error):
        return []
