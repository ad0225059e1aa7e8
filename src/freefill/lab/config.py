"""The settings of the lab: frozen dataclasses, read from TOML and ``--set a.b=c``.

The whole configuration is written into the run's folder and into every checkpoint, so that a run
can be repeated from what it left behind.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from freefill.errors import ConfigError
from freefill.masks.presets import PRESETS
from freefill.types import GUIDANCE_CHANNELS

_STRICT = ConfigDict(extra="forbid")
SMALLEST_SIZE = 64


@dataclass(frozen=True, config=_STRICT)
class ModelConfig:
    """The two networks."""

    name: Literal["light", "deepfill", "encoder-decoder"] = "light"
    convolution: Literal["plain", "partial", "gated"] = "gated"
    """Of every layer of ``encoder-decoder``, for comparison; the others are always gated."""
    channels: tuple[int, int, int] = (32, 64, 128)
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2)
    deep_dilations: tuple[int, ...] = (1, 2, 4, 8)
    """Of each block of ``light`` at 1/16 of the resolution."""
    deepest_channels: Annotated[int, Field(ge=1)] = 256
    """Width at 1/32."""
    deepest_dilations: tuple[int, ...] = (1, 2, 4)
    """Of each block at 1/32."""
    attention_layers: Annotated[int, Field(ge=0)] = 2
    """Layers of attention at 1/16."""
    refining: tuple[int, int] = (1, 1)
    """Blocks at 1/4 and at 1/2 that mend the copies."""
    rounds: Annotated[int, Field(ge=0)] = 0
    """How often neighbouring patches agree on where they copy from."""
    guidance: Annotated[int, Field(ge=0)] = GUIDANCE_CHANNELS
    """Channels of guidance of ``light``."""
    padding: Literal["same", "symmetric"] = "same"
    """Of ``deepfill``, as the next three: which of its variants; see ``models.deepfill.Variant``.
    Its widths are the paper's, whatever is set above."""
    mask_resize: Literal["two-step", "one-step"] = "two-step"
    fuse: bool = True
    attention: Literal["released", "port"] = "released"
    discriminator: Literal["patch", "local-global", "features"] = "patch"
    """SN-PatchGAN; the pair it replaced; or one that sees what the perceptual loss sees."""
    discriminator_width: Annotated[int, Field(ge=1)] = 32


