"""The settings of the lab: frozen dataclasses, read from TOML and ``--set a.b=c``.

The whole configuration is written into the run's folder and into every checkpoint, so that a run
can be repeated from what it left behind. The docstring of a setting is its comment there: the first
sentence says what the setting is.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from freefill import plugins
from freefill.errors import ConfigError
from freefill.lab import commented_toml
from freefill.lab.config_checks import check
from freefill.lab.config_reading import assign, explain, merged, value_of
from freefill.types import GUIDANCE_CHANNELS

_STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, config=_STRICT)
class ModelConfig:
    """The two networks."""

    name: str = "light"
    """The generator: light, deepfill, encoder-decoder, or what a plugin registers."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Keyword arguments of a generator that a plugin registers."""
    convolution: Literal["plain", "partial", "gated"] = "gated"
    """Convolution of every layer of encoder-decoder, for comparison; the others are always
    gated."""
    channels: tuple[int, int, int] = (32, 64, 128)
    """Width of light and encoder-decoder at 1/2, 1/4 and 1/8 of the resolution."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2)
    """Dilation of each of their blocks at 1/8."""
    deep_dilations: tuple[int, ...] = (1, 2, 4, 8)
    """Dilation of each block of light at 1/16."""
    deepest_channels: Annotated[int, Field(ge=1)] = 256
    """Width of light at 1/32."""
    deepest_dilations: tuple[int, ...] = (1, 2, 4)
    """Dilation of each block of light at 1/32."""
    attention_layers: Annotated[int, Field(ge=0)] = 2
    """Layers of attention of light at 1/16."""
    refining: tuple[int, int] = (1, 1)
    """Blocks of light at 1/4 and at 1/2 that correct the copied patches."""
    rounds: Annotated[int, Field(ge=0)] = 0
    """How many times neighbouring patches of light agree on where they copy from."""
    guidance: Annotated[int, Field(ge=0)] = GUIDANCE_CHANNELS
    """Channels of guidance of light."""
    padding: Literal["same", "symmetric"] = "same"
    """Padding of deepfill, whose widths are always the paper's. This and the next three choose one
    of its variants; see ``models.deepfill.Variant``."""
    mask_resize: Literal["two-step", "one-step"] = "two-step"
    """How deepfill shrinks the mask for its attention."""
    fuse: bool = True
    """Whether deepfill fuses the attention scores of neighbouring patches."""
    attention: Literal["released", "port"] = "released"
    """Whose attention deepfill computes: the released code's or a well-known port's."""
    discriminator: str = "patch"
    """The discriminator: patch, local-global, features, or what a plugin registers. In this order:
    SN-PatchGAN, the pair that it replaced, one that sees features of the perceptual loss."""
    discriminator_width: Annotated[int, Field(ge=1)] = 32
    """Channels of the first layer of patch and local-global."""
    discriminator_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Keyword arguments of a discriminator that a plugin registers."""


@dataclass(frozen=True, config=_STRICT)
class DataConfig:
    """Which photos, how they are cut and changed, and which holes are put into them."""

    list: str = ""
    """CSV file with the columns ``file`` and ``use`` that chooses the photos; empty: all. Photos
    whose use is ``train`` are trained on, and those whose use begins with ``held-out`` are kept out
    for previews. Of photos that are there twice under one name, at two sizes, the larger one is
    taken."""
    size: Annotated[int, Field(ge=0)] = 256
    """Shorter side that photos are shrunk to in the cache, in pixels; 0 keeps them whole."""
    holdout: Annotated[int, Field(ge=0)] = 32
    """Photos kept out of training (chosen by a hash of their name) for previews and validation."""
    holdout_first: tuple[str, ...] = ()
    """File name patterns of the photos that are kept out before others."""
    min_scale: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Smallest scale at which a crop is taken; 1 is that of ``size``."""
    enlarge: bool = True
    """Whether photos smaller than a stage's crops are enlarged; if not, it does without them."""
    flip: bool = True
    """Whether half of the crops are mirrored."""
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Strength of the random change of brightness, contrast and channel balance."""
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    """How often photos come in an epoch, by file name pattern; 1 where none matches."""
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
    """Share of each mask preset."""
    synthetic: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the samples that are drawn walls, fences and grids; of resident photos only."""
    resident: bool = False
    """Whether all photos are kept in the memory of the device that trains; for a GPU. Batches are
    made there, as nothing else keeps it busy."""
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
    """Share of the samples with a sketch into whose photo a shape is drawn first. So lines are
    followed that nothing around the hole suggests."""

    @property
    def on(self) -> bool:
        """Whether any sample has guidance."""
        return self.sketch > 0 or self.strokes > 0


