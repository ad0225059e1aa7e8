"""What may be the address of weights, looked at when a registry is read: nothing is asked yet."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from freefill.errors import WeightsError


def check_address(url: str) -> None:
    """Refuse what is no https, http or file address, or cannot be asked for as it is written.

    Args:
        url: The address.

    Raises:
        WeightsError: If it is none, has characters that addresses do not have, a port that is no
            number, or a user name or password, which would end in logs and cards.

    Examples:
        >>> check_address("ftp://example.org/big.onnx")
        Traceback (most recent call last):
        ...
        freefill.errors.WeightsError: 'ftp://example.org/big.onnx' is no https, http or file address
    """
    try:
        parts = urlsplit(url)
        named = parts.username is not None or parts.password is not None
    except ValueError as error:
        raise WeightsError(f"{_shown(url)} is no address: {error}") from None
    if named:
        # The address itself is not printed: it has a password in it.
        raise WeightsError(
            f"the address of {parts.hostname!r} has a user name or password in it: only addresses "
            "that are open to all are fetched from"
        )
    if found := re.search(r"[^!-~]", url):
        raise WeightsError(
            f"{_shown(url)} has {found[0]!a} as its character {found.start() + 1}: addresses "
            "are ASCII without spaces, all else is written as %20 or the like"
        )
    try:
        port = parts.port
    except ValueError as error:
        raise WeightsError(f"{_shown(url)} has no port that there can be: {error}") from None
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise WeightsError(f"{_shown(url)} is no https, http or file address")


def _shown(url: str) -> str:
    return ascii(url[:200])