@dataclass(frozen=True, config=_STRICT)
class DataConfig:
    """Which photos, how they are cut and changed, and which holes are put into them."""

    list: str = ""
    """CSV file with the columns ``file`` and ``use``: only photos whose use is ``train`` are
    trained on, and those whose use begins with ``held-out`` are kept out for previews. Of photos
    that are there twice under one name, at two sizes, the larger one is taken. Empty: all."""
    size: Annotated[int, Field(ge=0)] = 256
    """Shorter side, in pixels, that photos are shrunk to when they are decoded into the cache; 0
    keeps them whole."""
    holdout: Annotated[int, Field(ge=0)] = 32
    """Photos kept out of training (chosen by a hash of their name) for previews and validation."""
    holdout_first: tuple[str, ...] = ()
    """File name patterns of the photos that are kept out before others."""
    min_scale: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Smallest scale at which a crop is taken; 1 is that of ``size``."""
    flip: bool = True
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Strength of the random change of brightness, contrast and channel balance."""
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    """File name pattern to how often its photos come in an epoch, on average; 1 where no pattern
    matches."""
    window: Annotated[int, Field(ge=1)] = 8
    """Shards whose photos are shuffled together."""
    cache: Annotated[float, Field(gt=0)] = 20.0
    """Gigabytes of disk that shards from a web server may take."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that make batches for each process that trains; 0: a thread of its own."""
    masks: dict[str, float] = dataclasses.field(
        default_factory=lambda: {
            "free-form": 5.0,
            "thick": 1.5,
            "rectangle": 1.5,
            "thin": 1.0,
            "border": 1.0,
            "scratches": 0.5,
        }
    )
    """Mask preset to its share."""
    synthetic: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the samples that are drawn walls, fences and grids; of resident photos only."""
    resident: bool = False
    """Whether all photos lie in the memory of the device that trains, where batches are made from
    them: for a GPU, which nothing else keeps busy."""
    shared_hole: bool = False
    """Whether all pictures of a batch have the same hole."""


@dataclass(frozen=True, config=_STRICT)
class GuidanceConfig:
    """How many samples have guidance, which is made of their photos; without any there is none."""

    sketch: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the samples that have a sketch."""
    whole: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Share of the sketches that have all their lines."""
    strokes: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the samples that have strokes of colour."""
    drawn: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Share of the samples with a sketch into whose photo a shape is drawn first, so that lines are
    followed that nothing around the hole foretells."""

    @property
    def on(self) -> bool:
        """Whether any sample has guidance."""
        return self.sketch > 0 or self.strokes > 0


@dataclass(frozen=True, config=_STRICT)
class LossConfig:
    """Weights of the losses; 0 leaves one out."""

    l1: Annotated[float, Field(ge=0)] = 2.0
    known: Annotated[float, Field(ge=0)] = 0.2
    """Weight of known pixels within l1."""
    low: Annotated[float, Field(ge=0)] = 0.0
    """Weight of l1 between local mean colours, of 8x8 pixels: right colours, and the detail left to
    the other losses. Without it the perceptual loss paints dark curls into large holes."""
    lower: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the same between means of 32x32 pixels."""
    coarse: Annotated[float, Field(ge=0)] = 4.0
    """Weight of l1 on what a generator gives before its last picture, at its resolution."""
    match: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the cross-entropy of the patches that a generator chooses to copy."""
    sketch: Annotated[float, Field(ge=0)] = 0.0
    """Weight of how unlike the truth's the edges along the lines of a sketch are."""
    perceptual: Annotated[float, Field(ge=0)] = 1.0
    perceptual_network: str = ""
    """File of the network's weights, where it cannot be fetched; empty: fetched."""
    perceptual_size: Annotated[int, Field(ge=32)] = 64
    perceptual_windows: Annotated[int, Field(ge=1)] = 2
    """Windows that are cut from each crop, of this side after shrinking."""
    r1: Annotated[float, Field(ge=0)] = 0.0
    r1_every: Annotated[int, Field(ge=1)] = 16


