"""``freefill serve`` and ``freefill studio``."""

from __future__ import annotations

import secrets
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freefill.cli import options
from freefill.cli.console import print_notice
from freefill.cli.lan import ALL, fragment, listening_host, print_addresses
from freefill.imaging.formats import MAX_PIXELS

if TYPE_CHECKING:
    from freefill.server.settings import Settings

MEGA = 1_000_000

Lan = Annotated[
    bool,
    typer.Option(
        "--lan",
        help="Let other machines of the network in, as a phone: prints the address with a token, "
        "and a QR code of it.",
    ),
]


def serve(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8080,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Any but this machine's own needs --token.",
            # No FREEFILL_PORT: Kubernetes sets that for a service of this name, to a URL.
            envvar="FREEFILL_HOST",
        ),
    ] = "127.0.0.1",
    lan: Lan = False,
    token: Annotated[
        str | None,
        typer.Option(
            help="Secret that every request must carry (Authorization: Bearer ...); at least 16 "
            "characters.",
            envvar="FREEFILL_TOKEN",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Weights that can be asked for: names or .onnx files, the default first; all that "
            "are here without it.",
            show_default=False,
        ),
    ] = None,
    device: options.Device = options.DeviceChoice.cpu,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Photos at a time; one a core (or one a CPU of a container's limit) by default.",
            min=1,
            show_default=False,
        ),
    ] = None,
    queue: Annotated[
        int, typer.Option(help="Requests that may wait; beyond them the answer is 429.", min=0)
    ] = 32,
    timeout: Annotated[
        float, typer.Option(help="Seconds that a request may take, waiting included.", min=0.1)
    ] = 60,
    drain: Annotated[
        float,
        typer.Option(
            help="Seconds that it still answers after SIGTERM while /readyz says 503, so that load "
            "balancers notice.",
            min=0,
        ),
    ] = 0,
    max_body: Annotated[int, typer.Option(help="Megabytes of a request.", min=1)] = 128,
    max_pixels: Annotated[
        int,
        typer.Option(
            help="Refuse images whose width times height is more, before they are decoded.", min=1
        ),
    ] = MAX_PIXELS,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name by which the server may be called.", show_default=False),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Another page that may call it, e.g. https://example.org.", show_default=False
        ),
    ] = None,
) -> None:
    """Serve the studio's page and an API, on this machine alone.

    Open the address in a browser, or ask it from a program:

      freefill serve --port 8080

      curl -F image=@photo.jpg -F mask=@mask.png localhost:8080/v1/fill > new.jpg

    localhost:8080/docs describes the API, localhost:8080/openapi.json does it for programs;
    IOPaint's clients are answered, too.

    Behind a load balancer, with /healthz and /readyz for its probes:

      FREEFILL_TOKEN=... freefill serve --host 0.0.0.0 --workers 2 --drain 5
    """
    _check_extra()
    from freefill.server.settings import Settings

    if lan:
        host = listening_host(host)
        token = token or secrets.token_urlsafe(24)
    settings = Settings(
        host=host,
        port=port,
        token=token,
        models=tuple(model or ()),
        device=device.value,
        workers=workers,
        queue=queue,
        timeout=timeout,
        drain=drain,
        max_body=max_body * MEGA,
        max_pixels=max_pixels,
        allow_hosts=tuple(allow_host or ()),
        allow_origins=tuple(allow_origin or ()),
    )
    _serve(settings, lan=lan)


def studio(
    photo: Annotated[
        Path | None, typer.Argument(help="The photo to open.", show_default=False)
    ] = None,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Whether to open the browser.")
    ] = True,
    lan: Lan = False,
) -> None:
    """Open a photo in the browser: brush over what should go, and it is gone.

    The photo stays on this machine, and only the page that is opened here can ask the server.

    Example:
      freefill studio photo.jpg

    On a phone in the same network, with its camera and its photos (scan the code that is printed):

      freefill studio --lan
    """
    _check_extra()
    from freefill.imaging.io import read_picture
    from freefill.server.settings import Settings

    given = None
    if photo is not None:
        # What cannot be read is said here, not in the browser.
        read_picture(photo)
        given = photo.name, photo.read_bytes()
    host = listening_host("127.0.0.1") if lan else "127.0.0.1"
    settings = Settings(host=host, port=port, token=secrets.token_urlsafe(24))
    _serve(settings, given, browser, lan)


def _serve(
    settings: Settings,
    photo: tuple[str, bytes] | None = None,
    browser: bool | None = None,
    lan: bool = False,
) -> None:
    from freefill.server.running import serve as run

    def ready(listening: str) -> None:
        url = listening.replace(ALL, "127.0.0.1") if lan else listening
        if settings.token and (lan or browser is not None):
            url += fragment(settings.token, photo is not None)
        about = "API: /docs, " if browser is None else ""
        typer.echo(f"freefill: {url} ({about}Ctrl-C stops it)")
        if lan and settings.token:
            print_addresses(listening, settings.token, photo is not None)
        if browser:
            # A browser in a terminal ends when it is closed: the server must not wait for that.
            threading.Thread(target=_open, args=(url,), daemon=True).start()

    run(settings, photo, ready)
    print_notice("stopped")


def _open(url: str) -> None:
    if not webbrowser.open(url):
        print_notice("no browser could be opened: open the address above")


def _check_extra() -> None:
    from freefill.errors import ExtraMissingError

    try:
        import fastapi  # noqa: F401
        import ifaddr  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import segno  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ExtraMissingError(f"{error.name} is missing: pip install 'freefill[serve]'") from None
