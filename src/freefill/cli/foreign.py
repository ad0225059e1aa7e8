"""``freefill weights import`` and ``verify``: weights that others trained."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from freefill.cli.console import cleaned, print_answer, print_notice
from freefill.cli.lab import need_lab
from freefill.weights.file_kinds import explain_torchscript

if TYPE_CHECKING:
    from freefill.lab.export import foreign
    from freefill.lab.layers import gated
    from freefill.lab.models import deepfill
    from freefill.pipeline.engines.base import Engine
    from freefill.pipeline.engines.foreign import ForeignEngine
    from freefill.weights.registry import Weights


class ChannelOrder(StrEnum):
    """Order of a file's colours."""

    rgb = "rgb"
    bgr = "bgr"


class Padding(StrEnum):
    """How convolutions of stride 2 are padded."""

    same = "same"
    symmetric = "symmetric"


class MaskResize(StrEnum):
    """How the hole is shrunk for the attention."""

    two_step = "two-step"
    one_step = "one-step"


class Attention(StrEnum):
    """Whose contextual attention."""

    released = "released"
    port = "port"


def import_weights(
    path: Annotated[
        Path,
        typer.Argument(
            help="TensorFlow checkpoint (folder or prefix), .pth, .safetensors, .onnx, or a run.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The .onnx file.", show_default=False)],
    name: Annotated[
        str | None, typer.Option(help="Name on the card; by default the file's.")
    ] = None,
    channel_order: Annotated[
        ChannelOrder | None, typer.Option(help="Order of the file's colours.")
    ] = None,
    fuse: Annotated[
        bool | None,
        typer.Option("--fuse/--no-fuse", help="Whether the attention fuses neighbours' scores."),
    ] = None,
    padding: Annotated[
        Padding | None, typer.Option(help="'same' as TensorFlow pads, or 'symmetric'.")
    ] = None,
    mask_resize: Annotated[
        MaskResize | None, typer.Option(help="How the hole is shrunk for the attention.")
    ] = None,
    attention: Annotated[
        Attention | None,
        typer.Option(help="Whose contextual attention: the released code's or the port's own."),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence on the card; the released weights': CC BY-NC 4.0.")
    ] = None,
) -> None:
    """Make DeepFill v2 weights from elsewhere usable: ONNX, safetensors and a card.

    What is not given is taken from the kind of file. Nothing in the file is run. Example:

      freefill weights import model_logs/release_places2_256_deepfill_v2 --out places2.onnx

      freefill fill photo.jpg --mask mask.png --out filled.png --model places2.onnx
    """
    need_lab()
    from freefill.lab.export import importing

    card = importing.import_weights(
        path,
        out,
        name=name,
        channel_order=cast("foreign.ChannelOrder | None", channel_order and channel_order.value),
        fuse=fuse,
        padding=cast("gated.Padding | None", padding and padding.value),
        mask_resize=cast("deepfill.MaskResize | None", mask_resize and mask_resize.value),
        attention=cast("deepfill.Attention | None", attention and attention.value),
        licence=licence,
        on_message=print_notice,
    )
    print_answer(
        cleaned(
            f"{out}: {card['bytes'] / 1e6:.2f} MB, licence {card['licence']}. Next: freefill fill "
            f"PHOTO --mask MASK --out RESULT --model {shlex.quote(str(out))}"
        )
    )