@dataclass(frozen=True, config=_STRICT)
class StageConfig:
    """A stretch of training with one crop size."""

    steps: Annotated[int, Field(ge=1)]
    crop: Annotated[int, Field(ge=32, multiple_of=16)] = 128
    batch: Annotated[int, Field(ge=1)] = 16
    adversarial: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the adversarial loss; the discriminator rests while it is 0."""


@dataclass(frozen=True, config=_STRICT)
class TrainConfig:
    """The loop."""

    seed: int = 0
    stages: tuple[StageConfig, ...] = (
        StageConfig(steps=4000),
        StageConfig(steps=1000, adversarial=0.05),
        StageConfig(steps=1800, crop=256, batch=8, adversarial=0.05),
    )
    lr: Annotated[float, Field(gt=0)] = 4e-4
    discriminator_lr: Annotated[float, Field(gt=0)] = 4e-4
    betas: tuple[float, float] = (0.5, 0.99)
    warmup: Annotated[int, Field(ge=0)] = 200
    """Steps over which the learning rate rises."""
    decay: bool = True
    """Whether it then falls along a cosine to a hundredth."""
    cooldown: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the run, at its end, over which it falls; 1 is all of it after the warm-up."""
    separate_batches: bool = False
    """Whether the discriminator learns first and from a batch of its own, as in the paper's code;
    otherwise from what the generator has just filled, which saves a pass of the generator."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Parts that a batch is computed in, where memory is short."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """``auto``: bf16 where the processor computes in it, else float32."""
    channels_last: bool = True
    compile: bool = False
    log_every: Annotated[int, Field(ge=1)] = 25
    preview_every: Annotated[int, Field(ge=1)] = 500
    save_every: Annotated[int, Field(ge=1)] = 250

    @property
    def steps(self) -> int:
        """Number of optimizer steps in all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def batches(self) -> int:
        """Number of batches that a step takes."""
        return 2 if self.separate_batches else 1

    def crops(self, steps: int) -> int:
        """Count the crops that the first ``steps`` steps see.

        Examples:
            >>> TrainConfig(stages=(StageConfig(5, 128, 16), StageConfig(9, 256, 8))).crops(7)
            96
        """
        return sum(taken * stage.batch for stage, taken in self._taken(steps))

    def pixels(self, steps: int) -> int:
        """Count the pixels of those crops: what a step's time is nearly proportional to."""
        return sum(taken * stage.batch * stage.crop**2 for stage, taken in self._taken(steps))

    def _taken(self, steps: int) -> Iterator[tuple[StageConfig, int]]:
        for stage in self.stages:
            taken = min(steps, stage.steps)
            yield stage, taken
            steps -= taken

    def stage_at(self, step: int) -> StageConfig:
        """Give the stage that a step (from 0) belongs to.

        Raises:
            ConfigError: If the step lies beyond the last stage.
        """
        end = 0
        for stage in self.stages:
            end += stage.steps
            if step < end:
                return stage
        raise ConfigError(f"step {step} is beyond the last stage, which ends at {end}")


@dataclass(frozen=True, config=_STRICT)
class Config:
    """Everything that defines a run but the folder of photos."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    guidance: GuidanceConfig = GuidanceConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()

    def to_dict(self) -> dict[str, Any]:
        """Give plain nested dicts and lists, as TOML holds them."""
        plain: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return plain

    def to_toml(self) -> str:
        """Give the TOML text of every setting, defaults included."""
        return tomli_w.dumps(self.to_dict())


_ADAPTER = TypeAdapter(Config)


def from_dict(values: dict[str, Any]) -> Config:
    """Check nested dicts and make them a configuration.

    Args:
        values: What :meth:`Config.to_dict` gives; what is left out takes its default.

    Returns:
        The configuration.

    Raises:
        ConfigError: If a key does not exist or a value is impossible; each is named.

    Examples:
        >>> from_dict({"train": {"lr": 0.001}}).train.lr
        0.001
    """
    try:
        config = _ADAPTER.validate_python(values)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None
    unknown = [name for name in config.data.masks if name not in PRESETS]
    if unknown:
        raise ConfigError(
            f"data.masks.{unknown[0]}: no such mask preset; there are {', '.join(PRESETS)}"
        )
    if config.model.name != "encoder-decoder" and config.model.convolution != "gated":
        raise ConfigError(
            f"model.convolution is {config.model.convolution!r}, but {config.model.name} is always "
            "gated: set model.name to 'encoder-decoder' to compare"
        )
    if 0 < config.data.size < SMALLEST_SIZE:
        raise ConfigError(
            f"data.size is {config.data.size}; it must be at least {SMALLEST_SIZE}, or 0 for "
            "photos as they are"
        )
    if config.train.separate_batches and config.model.discriminator == "features":
        raise ConfigError(
            "train.separate_batches is set, but the discriminator 'features' sees what the "
            "generator's own perceptual loss saw: choose 'patch'"
        )
    for number, stage in enumerate(config.train.stages):
        if config.model.discriminator == "local-global" and stage.crop % 64:
            raise ConfigError(
                f"train.stages.{number}.crop is {stage.crop}; the local and global discriminators "
                "need a multiple of 64"
            )
    if config.guidance.on and (
        config.model.name != "light" or config.model.guidance != GUIDANCE_CHANNELS
    ):
        raise ConfigError(
            f"guidance is set, which light with model.guidance={GUIDANCE_CHANNELS} can be trained "
            f"with, not {config.model.name} with {config.model.guidance}"
        )
    if config.guidance.on and config.data.shared_hole:
        raise ConfigError(
            "guidance is set, and data.shared_hole: a sketch lies in the hole of its own photo"
        )
    if config.guidance.on and config.model.discriminator == "local-global":
        raise ConfigError(
            "guidance is set, which the discriminator 'local-global' cannot see: choose 'patch' or "
            "'features'"
        )
    if config.model.discriminator == "features" and not config.loss.perceptual:
        raise ConfigError(
            "model.discriminator is 'features', those of the perceptual loss, "
            "but loss.perceptual is 0"
        )
    if config.data.synthetic and not config.data.resident:
        raise ConfigError(
            f"data.synthetic is {config.data.synthetic}, which resident photos alone have: set "
            "data.resident, or leave it out"
        )
    if not config.train.stages:
        raise ConfigError("train.stages is empty: at least one stage is needed")
    for name in ("preview_every", "save_every"):
        every = getattr(config.train, name)
        if every % config.train.log_every:
            # A checkpoint between two rows of the log would split the mean that a row is.
            raise ConfigError(
                f"train.{name} is {every}; it must be a multiple of train.log_every, "
                f"{config.train.log_every}"
            )
    if sum(config.data.masks.values()) <= 0 or min(config.data.masks.values()) < 0:
        raise ConfigError("data.masks must have weights of at least 0 and one above it")
    return config


def load(path: Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration from a TOML file and ``a.b=c`` overrides.

    Args:
        path: The file; ``None`` starts from the defaults.
        overrides: Dotted key and TOML value, e.g. ``train.lr=1e-4`` or ``train.stages.0.steps=50``.

    Returns:
        The configuration.

    Raises:
        ConfigError: If the file or an override cannot be read, or a setting is wrong.

    Examples:
        >>> load(None, ["train.stages.0.steps=5"]).train.stages[0].steps
        5
    """
    values = Config().to_dict()
    if path is not None:
        try:
            given = tomllib.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from None
        values = _merged(values, given)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ConfigError(f"--set {override}: write it as key=value, e.g. train.lr=1e-4")
        _assign(values, key.strip(), _value(text))
    return from_dict(values)


