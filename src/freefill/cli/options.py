"""Options that commands share: the same word means the same everywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from freefill.imaging.formats import MAX_PIXELS

if TYPE_CHECKING:
    from freefill.batch.fill_photo import Options


class FitChoice(StrEnum):
    """What to do with a mask of another size."""

    exact = "exact"
    resize = "resize"


class DeviceChoice(StrEnum):
    """What computes."""

    cpu = "cpu"
    cuda = "cuda"
    coreml = "coreml"
    directml = "directml"
    openvino = "openvino"
    auto = "auto"


Device = Annotated[
    DeviceChoice,
    typer.Option(
        help="What runs the network: the processor, what another build of ONNX Runtime can use "
        "(cuda: onnxruntime-gpu), or 'auto', the best of what is there. One that fails is replaced "
        "by the processor, with a line."
    ),
]
Model = Annotated[str, typer.Option(help="Name from 'freefill weights list', or an .onnx file.")]
Invert = Annotated[bool, typer.Option("--invert", help="Black = fill instead.")]
Grow = Annotated[int, typer.Option(help="Widen the hole by this many pixels.", min=0, max=256)]
Fit = Annotated[
    FitChoice, typer.Option(help="'resize' brings a mask of another size to the photo's.")
]
Strip = Annotated[
    bool,
    typer.Option(
        "--strip",
        help="Leave out EXIF, XMP, GPS, comments and texts; the colour profile and the "
        "resolution stay.",
    ),
]
SettingsFile = Annotated[Path | None, typer.Option(help="Settings as TOML.", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, e.g. train.lr=1e-4; repeatable.", metavar="A.B=C"),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="Python file or module that adds models, baselines or metrics; it is run. Repeatable.",
        metavar="FILE.py",
    ),
]
MaxPixels = Annotated[
    int,
    typer.Option(
        help="Refuse files whose width times height is more, before they are decoded.", min=1
    ),
]


@dataclass(frozen=True)
class Filling:
    """How photos are filled: what ``fill`` and ``batch`` take alike."""

    model: Model = "light"
    invert: Invert = False
    grow: Grow = 0
    fit: Fit = FitChoice.exact
    strip: Strip = False
    max_pixels: MaxPixels = MAX_PIXELS

    def options(self, *, overwrite: bool = False, explain: bool = False) -> Options:
        """Give what the batch takes."""
        from freefill.batch.fill_photo import Options

        return Options(
            invert=self.invert,
            grow=self.grow,
            fit=self.fit.value,
            max_pixels=self.max_pixels,
            overwrite=overwrite,
            explain=explain,
            strip=self.strip,
        )


AS_USUAL = Filling()


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take groups of options: each parameter that is a dataclass becomes its fields.

    Args:
        command: The dataclasses among its parameters hold options, each with a default.

    Returns:
        A command for Typer, with the fields in the groups' places.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if not is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind))
            continue
        assert isinstance(kind, type)
        groups[name] = kind
        own = get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            parameters.append(
                parameter.replace(
                    name=field.name, default=field.default, annotation=own[field.name]
                )
            )

    def spread_out(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    spread_out.__doc__ = command.__doc__
    spread_out.__name__ = command.__name__
    # By these two Typer finds out what a command takes.
    spread_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread_out.__annotations__ = {p.name: p.annotation for p in parameters}
    return spread_out


def ending_of(suffix: str | None) -> str | None:
    """Give the ending that ``--format`` stands for.

    Args:
        suffix: What was typed, e.g. ``png`` or ``.PNG``.

    Returns:
        ``.png``, or ``None`` for none.

    Raises:
        ImageError: If nothing can be written in it: said before anything is filled.
    """
    from freefill.errors import ImageError
    from freefill.imaging.io import format_of

    if suffix is None:
        return None
    ending = "." + suffix.removeprefix(".").lower()
    try:
        format_of(Path(f"result{ending}"))
    except ImageError as error:
        raise ImageError(f"--format {suffix!r}: {error}") from None
    return ending
