"""Networks. Torch from here down: nothing outside the lab may import this.

Each is registered under the name that settings give it (:mod:`freefill.lab.registries`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from freefill.lab.models.deepfill import DeepFill, Variant
from freefill.lab.models.discriminator import SNPatchDiscriminator
from freefill.lab.models.encoder_decoder import EncoderDecoder
from freefill.lab.models.feature_critic import FeatureCritic
from freefill.lab.models.light import Light
from freefill.lab.models.local_global import LocalGlobalDiscriminator
from freefill.lab.registries import (
    DISCRIMINATORS,
    MODELS,
    register_discriminator,
    register_model,
)

if TYPE_CHECKING:
    from freefill.lab.config import ModelConfig


def build_generator(config: ModelConfig) -> nn.Module:
    """Build the generator that a configuration names, with fresh weights."""
    return MODELS[config.name].build(config, **config.options)


def build_discriminator(config: ModelConfig, side: int, guidance: int = 0) -> nn.Module:
    """Build the discriminator that a configuration names, for pictures of about ``side`` pixels.

    It sees ``guidance`` channels of guidance next to the hole.
    """
    entry = DISCRIMINATORS[config.discriminator]
    return entry.build(config, side, guidance, **config.discriminator_options)


@register_model("light", guided=True)
def build_light(config: ModelConfig) -> nn.Module:
    """Build the bundled network."""
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


@register_model("deepfill")
def build_deepfill(config: ModelConfig) -> nn.Module:
    """Build the paper's network."""
    variant = Variant(config.padding, config.mask_resize, config.fuse, config.attention)
    return DeepFill(variant=variant)


@register_model("encoder-decoder")
def build_encoder_decoder(config: ModelConfig) -> nn.Module:
    """Build the network of the ablation."""
    return EncoderDecoder(config.convolution, config.channels, config.dilations)


@register_discriminator("patch")
def build_patch(config: ModelConfig, side: int, guidance: int) -> nn.Module:
    """Build SN-PatchGAN's."""
    return SNPatchDiscriminator(4 + guidance, config.discriminator_width)


@register_discriminator("local-global", guided=False, multiple_of=64)
def build_local_global(config: ModelConfig, side: int, guidance: int) -> nn.Module:
    """Build the pair that SN-PatchGAN replaced."""
    return LocalGlobalDiscriminator(4, config.discriminator_width, side)


@register_discriminator("features", sees_features=True)
def build_features(config: ModelConfig, side: int, guidance: int) -> nn.Module:
    """Build the one that sees what the perceptual loss sees."""
    return FeatureCritic(guidance=guidance)
