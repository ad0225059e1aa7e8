"""What is an object at all: U^2-Net's small network, beside colours and edges.

Qin et al., "U^2-Net: Going Deeper with Nested U-Structure for Salient Object Detection" (2020). It
was trained to find what a whole photo is of. Shown the surroundings of a box or a click it finds
what *they* are of, which is then known to GrabCut (:mod:`~freefill.vision.segmentation.classical`)
beside the colours, and cut out at its edges.
"""

from __future__ import annotations

import numpy as np

from freefill.imaging.box import Box
from freefill.imaging.picture import Picture
from freefill.types import Plane
from freefill.vision.segmentation import classical, networks
from freefill.vision.segmentation.classical import Found
from freefill.vision.segmentation.prompt import Prompt
from freefill.vision.segmentation.view import look, resized

SIDE = 320
"""Of what the network sees."""
REACHES = (0.1, 0.2, 0.4)
"""Fewer than those of colours alone: each is a run of the network."""


def find(picture: Picture, prompt: Prompt) -> Found:
    """Find the object that is pointed at; as :func:`freefill.vision.segmentation.classical.find`.

    Raises:
        ReferenceMissingError: If the network has not been fetched.
        WeightsError: If it cannot be loaded.
    """
    network = networks.session("u2netp")
    # The first output is the fused map; the others are what it was fused from.
    image, first = network.get_inputs()[0].name, network.get_outputs()[0].name

    def prior(box: Box, size: tuple[int, int]) -> Plane:
        seen = networks.planes(look(picture, box, (SIDE, SIDE)))
        (found,) = network.run([first], {image: seen})
        return resized(np.clip(found[0, 0], 0, 1), size)

    return classical.find(picture, prompt, prior, REACHES)
