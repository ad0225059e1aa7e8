"""What a server allows, and how much of it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from freefill.errors import ConfigError
from freefill.imaging.formats import MAX_PIXELS
from freefill.pipeline.engines.devices import Device

SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Settings:
    """Limits and permissions.

    Attributes:
        host: Address to listen on.
        port: Port; 0 takes a free one.
        token: What requests must carry (``Authorization: Bearer``); ``None``: nothing.
        models: Names or ONNX files that can be asked for, the default first; empty: all that are
            here.
        device: What computes, as for :class:`~freefill.Inpainter`.
        workers: Photos that are worked on at a time; ``None``: one a core.
        queue: Requests that may wait beyond those.
        timeout: Seconds from the end of a request's body to its answer.
        drain: Seconds between SIGTERM and the end of listening, for load balancers to notice.
        body_seconds: Seconds that a request's body may take.
        max_body: Bytes of a request.
        max_pixels: The most that width times height of a photo or mask may be.
        allow_hosts: Names beside this machine's own by which it may be called.
        allow_origins: Other pages that may call it, as ``https://example.org``.

    Raises:
        ConfigError: If a value is impossible, or would let others in without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    models: tuple[str, ...] = ()
    device: Device = "cpu"
    workers: int | None = None
    queue: int = 32
    timeout: float = 60.0
    drain: float = 0.0
    body_seconds: float = 30.0
    max_body: int = 128_000_000
    max_pixels: int = MAX_PIXELS
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ConfigError(
                f"the token has {len(self.token)} characters; it needs {SHORTEST_TOKEN} or more"
            )
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ConfigError("the token has characters that no header can carry: take ASCII")
        if not self.is_local and self.token is None:
            raise ConfigError(
                f"--host {self.host} lets other machines in: give --token a secret of "
                f"{SHORTEST_TOKEN} characters or more (or set FREEFILL_TOKEN)"
            )
        for origin in self.allow_origins:
            scheme, colon, rest = origin.partition("://")
            if scheme not in ("http", "https") or not colon or not rest or "/" in rest:
                raise ConfigError(
                    f"--allow-origin {origin}: an origin is like https://example.org:8080"
                )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
