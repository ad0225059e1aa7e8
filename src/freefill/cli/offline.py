"""``freefill offline``: a run packed for a machine without internet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freefill.cli.console import print_notice, print_result
from freefill.cli.lab import need_lab
from freefill.cli.options import Settings, SettingsFile
from freefill.errors import ReferenceMissingError, plural


def offline(
    data: Annotated[Path, typer.Option(help="Folder of photos.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the parts.", show_default=False)],
    config: SettingsFile = None,
    set_: Settings = None,
    init_from: Annotated[
        Path | None,
        typer.Option(
            help="Folder of average weights to start from, as training writes them: run/average.",
            show_default=False,
        ),
    ] = None,
    wheels: Annotated[
        Path | None,
        typer.Option(help="Folder of wheels for the other side's Python.", show_default=False),
    ] = None,
    parts: Annotated[int, typer.Option(help="The most parts.", min=1)] = 3,
    part_size: Annotated[
        float, typer.Option(help="The most that a part may have, in MiB.", min=1)
    ] = 48.0,
) -> None:
    """Pack a training run for a machine without internet.

    Code, photos, settings and the perceptual loss's network go into a few files of bounded size;
    photos become JPEG of the best quality that fits. Where they are brought, torch is needed beside
    them, and a few packages, whose wheels can be packed:

      freefill offline --data photos/ --config configs/light.toml --out parts/

      python3 parts/start.py --seconds 600 --out run

    The average weights are written to run/average every minute. Bring that folder back:

      freefill export run/average --out weights.onnx
    """
    need_lab()
    from freefill.lab import config as settings
    from freefill.lab.offline.pack import pack
    from freefill.weights import third_party

    chosen = settings.load(config, set_ or [])
    network = None
    if chosen.loss.perceptual:
        named = chosen.loss.perceptual_network
        network = Path(named) if named else third_party.fetch("lpips_vgg", print_notice)
        if not network.is_file():
            raise ReferenceMissingError(f"loss.perceptual_network: {network} is not there")
    packed = pack(
        data, out, chosen, network, init=init_from, wheels=wheels, parts=parts,
        part_size=part_size, on_message=print_notice,
    )  # fmt: skip
    print_result(
        f"{out}: {plural(len(packed.files), 'file')}. There: python3 start.py --seconds 600 --out "
        "run"
    )
