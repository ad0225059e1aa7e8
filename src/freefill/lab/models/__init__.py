"""Networks. Torch from here down: nothing in the runtime wing may import this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from freefill.lab.models.deepfill import DeepFill, Variant
from freefill.lab.models.discriminator import SNPatchDiscriminator
from freefill.lab.models.encoder_decoder import EncoderDecoder
from freefill.lab.models.feature_critic import FeatureCritic
from freefill.lab.models.light import Light
from freefill.lab.models.local_global import LocalGlobalDiscriminator

if TYPE_CHECKING:
    from freefill.lab.config import ModelConfig


def build_generator(config: ModelConfig) -> nn.Module:
    """Build the generator that a configuration names, with fresh weights."""
    if config.name == "deepfill":
        return DeepFill(variant=_variant(config))
    if config.name == "encoder-decoder":
        return EncoderDecoder(config.convolution, config.channels, config.dilations)
    return Light(
        config.channels,
        config.dilations,
        config.deep_dilations,
        config.deepest_channels,
        config.deepest_dilations,
        config.attention_layers,
        config.refining,
        config.rounds,
        config.guidance,
    )


def _variant(config: ModelConfig) -> Variant:
    return Variant(config.padding, config.mask_resize, config.fuse, config.attention)


def build_discriminator(config: ModelConfig, side: int, guidance: int = 0) -> nn.Module:
    """Build the discriminator that a configuration names, for pictures of about ``side`` pixels.

    It sees ``guidance`` channels of guidance next to the hole.
    """
    if config.discriminator == "local-global":
        return LocalGlobalDiscriminator(4, config.discriminator_width, side)
    if config.discriminator == "features":
        return FeatureCritic(guidance=guidance)
    return SNPatchDiscriminator(4 + guidance, config.discriminator_width)
