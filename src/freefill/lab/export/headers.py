"""The first look at a safetensors file; needs no ONNX, which a machine that trains may lack."""

from __future__ import annotations

from pathlib import Path

from freefill.errors import WeightsError
from freefill.lab.export.pickles import check_size

HEADER_LIMIT = 4 * 2**20
"""Bytes of a safetensors header."""


def check_header(path: Path) -> None:
    """Refuse a safetensors file whose size or header make no sense, before it is opened.

    Raises:
        WeightsError: If they do not.
    """
    size = check_size(path)
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > min(HEADER_LIMIT, size - 8):
        raise WeightsError(
            f"{path} is no safetensors file: its header would have {header:,} bytes, the file has "
            f"{size:,}"
        )
