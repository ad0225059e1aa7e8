"""``--lan``: where other machines of the network find this one, as lines and as a QR code."""

from __future__ import annotations

import io
import ipaddress
import shutil
import socket
import sys
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import typer

from freefill.errors import ConfigError

ALL = "0.0.0.0"  # noqa: S104
"""Listening there is listening at every address, this machine's own included; a token is asked."""
ELSEWHERE = ("192.0.2.1", 9)
"""An address of nobody (RFC 5737): the system tells which interface would lead there."""
FIXED_COLOURS = "\x1b[38;5;231;48;5;16m"
"""White on black out of the 240 colours that no theme of a terminal changes."""


@dataclass(frozen=True)
class Address:
    """Where other machines can reach this one.

    Attributes:
        ip: IPv4, as ``192.168.1.20``.
        interface: What the system calls it, as ``wlan0``.
    """

    ip: str
    interface: str


def addresses() -> list[Address]:
    """List this machine's addresses in its networks, the one of the default route first.

    Nothing is sent. Left out are addresses of this machine alone, and those that an interface gives
    itself where no network gives it one (169.254...).
    """
    import ifaddr

    found = [
        Address(str(one.ip), adapter.nice_name)
        for adapter in ifaddr.get_adapters()
        for one in adapter.ips
        if one.is_IPv4
    ]
    found = [one for one in found if _is_reachable(one.ip)]
    first = _outgoing()
    return sorted(found, key=lambda one: one.ip != first)


def _is_reachable(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)


def _outgoing() -> str | None:
    """Give the address that packets to other networks would carry."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # A datagram socket that connects sends nothing, it only chooses its own address.
            probe.connect(ELSEWHERE)
        except OSError:
            return None
        ip: str = probe.getsockname()[0]
        return ip


def listening_host(host: str) -> str:
    """Give the address to listen on with ``--lan``.

    Args:
        host: What ``--host`` says.

    Raises:
        ConfigError: If that is one address alone, or this machine is in no network.
    """
    if host not in ("127.0.0.1", "localhost", ALL):
        raise ConfigError(
            f"--lan listens on every address, --host {host} on that one: take one of them"
        )
    if not addresses():
        raise ConfigError(
            "--lan: this machine has no address in a network, so no other can reach it: connect it "
            "to one, or leave --lan out"
        )
    return ALL


def print_addresses(url: str, token: str, photo: bool) -> None:
    """Print where this machine and others open the page, and a QR code for a phone.

    Args:
        url: Where the server listens, as ``http://0.0.0.0:8080/``.
        token: Its secret. It stands behind the ``#``, which browsers send to nobody.
        photo: Whether the page is to open the photo that the server was started with.
    """
    port = urlsplit(url).port
    found = addresses()
    links = [f"http://{one.ip}:{port}/{fragment(token, photo)}" for one in found]
    for one, link in zip(found, links, strict=True):
        where = f" ({one.interface})" if len(found) > 1 else ""
        typer.echo(f"freefill: on a phone in the same network{where}: {link}")
    if links:
        _print_qr(links[0])
    typer.echo(
        "freefill: this is plain HTTP: whoever can listen in that network can read photos and the "
        "token along; use it in networks that you trust"
    )


def fragment(token: str, photo: bool) -> str:
    """Give what the page takes from its address.

    Examples:
        >>> fragment("a+b", photo=True)
        '#token=a%2Bb&photo'
    """
    return f"#token={quote(token, safe='')}" + ("&photo" if photo else "")


def _print_qr(link: str) -> None:
    lines = qr_lines(link)
    if not _can_hold(lines[0]):
        return
    if len(lines[0]) > shutil.get_terminal_size().columns:
        typer.echo(f"freefill: a terminal of {len(lines[0])} columns would have room for a QR code")
        return
    # Where it is no terminal, typer leaves the colours out.
    for line in lines:
        typer.echo(f"{FIXED_COLOURS}{line}\x1b[0m")


def _can_hold(line: str) -> bool:
    try:
        line.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def qr_lines(text: str) -> list[str]:
    """Draw a QR code, with its quiet zone, of half blocks: two rows of it in each line.

    Blocks are its light part, so it is right in light letters on a dark ground.
    """
    import segno

    out = io.StringIO()
    segno.make_qr(text, error="l").terminal(out, compact=True)
    return out.getvalue().splitlines()