@dataclass(frozen=True, config=_STRICT)
class LossConfig:
    """Weights of the losses; 0 leaves one out."""

    l1: Annotated[float, Field(ge=0)] = 2.0
    """Weight of the mean absolute error of the prediction."""
    known: Annotated[float, Field(ge=0)] = 0.2
    """Weight of known pixels within l1."""
    low: Annotated[float, Field(ge=0)] = 0.0
    """Weight of l1 between mean colours of 8x8 pixels. It asks for the right colours and leaves the
    detail to the other losses; without it the perceptual loss paints dark curls into large
    holes."""
    lower: Annotated[float, Field(ge=0)] = 0.0
    """Weight of l1 between mean colours of 32x32 pixels."""
    coarse: Annotated[float, Field(ge=0)] = 4.0
    """Weight of l1 on the coarse picture of a generator that has one, at its resolution."""
    match: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the cross-entropy of the patches that a generator chooses to copy."""
    sketch: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the difference between the edges of fill and truth along the lines of a sketch."""
    perceptual: Annotated[float, Field(ge=0)] = 1.0
    """Weight of LPIPS (VGG16) between random windows of fill and truth."""
    perceptual_network: str = ""
    """File of the network's weights, where it cannot be fetched; empty: fetched."""
    perceptual_size: Annotated[int, Field(ge=32)] = 64
    """Side of those windows after shrinking, in pixels."""
    perceptual_windows: Annotated[int, Field(ge=1)] = 2
    """Windows that are cut from each crop."""
    r1: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the R1 penalty on the discriminator's gradient."""
    r1_every: Annotated[int, Field(ge=1)] = 16
    """Steps from one R1 penalty to the next."""
    extra: dict[str, Annotated[float, Field(ge=0)]] = dataclasses.field(default_factory=dict)
    """Weights of losses that plugins register, by name."""


@dataclass(frozen=True, config=_STRICT)
class StageConfig:
    """A stretch of training with one crop size."""

    steps: Annotated[int, Field(ge=1)]
    """Optimizer steps."""
    crop: Annotated[int, Field(ge=32, multiple_of=16)] = 128
    """Side of the crops, in pixels."""
    batch: Annotated[int, Field(ge=1)] = 16
    """Crops in a step, over all processes."""
    adversarial: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the adversarial loss; the discriminator rests while it is 0."""


@dataclass(frozen=True, config=_STRICT)
class TrainConfig:
    """The loop."""

    seed: int = 0
    """Seed of weights, crops and holes."""
    stages: tuple[StageConfig, ...] = (
        StageConfig(steps=4000),
        StageConfig(steps=1000, adversarial=0.05),
        StageConfig(steps=1800, crop=256, batch=8, adversarial=0.05),
    )
    """Stretches of training, one after the other."""
    repeat: Annotated[int, Field(ge=1)] = 1
    """How often the stages are gone through: short ones take turns, say of crops of two sizes."""
    lr: Annotated[float, Field(gt=0)] = 4e-4
    """Highest learning rate of the generator."""
    discriminator_lr: Annotated[float, Field(gt=0)] = 4e-4
    """Highest learning rate of the discriminator."""
    betas: tuple[float, float] = (0.5, 0.99)
    """Adam's decay rates of both."""
    warmup: Annotated[int, Field(ge=0)] = 200
    """Steps over which the learning rate rises."""
    decay: bool = True
    """Whether the learning rate then falls along a cosine to a hundredth."""
    cooldown: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the run, at its end, over which it falls; 1: all of it after the warm-up."""
    separate_batches: bool = False
    """Whether the discriminator steps first, on a batch of its own, as in the paper's code. If not,
    it learns from what the generator has just filled, which saves a pass of the generator."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Share of the average weights that each step keeps; 0: the weights themselves."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Parts that a batch is computed in, where memory is short."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """What numbers are computed in; auto: bf16 where the processor computes in it, else float32."""
    channels_last: bool = True
    """Whether weights lie in memory channels last, which is faster on most processors."""
    compile: bool = False
    """Whether torch compiles the networks first: minutes of waiting for faster steps."""
    log_every: Annotated[int, Field(ge=1)] = 25
    """Steps from one row of the log to the next."""
    preview_every: Annotated[int, Field(ge=1)] = 500
    """Steps from one sheet of previews to the next."""
    save_every: Annotated[int, Field(ge=1)] = 250
    """Steps from one checkpoint to the next."""

    @property
    def steps(self) -> int:
        """Number of optimizer steps in all stages, each time they are gone through."""
        return self.repeat * self._round

    @property
    def _round(self) -> int:
        return sum(stage.steps for stage in self.stages)

    @property
    def batches(self) -> int:
        """Number of batches that a step takes."""
        return 2 if self.separate_batches else 1

    def crops(self, steps: int) -> int:
        """Count the crops that the first ``steps`` steps see.

        Examples:
            >>> stages = StageConfig(5, 128, 16), StageConfig(9, 256, 8)
            >>> TrainConfig(stages=stages).crops(7)
            96
            >>> TrainConfig(stages=stages, repeat=2).crops(14 + 7)
            248
        """
        return sum(taken * stage.batch for stage, taken in self._taken(steps))

    def pixels(self, steps: int) -> int:
        """Count the pixels of those crops: what a step's time is nearly proportional to."""
        return sum(taken * stage.batch * stage.crop**2 for stage, taken in self._taken(steps))

    def _taken(self, steps: int) -> Iterator[tuple[StageConfig, int]]:
        rounds, rest = divmod(min(steps, self.steps), self._round)
        for stage in self.stages:
            taken = min(rest, stage.steps)
            yield stage, rounds * stage.steps + taken
            rest -= taken

    def stage_at(self, step: int) -> StageConfig:
        """Give the stage that a step (from 0) belongs to.

        Raises:
            ConfigError: If the step lies beyond the last stage.
        """
        if step >= self.steps:
            raise ConfigError(f"step {step} is beyond the last stage, which ends at {self.steps}")
        step %= self._round
        for stage in self.stages:
            if step < stage.steps:
                break
            step -= stage.steps
        return stage


