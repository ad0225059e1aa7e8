"""What freefill is compared with, and freefill itself, each behind one small function.

The functions are the methods as they are. :func:`find` wraps each in
:func:`hide_hole_and_composite`, so that all are judged alike: none sees what was in the hole, none
may change what was outside it. Importing this module loads none of their libraries.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
from PIL import Image

from freefill.errors import ConfigError, ExtraMissingError, ImageError, MaskError
from freefill.imaging.io import read_picture, restore
from freefill.imaging.rgb import read_rgb
from freefill.pipeline.inpainter import PIPELINE_VERSION
from freefill.pipeline.request import FillRequest
from freefill.registry import Registry
from freefill.types import Mask, Pixels
from freefill.weights import registry, third_party

Fill = Callable[[Pixels, Mask], Pixels]
"""From a photo ``(H, W, 3)`` uint8 RGB and a hole ``(H, W)`` bool, True = fill, to a filled one."""

RADIUS = 5
"""Neighbourhood of the two OpenCV methods, in pixels."""

PATCH_RADIUS = 3
"""Patches of 7x7 pixels, as in the package's examples. On 24 photos of 256x256 with free-form holes
it had the lowest LPIPS of 1, 2, 3 and 5 (0.195, 0.192, 0.191, 0.196)."""

IN_PIPELINE = "freefill-"
"""Before the name of weights that are a baseline of their own, too: ``freefill-migan`` is MI-GAN's
network in freefill's pipeline, ``migan`` its own pipeline alone."""

PLACEHOLDERS = ("{image}", "{mask}", "{out}")


@dataclass(frozen=True)
class Baseline:
    """One way to fill holes, as the evaluation calls it."""

    name: str
    fill: Fill
    identity: str
    """Changes when the results could change: sha256 (and the pipeline's number), or library and
    version, or the command."""


@dataclass(frozen=True)
class Method:
    """A registered baseline before it is loaded.

    Attributes:
        fill: The method as it is.
        module: What it needs; its package's name and version go into the identity.
        settings: What else the result depends on, for the identity.
    """

    fill: Fill
    module: str
    settings: str


BASELINES: Registry[Method] = Registry("baseline")
"""Every built-in baseline that is a function, by the name that ``--fill`` takes."""


def register_baseline(name: str, module: str, settings: str = "") -> Callable[[Fill], Fill]:
    """Give a decorator that adds a baseline; docs/extending.md has an example.

    Args:
        name: What ``freefill evaluate --fill`` calls it.
        module: The module that it needs, imported when the baseline is asked for.
        settings: What its results depend on beside the version of that module. Pictures that were
            measured with other settings are measured again.

    Raises:
        ConfigError: If the name is taken.
    """

    def register(fill: Fill) -> Fill:
        BASELINES.add(name, Method(fill, module, settings or name))
        return fill

    return register


def hide_hole_and_composite(fill: Fill) -> Fill:
    """Keep a method from looking into the hole and from changing what is outside it.

    It gets the photo with its hole :func:`blanked`; outside the hole, the photo is put back.

    Returns:
        A method that leaves its arguments as they are. It raises ``MaskError`` for a hole that is
        the whole photo, and gives a copy of a photo without one.
    """

    def filled_alike(photo: Pixels, hole: Mask) -> Pixels:
        if hole.all():
            raise MaskError("the hole is the whole photo: nothing is known to fill from")
        if not hole.any():
            return photo.copy()
        # A hole of its own: libraries want one in C order, which may be written to.
        filled = fill(blanked(photo, hole), hole.copy())
        return np.where(hole[..., None], filled, photo)

    return filled_alike


def blanked(photo: Pixels, hole: Mask) -> Pixels:
    """Give each pixel of the hole the colour of the known pixel that is nearest to it.

    One colour would hide as much, but punish what resizes the photo or blends at the hole's edge.
    MI-GAN's pipeline does both: mean LPIPS of 16 photos of 256x256 was 0.273 with grey in the hole,
    0.164 like this, and 0.160 with the truth in it, which must not be seen.
    """
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(hole, return_distances=False, return_indices=True)
    result: Pixels = photo[rows, columns]
    return result


@register_baseline("mean_colour", "numpy", "mean colour")
def mean_colour(photo: Pixels, hole: Mask) -> Pixels:
    """Fill with the mean of the known pixels: what any method has to beat."""
    mean = np.rint(photo[~hole].mean(axis=0)).astype(np.uint8)
    return np.where(hole[..., None], mean, photo)


