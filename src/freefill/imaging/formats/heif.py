"""HEIC and HEIF, where pillow-heif is installed (the extra ``heif``)."""

from __future__ import annotations

from freefill.errors import ImageError

EXTRA = "pip install 'freefill[heif]'"
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
ENDINGS = (".heic", ".heif", ".hif")


def is_heif(prefix: bytes) -> bool:
    """Whether the first bytes of a file are those of HEIF."""
    return prefix[4:8] == b"ftyp" and prefix[8:12] in BRANDS


def register(name: str) -> None:
    """Let Pillow read and write HEIF.

    Args:
        name: The file that it is for.

    Raises:
        ImageError: If pillow-heif is not installed; the message is the command that does.
    """
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(f"{name} is HEIC: {EXTRA} reads and writes it") from None
    pillow_heif.register_heif_opener()