@dataclass(frozen=True, config=_STRICT)
class Config:
    """Everything that defines a run but the folder of photos."""

    plugins: tuple[str, ...] = ()
    """Python files (relative to this file) and modules that are run first; docs/extending.md."""
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
        """Give the TOML text of every setting, defaults included, each with a comment."""
        return commented_toml.dumps(Config, self.to_dict())


_ADAPTER = TypeAdapter(Config)


def from_dict(values: dict[str, Any], *, trusted: bool = False) -> Config:
    """Check nested dicts and make them a configuration.

    Args:
        values: What :meth:`Config.to_dict` gives; what is left out takes its default.
        trusted: Whether the plugins that it names are imported, which runs them: for what a person
            has written and for runs of their own, never for what came with somebody's weights.

    Returns:
        The configuration.

    Raises:
        ConfigError: If a key does not exist, a value is impossible, a name is not registered, or a
            plugin cannot be imported; each is named.

    Examples:
        >>> from_dict({"train": {"lr": 0.001}}).train.lr
        0.001
    """
    try:
        config = _ADAPTER.validate_python(values)
    except ValidationError as error:
        raise ConfigError(explain(error, Config)) from None
    if trusted:
        plugins.load(config.plugins)
    try:
        check(config)
    except ConfigError as error:
        if trusted or not config.plugins:
            raise
        raise ConfigError(
            f"{error}. The settings name the plugins {', '.join(config.plugins)}: they are code, "
            "which is not imported from these settings; name them yourself (`plugin`) if you trust "
            "them"
        ) from None
    return config


def load(path: Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration from a TOML file and ``a.b=c`` overrides.

    Args:
        path: The file; ``None`` starts from the defaults. Plugins that it names are relative to it,
            and are imported.
        overrides: Dotted key and TOML value, e.g. ``train.lr=1e-4`` or ``train.stages.0.steps=50``.
            Plugins in them are relative to the working directory.

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
        values = merged(values, given)
        _find_plugins(values, Path(path).parent)
    _assign(values, overrides)
    _find_plugins(values, Path())
    return from_dict(values, trusted=True)


def changed(config: Config, changes: Iterable[str]) -> Config:
    """Change settings of ``train``, for a run that goes on.

    Args:
        config: The run's.
        changes: Overrides as :func:`load` takes them, of ``train`` alone: another model or other
            data would be another run.

    Returns:
        The new configuration.

    Raises:
        ConfigError: If one is of another table, or wrong.

    Examples:
        >>> changed(Config(), ["train.lr=0.001"]).train.lr
        0.001
    """
    values, changes = config.to_dict(), list(changes)
    for change in changes:
        if not change.strip().startswith("train."):
            raise ConfigError(
                f"{change!r}: a run that goes on keeps its model, data, guidance and losses; only "
                "settings of train can be changed"
            )
    _assign(values, changes)
    return from_dict(values, trusted=True)


def _assign(values: dict[str, Any], overrides: Iterable[str]) -> None:
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ConfigError(f"{override!r} is no setting: write key=value, e.g. train.lr=1e-4")
        assign(values, key.strip(), value_of(text))


def _find_plugins(values: dict[str, Any], folder: Path) -> None:
    """Make the paths of plugins absolute, so that a checkpoint finds them again."""
    named = values.get("plugins")
    if isinstance(named, list) and all(isinstance(name, str) for name in named):
        values["plugins"] = [plugins.absolute(name, folder) for name in named]
