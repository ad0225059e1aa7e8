"""``freefill train`` on the other side, where ONNX and what draws a command line may be missing."""

from __future__ import annotations

import sys
from pathlib import Path

from freefill.errors import ConfigError, FreefillError, spell
from freefill.lab.config import load
from freefill.lab.export import averages
from freefill.lab.training.loop import Progress, train

SHOWN = ("l1", "perceptual", "adversarial", "score_real", "score_fake", "val_l1")


def run(
    out: Path,
    settings: Path,
    photos: str,
    *,
    overrides: list[str],
    init: Path | None,
    resume: bool,
    seconds: float | None,
    average_every: float,
    command: str,
) -> int:
    """Train, and say how it goes.

    Args:
        out: Folder of the run.
        settings: Settings as TOML.
        photos: Folder of photos.
        overrides: Settings as ``a.b=c``.
        init: Folder of average weights to start from.
        resume: Go on from the run's last checkpoint; its settings are in that.
        seconds: Stop after so many.
        average_every: Seconds after which the average weights are written.
        command: What a person typed.

    Returns:
        The exit code: 0 done, 2 refused, 130 stopped by Ctrl-C.
    """
    try:
        if resume and overrides:
            raise ConfigError(
                "`resume=True` goes on with the settings in the checkpoint: give no others"
            )
        state = averages.load(init) if init and not resume else {}
        path = train(
            photos,
            out,
            load(settings, overrides),
            resume=resume,
            init=state.get("ema"),
            init_discriminator=state.get("discriminator"),
            origin=str(init) if state else "random weights",
            source_card=state.get("source_card") or {},
            command=command,
            seconds_at_most=seconds,
            average_every=average_every,
            on_message=_say,
            report=_report,
        )
    except FreefillError as error:
        _say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"{path}: done. Bring back {out / 'average'}")
    return 0


def _say(line: str) -> None:
    print(f"start.py: {spell(line, _option)}", file=sys.stderr, flush=True)


def _option(name: str, value: str | None) -> str:
    spelled = f"--{name.replace('_', '-')}"
    return spelled if value in (None, "True") else f"{spelled} {value}"


def _report(progress: Progress) -> None:
    # Between two rows of the log there are no values, only where the run is.
    row = progress.values
    minutes = [f"{row['minutes']:.1f} min"] if "minutes" in row else []
    values = [f"{name} {row[name]:.3f}" for name in SHOWN if name in row]
    speed = f"{progress.images_per_second:.1f} img/s"
    _say("  ".join([f"step {progress.step}/{progress.steps}", speed, *minutes, *values]))