@register_baseline("telea", "cv2", f"telea radius {RADIUS}")
def telea(photo: Pixels, hole: Mask) -> Pixels:
    """Fill by fast marching (Telea, 2004), in OpenCV."""
    import cv2

    return np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA))


@register_baseline("ns", "cv2", f"ns radius {RADIUS}")
def navier_stokes(photo: Pixels, hole: Mask) -> Pixels:
    """Fill along isophotes, as a fluid flows (Bertalmio, Bertozzi and Sapiro, 2001), in OpenCV."""
    import cv2

    return np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), RADIUS, cv2.INPAINT_NS))


@register_baseline("biharmonic", "skimage.restoration", "biharmonic")
def biharmonic(photo: Pixels, hole: Mask) -> Pixels:
    """Fill by a biharmonic surface (Damelin and Hoang, 2018), in scikit-image.

    The whole hole at once: ``split_into_regions`` gave the same to the bit on 32 photos, no faster.
    """
    from skimage.restoration import inpaint_biharmonic  # gives floats in [0, 1]

    return np.asarray(np.rint(inpaint_biharmonic(photo, hole, channel_axis=-1) * 255), np.uint8)


@register_baseline("patchmatch", "patchmatch.patch_match", f"patch radius {PATCH_RADIUS} seed 0")
def patchmatch(photo: Pixels, hole: Mask) -> Pixels:
    """Fill with patches from elsewhere in the photo (Barnes et al., 2009), in PyPatchMatch."""
    from patchmatch import patch_match

    patch_match.set_random_seed(0)  # from which each call starts: equal photos, equal fills
    return np.asarray(patch_match.inpaint(photo, hole, patch_size=PATCH_RADIUS))


def migan(path: Path) -> Fill:
    """Fill with MI-GAN (Sargsyan et al., 2023): its published pipeline, which works at 512x512.

    Args:
        path: ``third_party.path("migan")``: inputs ``image``, ``(1, 3, H, W)`` uint8 RGB, and
            ``mask``, ``(1, 1, H, W)`` uint8 with 255 = keep; output like ``image``.
    """
    import onnxruntime

    from freefill.pipeline.engines.cpu_count import available_cores

    # The options of freefill's own session.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def fill(photo: Pixels, hole: Mask) -> Pixels:
        image = np.ascontiguousarray(photo.transpose(2, 0, 1)[None])
        keep = np.where(hole, np.uint8(0), np.uint8(255))[None, None]
        (filled,) = session.run(None, {"image": image, "mask": keep})
        return np.ascontiguousarray(filled[0].transpose(1, 2, 0))

    return fill


def trained(model: str) -> Fill:
    """Fill with freefill's weights, a bundled name or an ONNX file, in the usual pipeline."""
    from freefill.pipeline.inpainter import Inpainter

    inpainter = Inpainter(model)

    def fill(photo: Pixels, hole: Mask) -> Pixels:
        # Not a plain call: that warns of large holes, and here they are meant.
        return np.asarray(restore(inpainter.run(FillRequest(read_picture(photo), hole)).picture))

    return fill


def command_line(template: str) -> Fill:
    """Fill with any program.

    Args:
        template: Program and arguments, split as a shell would; no shell runs it. In each word,
            ``{image}`` and ``{mask}`` (white = fill) become the paths of PNG files to read, and
            ``{out}`` that of the PNG file to write.

    Returns:
        The method. It raises ``ConfigError`` if the program fails, and ``ImageError`` if what it
        wrote is missing, unreadable or of another size.

    Raises:
        ConfigError: If the template has no such program, or lacks a placeholder.
    """
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise ConfigError(f"command {template!r} cannot be split: {error}") from None
    missing = [p for p in PLACEHOLDERS if not any(p in word for word in words)]
    if missing:
        raise ConfigError(f"command {template!r} lacks {', '.join(missing)}")
    if shutil.which(words[0]) is None:
        raise ConfigError(f"command {template!r}: there is no program {words[0]!r}")

    def fill(photo: Pixels, hole: Mask) -> Pixels:
        with tempfile.TemporaryDirectory() as folder:
            paths = {p: str(Path(folder) / f"{p[1:-1]}.png") for p in PLACEHOLDERS}
            Image.fromarray(photo).save(paths["{image}"])
            Image.fromarray(hole.astype(np.uint8) * 255).save(paths["{mask}"])
            command = [re.sub(r"\{(image|mask|out)\}", lambda m: paths[m[0]], w) for w in words]
            return _filled_by(command, Path(paths["{out}"]), hole.shape)

    return fill