def _merged(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Lay sections over each other; below a section a value, table or list is replaced whole."""
    merged = dict(base)
    for section, values in given.items():
        old = base.get(section)
        merged[section] = {**old, **values} if isinstance(old, dict) else values
    return merged


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _assign(values: Any, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        try:
            values = values[int(part)] if isinstance(values, list) else values[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise ConfigError(f"--set {key}: there is no {part!r} in it") from None
    if isinstance(values, list):
        if not last.isdigit() or int(last) >= len(values):
            raise ConfigError(f"--set {key}: the list has {len(values)} entries, from 0")
        values[int(last)] = value
    elif isinstance(values, dict):
        values[last] = value
    else:
        raise ConfigError(f"--set {key}: {parents[-1]!r} holds no settings")


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] in ("unexpected_keyword_argument", "dataclass_unexpected_keyword"):
            lines.append(f"{place}: no such setting{_alternatives(problem['loc'])}")
        else:
            lines.append(f"{place}: {problem['msg']}, not {problem['input']!r}")
    return "; ".join(lines)


def _alternatives(place: tuple[int | str, ...]) -> str:
    sections = {
        "model": ModelConfig,
        "data": DataConfig,
        "guidance": GuidanceConfig,
        "loss": LossConfig,
        "train": TrainConfig,
    }
    kind: Any = Config if len(place) == 1 else sections.get(str(place[0]))
    if len(place) > 2 and place[1] == "stages":
        kind = StageConfig
    if kind is None:
        return ""
    return f"; there are {', '.join(f.name for f in dataclasses.fields(kind))}"
