"""What can be added to the lab from one file: models, discriminators and losses.

Each is registered by a decorator; docs/extending.md has a complete example of each. The built-in
ones are registered in :mod:`freefill.lab.models` and :mod:`freefill.lab.training.terms`, which are
imported when a registry is first read: this module loads no torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from freefill.errors import ConfigError
from freefill.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from freefill.lab.training.terms import LossContext

    Loss = Callable[[LossContext], Tensor | None]

BuildT = TypeVar("BuildT", bound="Callable[..., nn.Module]")
LossT = TypeVar("LossT", bound="Loss")


@dataclass(frozen=True)
class ModelEntry:
    """A registered generator.

    Attributes:
        build: Called with the :class:`~freefill.lab.config.ModelConfig` and the options of
            ``model.options`` as keywords.
        guided: Whether the network takes guidance as a third argument.
    """

    build: Callable[..., nn.Module]
    guided: bool = False


@dataclass(frozen=True)
class DiscriminatorEntry:
    """A registered discriminator.

    Attributes:
        build: Called with the :class:`~freefill.lab.config.ModelConfig`, the side of the crops and
            the number of channels of guidance, and the options of ``model.discriminator_options``
            as keywords.
        sees_features: Whether it is shown the features of the perceptual loss, not pictures.
        guided: Whether it can be shown guidance.
        multiple_of: What the side of a crop must be a multiple of.
    """

    build: Callable[..., nn.Module]
    sees_features: bool = False
    guided: bool = True
    multiple_of: int = 1


@dataclass(frozen=True)
class LossEntry:
    """A registered loss.

    Attributes:
        compute: Called with a :class:`~freefill.lab.training.terms.LossContext`; gives a scalar, or
            ``None`` where the loss does not apply.
        at_zero: Whether it is computed for the log even with a weight of 0.
    """

    compute: Loss
    at_zero: bool = False


MODELS: Registry[ModelEntry] = Registry("model", home="freefill.lab.models")
"""Generators, by ``model.name``."""
DISCRIMINATORS: Registry[DiscriminatorEntry] = Registry("discriminator", home="freefill.lab.models")
"""Discriminators, by ``model.discriminator``."""
LOSSES: Registry[LossEntry] = Registry("loss", home="freefill.lab.training.terms")
"""Losses, by name, in the order in which they are computed and summed."""


def register_model(name: str, *, guided: bool = False) -> Callable[[BuildT], BuildT]:
    """Give a decorator that adds a generator: a module class, or a function that builds one.

    Args:
        name: What ``model.name`` calls it.
        guided: See :class:`ModelEntry`.

    Raises:
        ConfigError: If the name is taken.
    """

    def register(build: BuildT) -> BuildT:
        MODELS.add(name, ModelEntry(build, guided))
        return build

    return register


def register_discriminator(
    name: str, *, sees_features: bool = False, guided: bool = True, multiple_of: int = 1
) -> Callable[[BuildT], BuildT]:
    """Give a decorator that adds a discriminator: a module class, or a function that builds one.

    Args:
        name: What ``model.discriminator`` calls it.
        sees_features: See :class:`DiscriminatorEntry`.
        guided: See :class:`DiscriminatorEntry`.
        multiple_of: See :class:`DiscriminatorEntry`.

    Raises:
        ConfigError: If the name is taken.
    """

    def register(build: BuildT) -> BuildT:
        DISCRIMINATORS.add(name, DiscriminatorEntry(build, sees_features, guided, multiple_of))
        return build

    return register


def register_loss(name: str, *, at_zero: bool = False) -> Callable[[LossT], LossT]:
    """Give a decorator that adds a loss.

    Args:
        name: What ``loss.extra`` and the log call it.
        at_zero: See :class:`LossEntry`.

    Raises:
        ConfigError: If the name is taken.
    """

    def register(compute: LossT) -> LossT:
        LOSSES.add(name, LossEntry(compute, at_zero))
        return compute

    return register


def check_options(
    setting: str, build: Callable[..., Any], options: Mapping[str, Any], given: int
) -> None:
    """Refuse options that a builder does not take.

    Args:
        setting: Where they are set, for the message: ``model.options``.
        build: A class or a function.
        options: The keywords that it would be called with.
        given: How many positional arguments it is called with before them.

    Raises:
        ConfigError: If one is not a parameter of ``build``; the message lists those that are.
    """
    parameters = list(inspect.signature(build).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters[given:] if p.kind is not p.VAR_POSITIONAL]
    for name in options:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"{setting}.{name}: {build.__name__} has no such option; {there}")