def _filled_by(command: list[str], out: Path, size: tuple[int, ...]) -> Pixels:
    try:  # run() kills the program when Ctrl-C interrupts it
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run: {error}") from None
    said = done.stderr.decode(errors="replace").strip() or "nothing on its standard error"
    lines = said.splitlines()[-3:]
    if done.returncode:
        raise ConfigError(f"{command[0]} exited with {done.returncode}: {' | '.join(lines)}")
    try:
        filled = read_rgb(out)
    except FileNotFoundError:
        raise ImageError(f"{command[0]} wrote no {{out}}: {lines[-1]}") from None
    except (OSError, ImageError) as error:
        raise ImageError(f"what {command[0]} wrote cannot be read: {error}") from None
    if filled.shape[:2] != size:
        wrong, right = (f"{columns}x{rows}" for rows, columns in (filled.shape[:2], size))
        raise ImageError(f"{command[0]} wrote {wrong} pixels for a photo of {right}")
    return filled


def names() -> list[str]:
    """List the baselines; :func:`find` knows the names of bundled weights as well."""
    return [*BASELINES, "migan"]


def find(spec: str) -> Baseline:
    """Find a baseline, and load what it needs, so that what is missing shows here.

    Args:
        spec: One of :func:`names`, the name of weights that are here, ``freefill-NAME`` for those
            whose name a baseline has, the path of an ONNX file, or ``NAME=command`` (see
            :func:`command_line`).

    Returns:
        The baseline; that of a path is named by the file's stem.

    Raises:
        ConfigError: If it is none of these; the message lists what there is.
        WeightsError, ExtraMissingError, ReferenceMissingError: If what it needs is not there.

    Examples:
        >>> photo = np.full((4, 4, 3), 9, np.uint8)
        >>> int(find("mean_colour").fill(photo, np.eye(4, dtype=bool)).min())
        9
    """
    _need("scipy.ndimage")
    bundled = [weights.name for weights in registry.list_weights()]
    if spec in BASELINES:
        method = BASELINES[spec]
        identity = f"{_need(method.module)} {method.settings}"
        return Baseline(spec, hide_hole_and_composite(method.fill), identity)
    if spec == "migan":
        path = third_party.path(spec)
        return Baseline(spec, hide_hole_and_composite(migan(path)), _sha256(path))
    if spec.startswith(IN_PIPELINE):
        return replace(_by_freefill(spec.removeprefix(IN_PIPELINE)), name=spec)
    # A path may hold an equals sign.
    if spec in bundled or (spec.endswith(".onnx") and ("=" not in spec or Path(spec).is_file())):
        return _by_freefill(spec)
    name, equals, template = spec.partition("=")
    if not equals:
        raise ConfigError(
            f"no baseline {spec!r}: there are {', '.join(names() + bundled)}, or give the path of "
            "an .onnx file, or NAME=command with {image}, {mask} and {out}"
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise ConfigError(f"baseline name {name!r}: only letters, digits and . _ - may be in it")
    if name in names() + bundled:
        raise ConfigError(f"baseline name {name!r} is taken: give the command another")
    return Baseline(name, hide_hole_and_composite(command_line(template)), template)


def _by_freefill(model: str) -> Baseline:
    weights = registry.find(model)
    identity = f"{_sha256(weights.path)} pipeline {PIPELINE_VERSION}"
    return Baseline(weights.name, hide_hole_and_composite(trained(model)), identity)


def _need(module: str) -> str:
    """Import a module; give the name and version of the package that it comes from."""
    try:
        loaded = import_module(module)
    except ImportError as error:
        raise ExtraMissingError(f"{error}: pip install 'freefill[baselines]'") from None
    if not getattr(loaded, "patchmatch_available", True):
        raise ExtraMissingError("patchmatch's library is broken: pip install -U pypatchmatch")
    packages = metadata.packages_distributions().get(module.split(".")[0], [])
    return " ".join(f"{name} {metadata.version(name)}" for name in packages) or module


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