def verify(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME_OR_PATH",
            help="Name from the list or an .onnx file; with --examples anything that can be "
            "imported.",
            show_default=False,
        ),
    ],
    photo: Annotated[
        Path | None,
        typer.Option(
            help="A photo with many colours: fill parts of it that are known, in both orders of "
            "colours.",
            show_default=False,
        ),
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(
            help="Folder with NAME_input.png, NAME_mask.png and NAME_output.png: find the setting "
            "that gives these outputs.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check a file against its card and by fills; or DeepFill v2 weights against known outputs.

    A network from elsewhere fills a red and blue picture, whose hues must come out, and, if its
    card says so, with the known part as it was: so a wrong mask, range or order of colours shows.
    With --photo it is told from the error which order of colours it was trained with.

    The released DeepFill code has outputs in examples/places2. Exits with 1 if the network fails.

    Examples:
      freefill weights verify lama-small --photo photo.jpg

      freefill weights verify release_places2_256_deepfill_v2 --examples examples/places2
    """
    if examples is None:
        _verify_card(model, photo)
        return
    need_lab()
    from freefill.lab.export.verifying import verify_outputs

    def say(line: str) -> None:
        print_answer(line)

    _, verdict = verify_outputs(Path(model), examples, say, print_notice)
    if verdict != "found":
        raise typer.Exit(1)


def _verify_card(model: str, photo: Path | None) -> None:
    import os

    from freefill.errors import WeightsError
    from freefill.pipeline.engines import open_engine
    from freefill.pipeline.engines.foreign import ForeignEngine
    from freefill.weights.registry import find, list_weights

    path = Path(model)
    known = any(weights.name == model for weights in list_weights())
    if not known and path.suffix != ".onnx" and path.exists():
        explain_torchscript(path)
        raise WeightsError(
            f"{path} is no .onnx file with a card: give the folder of known outputs with "
            "--examples to find out how it is to be run, or make it one with 'freefill weights "
            f"import {shlex.quote(model)} --out OUT.onnx'"
        )
    weights = find(model)
    engine = None
    if path.suffix == ".onnx" and not os.path.lexists(weights.card_path):
        # Freefill's own always have a card; what comes from elsewhere need not.
        engine = open_engine(weights.path)
    if not isinstance(engine, ForeignEngine):
        weights.check()
        print_answer(f"{weights.path}: {weights.size / 1e6:.1f} MB, sha256 as on its card")
        engine = open_engine(weights.path)
    if isinstance(engine, ForeignEngine):
        _verify_foreign(engine, photo)
    else:
        _verify_own(weights, engine)


def _verify_own(weights: Weights, engine: Engine) -> None:
    import numpy as np

    from freefill.errors import WeightsError

    ramp = np.linspace(-1, 1, 128, dtype=np.float32)
    image = np.stack(np.broadcast_arrays(ramp[None], ramp[:, None], -ramp[None]))[None]
    hole = np.zeros((1, 1, 128, 128), np.float32)
    hole[..., 40:80, 50:90] = 1
    filled = engine.predict(np.ascontiguousarray(image), hole)
    if filled.shape != image.shape or not np.isfinite(filled).all():
        raise WeightsError(
            f"{weights.path} fills a {image.shape} gradient with {filled.shape}, not with finite "
            "colours of the same size: it is no generator that freefill can use"
        )
    print_answer(
        f"128x128 gradient filled: {float(filled.min()):.2f} to {float(filled.max()):.2f} in [-1, "
        "1], all finite"
    )


def _verify_foreign(engine: ForeignEngine, photo: Path | None) -> None:
    from freefill.pipeline.engines import trial

    print_answer(f"{engine.network.path}: {engine.contract.expected}")
    found = trial.two_colours(engine)
    print_answer(
        f"a red and blue picture: the fill of the red half has {found.red}, of the blue half "
        f"{found.blue} (red, green, blue of 255); known pixels come back within {found.known:.1f}"
    )
    failures = found.failures(engine.contract)
    for line in failures:
        print_notice(line)
    if photo is not None:
        failures += _verify_order(engine, photo)
    if failures:
        raise typer.Exit(1)
    print_answer("hues are kept" + (", known pixels too" if engine.contract.composites else ""))


def _verify_order(engine: ForeignEngine, photo: Path) -> list[str]:
    from freefill.pipeline.engines import trial

    stated = engine.contract.channels
    errors = trial.errors_by_order(engine, photo)
    better = min(errors, key=lambda order: errors[order])
    told = ", ".join(f"{order} {error:.2f}" for order, error in errors.items())
    print_answer(f"{photo}: mean error of known parts that were filled, of 255: {told}")
    other = errors[better] < trial.CLEARLY * errors[stated]
    if not other:
        return []
    line = (
        f"it fills better with colours as {better}: its card says {stated}. Change "
        f"network.channels in {engine.network.path.with_suffix('.json')}, and tell us"
    )
    print_notice(line)
    return [line]
