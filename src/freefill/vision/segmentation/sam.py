"""Objects at a click or in a box: SAM 2's tiny network, where it has been fetched.

Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024), Hiera-tiny in two ONNX files: an
encoder that sees the picture once, at 1024x1024, and a decoder that is asked for each prompt. It
answers with three masks, of a part, a whole and what is around it, and how good it thinks they are.
"""

from __future__ import annotations

import hashlib
import threading

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.box import Box
from freefill.imaging.picture import Picture
from freefill.vision.segmentation import networks
from freefill.vision.segmentation.classical import Found
from freefill.vision.segmentation.prompt import Prompt
from freefill.vision.segmentation.view import look

SIDE = 1024
"""Of what the encoder sees, whatever the picture's shape."""
FEATURES = ("high_res_feats_0", "high_res_feats_1", "image_embed")
AS_GOOD = 0.06
"""How much worse than the best a mask may be thought, and be taken because it is larger."""
LIKELY = 0.7
"""What is to be thought of a larger mask for it to be the whole of which a click shows a part."""
STABLE = 0.9
"""Overlap (IoU) of such a mask drawn a little tighter and a little wider: an outline that moves
with the threshold is none."""
SHIFT = 1.0
"""How much tighter and wider, in the network's logits, as in "Segment Anything" (2023)."""
LARGEST = 0.4
"""Of the photo: what is larger than that is around an object, and none."""
OBJECT, BACKGROUND, CORNER, OTHER_CORNER = 1, 0, 2, 3
"""What the decoder calls points."""

_last: tuple[bytes, dict[str, NDArray[np.float32]]] | None = None
_lock = threading.Lock()


def find(picture: Picture, prompt: Prompt) -> Found:
    """Find the object that is pointed at.

    Args:
        picture: Of any size.
        prompt: With points or a box.

    Returns:
        The mask; its score is what the network thinks of it.

    Raises:
        ReferenceMissingError: If the networks have not been fetched.
        WeightsError: If they cannot be loaded.
    """
    decoder = networks.session("sam2_decoder")
    height, width = picture.size
    whole = Box.whole((height, width))
    places = [(point, OBJECT) for point in prompt.at] + [
        (point, BACKGROUND) for point in prompt.avoid
    ]
    if prompt.box is not None:
        box = prompt.box
        places += [((box.left, box.top), CORNER), ((box.right, box.bottom), OTHER_CORNER)]
    scale = np.array([SIDE / width, SIDE / height], np.float32)
    given = {
        "point_coords": np.array([[point for point, _ in places]], np.float32) * scale,
        "point_labels": np.array([[label for _, label in places]], np.float32),
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
    }
    masks, scores = decoder.run(
        ["masks", "iou_predictions"], {**_features(look(picture, whole, (SIDE, SIDE))), **given}
    )
    chosen = _chosen(masks[0], scores[0], len(places) == 1)
    share = 1 / (1 + np.exp(-np.clip(masks[0, chosen], -32, 32).astype(np.float32)))
    return Found(whole, share, float(scores[0, chosen]))


def _chosen(masks: NDArray[np.float32], scores: NDArray[np.float32], alone: bool) -> int:
    """Choose a mask: for one point alone the whole that it is of, and otherwise what is as good.

    Args:
        masks: ``(3, h, w)`` logits.
        scores: ``(3,)``, what the network thinks of them.
        alone: Whether one point is all that is known: more of them, or a box, can mean a part.

    Returns:
        Its number: of those that will do, the largest.
    """
    sizes = (masks > 0).sum((1, 2))
    good = scores >= scores.max() - AS_GOOD
    if alone:
        tight, wide = ((masks > shift).sum((1, 2)) for shift in (SHIFT, -SHIFT))
        stable = tight >= STABLE * np.maximum(wide, 1)
        whole = stable & (scores >= LIKELY) & (sizes <= LARGEST * masks[0].size)
        good |= whole
    return int(np.where(good, sizes, -1).argmax())


def _features(rgb: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Encode a picture, unless it is the one that was asked about last."""
    global _last
    seen = networks.planes(rgb)
    digest = hashlib.blake2b(seen.data, digest_size=16).digest()
    with _lock:
        kept = _last
    if kept is not None and kept[0] == digest:
        return kept[1]
    values = networks.session("sam2_encoder").run(list(FEATURES), {"image": seen})
    found = dict(zip(FEATURES, values, strict=True))
    with _lock:
        _last = digest, found
    return found
