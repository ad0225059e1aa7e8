"""``freefill train`` and ``export``: the commands that need the lab."""

from __future__ import annotations

import shlex
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freefill.cli.console import print_notice, print_result
from freefill.cli.options import Plugins, Settings, SettingsFile
from freefill.errors import ConfigError, ExtraMissingError
from freefill.files.json_files import read_json

if TYPE_CHECKING:
    from freefill.lab.config import ModelConfig
    from freefill.lab.training.loop import Progress

NEEDED = (
    "torch", "lightning_fabric", "tensorboard", "safetensors", "onnx", "pydantic", "tomli_w",
    "scipy", "jinja2",
)  # fmt: skip
DAY = 24 * 60 * 60


def train(
    data: Annotated[
        str,
        typer.Option(
            help="Folder of photos, searched with its subfolders; or WebDataset shards, as "
            "'freefill pack' makes them: their folder, shard-{000..099}.tar, or an http address.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder of the run: log, previews, checkpoint.", show_default=False),
    ],
    config: SettingsFile = None,
    set_: Settings = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            help="Start from these weights: a bundled name (light), an .onnx or .safetensors file, "
            "or another run.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Stop after so many seconds; the learning rate falls by then.",
            min=1,
            show_default=False,
        ),
    ] = None,
    average_every: Annotated[
        float | None,
        typer.Option(
            help="Write the average weights, in fp16, after each so many seconds.",
            min=1,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train a network on your own photos.

    The defaults train 'light' from scratch in about an hour on two cores. Examples:

      freefill train --data photos/ --out runs/mine

      freefill train --data photos/ --out runs/mine --config configs/finetune.toml --init-from light

      freefill train --data photos/ --out runs/mine --resume

    Ctrl-C and SIGTERM end the step in work and save. A run that is done becomes longer by:

      freefill train --data photos/ --out runs/mine --resume --set train.stages.0.steps=9000

    On several processes or GPUs, which share each batch (add --nnodes for several machines):

      torchrun --nproc-per-node 8 -m freefill train --data shards/ --out runs/mine

    Watch it with 'tensorboard --logdir runs', or look at runs/mine/previews. Every setting and its
    default is in runs/mine/config.toml.
    """
    need_lab()
    from freefill.lab import config as settings
    from freefill.lab.export.export import starting_point
    from freefill.lab.training import processes
    from freefill.lab.training.loop import train as run_training

    if resume and (config or init_from):
        raise ConfigError(
            "--resume goes on with the settings in the checkpoint: leave out --config and "
            "--init-from (--set train... changes those of train)"
        )
    chosen = settings.load(config, [] if resume else set_ or [])
    init = starting_point(init_from) if init_from else None
    base = init.card if init else {}
    _check_variant(base, chosen.model)
    try:
        path = run_training(
            data,
            out,
            chosen,
            resume=resume,
            changes=(set_ or []) if resume else (),
            init=init.weights if init else None,
            init_discriminator=init.discriminator if init else None,
            origin=init_from or "random weights",
            source_card=base,
            command=shlex.join(["freefill", *sys.argv[1:]]),
            seconds_at_most=seconds,
            average_every=average_every,
            on_message=print_notice,
            report=report_training,
        )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    processes.leave()
    following = shlex.join(["freefill", "export", str(out), "--out", f"{out}/weights.onnx"])
    if processes.is_first():
        print_result(f"{path}: done. Next: {following}")


def _check_variant(base: dict[str, Any], model: ModelConfig) -> None:
    """Refuse to go on in another variant of the network than the weights were trained in."""
    from freefill.lab.models.deepfill import Variant

    said = base.get("variant") or base.get("training", {}).get("config", {}).get("model", {})
    names = (field.name for field in fields(Variant))
    wrong = [name for name in names if name in said and said[name] != getattr(model, name)]
    if model.name == "deepfill" and wrong:
        settings = " ".join(f"--set model.{name}={str(said[name]).lower()}" for name in wrong)
        raise ConfigError(
            "the weights to start from were made for another variant of deepfill; go on in it "
            f"with {settings}"
        )


def export(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run, its checkpoint, or a folder of average weights "
            "(average.safetensors with run.json)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The .onnx file.", show_default=False)],
    notes: Annotated[
        Path | None,
        typer.Option(
            help="JSON with more entries for the card: data, licence, metrics.", show_default=False
        ),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Make weights of a run: ONNX, safetensors and a card.

    Refuses if ONNX Runtime and torch do not compute the same. Then:

      freefill fill photo.jpg --mask mask.png --out filled.png --model weights.onnx
    """
    need_lab()
    from freefill.lab.export.export import export as run_export

    more = None
    if notes is not None:
        try:
            more = read_json(notes, ConfigError, "a JSON object")
        except (FileNotFoundError, ConfigError) as error:
            raise ConfigError(f"--notes {notes}: {error}") from None
    run_export(run, out, notes=more, plugin_names=plugin or [], on_message=print_result)


def need_lab() -> None:
    """Refuse a command whose libraries are not installed, and say how to get them."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ExtraMissingError(
            f"this command needs the lab ({', '.join(missing)} not installed): "
            "pip install 'freefill[lab]' (in a clone: pip install '.[lab]')"
        )


def report_training(progress: Progress) -> None:
    """Print one line of a training run's progress."""
    shown = ("l1", "perceptual", "adversarial", "score_real", "score_fake", "val_l1")
    values = "  ".join(f"{k} {progress.values[k]:.3f}" for k in shown if k in progress.values)
    print_notice(
        f"step {progress.step}/{progress.steps}  {progress.images_per_second:.1f} img/s  "
        f"{_eta(progress.eta)}{values}"
    )


def _eta(left: float) -> str:
    """Tell the time that is left; nothing beyond a day, as such runs are stopped by hand."""
    if left > DAY:
        return ""
    minutes, seconds = divmod(round(left), 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"ETA {clock}  "
