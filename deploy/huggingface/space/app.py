"""A page to try freefill by: paint over what should go, and press the button."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from freefill import Inpainter
from freefill.errors import FreefillError

LONGEST = 4096
"""Longest side that is filled here, in pixels: the machine is shared."""

inpainter = Inpainter()


def fill(drawn: dict[str, Any] | None, grow: int) -> NDArray[np.uint8]:
    """Fill what was painted over.

    Args:
        drawn: What Gradio's editor gives: ``background``, ``(H, W, 4)`` uint8, and ``layers`` of
            the same size, whose opacity is where somebody painted.
        grow: Pixels that the hole is widened by.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        gradio.Error: With a sentence for the person, if there is no photo, no stroke, or too much.
    """
    if drawn is None or drawn["background"] is None:
        raise gr.Error("Open a photo first.")
    photo = drawn["background"][..., :3]
    if max(photo.shape[:2]) > LONGEST:
        height, width = photo.shape[:2]
        raise gr.Error(f"The photo has {width}x{height} pixels; {LONGEST} a side is the most here.")
    mask = np.zeros(photo.shape[:2], bool)
    for layer in drawn["layers"]:
        mask |= layer[..., 3] > 0
    if not mask.any():
        raise gr.Error("Paint over what should go.")
    try:
        return inpainter(photo, mask, grow=grow)
    except FreefillError as error:
        raise gr.Error(str(error)) from None


with gr.Blocks(title="freefill") as page:
    gr.Markdown(
        "# freefill\nPaint over what should go, and press **Fill**. Pixels that you do not paint"
        " over stay as they are. [What it is](https://github.com/freefill/freefill)"
    )
    with gr.Row():
        editor = gr.ImageEditor(
            type="numpy",
            label="Photo",
            brush=gr.Brush(colors=["#ff3b6b"], color_mode="fixed"),
            layers=False,
            transforms=(),
        )
        result = gr.Image(label="Filled", format="png")
    grow = gr.Slider(0, 32, value=3, step=1, label="Widen the hole by, pixels")
    gr.Button("Fill", variant="primary").click(fill, [editor, grow], result)


if __name__ == "__main__":
    page.launch()
