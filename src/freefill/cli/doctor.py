"""``freefill doctor``."""

from __future__ import annotations

import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import typer

from freefill.cli.console import print_answer

LARGEST_ERROR = 0.9
"""As a share of the error that the best even colour would make: what is learnt must beat it."""
PACKAGES = {
    "numpy": "",
    "pillow": "",
    "onnxruntime": "",
    "typer": "",
    "rich": "",
    "fastapi": "serve",
    "uvicorn": "serve",
    "jpeglib": "serve,jpeg",
    "pillow-heif": "serve,heif",
    "av": "video",
    "opencv-python-headless": "stitch,video",
    "pyarrow": "batch",
    "ray": "ray",
    "torch": "lab",
    "lightning-fabric": "lab",
    "onnx": "lab",
}
"""What is told, and the extra that brings it."""


def doctor() -> None:
    """Print versions, engine and threads, check the weights, and fill a test picture.

    Exits with 1 if the self-test fails, with 2 if weights are damaged.
    """
    import numpy as np

    from freefill import __version__
    from freefill.pipeline.inpainter import Inpainter
    from freefill.weights.registry import list_weights

    print_answer(f"freefill {__version__}, Python {sys.version.split()[0]}, {platform.platform()}")
    for package, extra in PACKAGES.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            found = f"not installed (part of freefill[{extra}])"
        print_answer(f"  {package} {found}")
    for weights in list_weights():
        weights.check()
        print_answer(f"weights {weights.name}: {weights.size / 1e6:.1f} MB, sha256 as on its card")
    inpainter = Inpainter()
    print_answer(f"engine: {inpainter.engine.name}")

    # A gradient is what any inpainting must be able to continue.
    rows, columns = np.mgrid[0:256, 0:256]
    image = np.stack([rows, columns, (rows + columns) // 2], -1).astype(np.uint8)
    mask = np.zeros((256, 256), bool)
    mask[64:192, 64:192] = True
    damaged = np.where(mask[..., None], np.uint8(0), image)
    inpainter(image=damaged, mask=mask)
    start = time.perf_counter()
    filled = inpainter(image=damaged, mask=mask)
    elapsed = time.perf_counter() - start
    kept = bool((filled[~mask] == image[~mask]).all())
    error = float(np.abs(filled[mask].astype(float) - image[mask]).mean())
    even = float(np.abs(image[mask] - image[mask].mean(0)).mean())
    good = kept and error < LARGEST_ERROR * even
    print_answer(
        f"self-test: {'passed' if good else 'FAILED'}: 256x256 in {elapsed * 1000:.0f} ms, pixels "
        f"outside the hole {'unchanged' if kept else 'CHANGED'}, error {error:.1f} of 255 "
        f"(one even colour: {even:.1f})"
    )
    if not good:
        raise typer.Exit(1)
