"""Networks. Torch from here down: nothing in the runtime wing may import this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freefill.models.light import Light

if TYPE_CHECKING:
    from freefill.config import ModelConfig


def build_generator(config: ModelConfig) -> Light:
    """Build the generator that a configuration names, with fresh weights."""
    return Light(config.channels, config.dilations, config.deep_dilations, config.guidance)
