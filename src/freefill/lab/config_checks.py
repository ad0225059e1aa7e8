"""Which settings go together: what no single setting's type can say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freefill.errors import ConfigError
from freefill.lab.registries import DISCRIMINATORS, LOSSES, MODELS, check_options
from freefill.masks.presets import PRESETS
from freefill.types import GUIDANCE_CHANNELS

if TYPE_CHECKING:
    from freefill.lab.config import Config

SMALLEST_SIZE = 64
"""Shorter side that photos may be shrunk to, in pixels."""


def check(config: Config) -> None:
    """Refuse settings that do not go together.

    Raises:
        ConfigError: If a name is not registered or two settings contradict each other; the message
            names them.
    """
    for check_part in (_networks, _losses, _data, _discriminator, _guidance, _training):
        check_part(config)


def _networks(config: Config) -> None:
    model = config.model
    generator, discriminator = MODELS[model.name], DISCRIMINATORS[model.discriminator]
    check_options("model.options", generator.build, model.options, 1)
    check_options(
        "model.discriminator_options", discriminator.build, model.discriminator_options, 3
    )
    if model.name != "encoder-decoder" and model.convolution != "gated":
        raise ConfigError(
            f"model.convolution is {model.convolution!r}, but {model.name} is always gated: set "
            "model.name to 'encoder-decoder' to compare"
        )


def _losses(config: Config) -> None:
    for name in config.loss.extra:
        if hasattr(config.loss, name) or name == "adversarial":
            raise ConfigError(f"loss.extra.{name}: this loss has a setting of its own")
        if name not in LOSSES:
            raise ConfigError(
                f"loss.extra.{name}: there is no loss {name!r}: there are {', '.join(LOSSES)}"
            )


def _data(config: Config) -> None:
    data = config.data
    for name in data.masks:
        if name not in PRESETS:
            raise ConfigError(
                f"data.masks.{name}: no such mask preset; there are {', '.join(PRESETS)}"
            )
    if sum(data.masks.values()) <= 0 or min(data.masks.values()) < 0:
        raise ConfigError("data.masks must have weights of at least 0 and one above it")
    if 0 < data.size < SMALLEST_SIZE:
        raise ConfigError(
            f"data.size is {data.size}; it must be at least {SMALLEST_SIZE}, or 0 for photos as "
            "they are"
        )
    if data.synthetic and not data.resident:
        raise ConfigError(
            f"data.synthetic is {data.synthetic}, which resident photos alone have: set "
            "data.resident, or leave it out"
        )


def _discriminator(config: Config) -> None:
    name = config.model.discriminator
    entry = DISCRIMINATORS[name]
    if entry.sees_features and config.train.separate_batches:
        raise ConfigError(
            f"train.separate_batches is set, but the discriminator {name!r} sees what the "
            "generator's own perceptual loss saw: choose 'patch'"
        )
    if entry.sees_features and not config.loss.perceptual:
        raise ConfigError(
            f"model.discriminator is {name!r}, which sees features of the perceptual loss, but "
            "loss.perceptual is 0"
        )
    for number, stage in enumerate(config.train.stages):
        if stage.crop % entry.multiple_of:
            raise ConfigError(
                f"train.stages.{number}.crop is {stage.crop}; the discriminator {name!r} needs a "
                f"multiple of {entry.multiple_of}"
            )


def _guidance(config: Config) -> None:
    if not config.guidance.on:
        return
    model = config.model
    if not MODELS[model.name].guided or model.guidance != GUIDANCE_CHANNELS:
        raise ConfigError(
            f"guidance is set, which light with model.guidance={GUIDANCE_CHANNELS} can be trained "
            f"with, not {model.name} with {model.guidance}"
        )
    if config.data.shared_hole:
        raise ConfigError(
            "guidance is set, and data.shared_hole: a sketch lies in the hole of its own photo"
        )
    if not DISCRIMINATORS[model.discriminator].guided:
        raise ConfigError(
            f"guidance is set, which the discriminator {model.discriminator!r} cannot see: choose "
            "'patch' or 'features'"
        )


def _training(config: Config) -> None:
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
