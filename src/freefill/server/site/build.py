"""Writing a site: the page, the modules that fill, the network and the runtime, each pinned.

Every file is listed with its sha256: by ``site.json`` the large ones, by ``sw.js`` the others. The
large ones travel packed, whatever the server can do, and have their hash in their name.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from freefill import __version__
from freefill.errors import ConfigError, StorageError, WeightsError
from freefill.pipeline.engines import open_engine
from freefill.server.site import browser_folder
from freefill.server.site import runtime as web
from freefill.weights import registry, third_party
from freefill.weights.registry import Model, Weights

CSP = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""The served page's own, without what only a header can say, and with WASM."""
SEGMENTER = "u2netp"
"""What finds the thing at a click."""
MARK = "site.json"
"""The file that a folder is known by as one of these."""
WORDS = (
    ('<meta charset="utf-8">\n', '<meta charset="utf-8">\n{head}'),
    ('<link rel="stylesheet" href="style.css">\n', "{style}"),
    ("Everything runs on the machine that freefill was started on.", "{where}"),
    ("freefill's page needs JavaScript, which this same server sends.", "{script}"),
    ('<a href="docs" target="_blank">API for programs</a>', '<a href="LICENCES.txt">Licences</a>'),
    ('<div class="status">', '<p id="loading" hidden></p>\n  <div class="status">'),
)
"""What of the page differs: each stands in it exactly once."""
TEXTS = {
    "head": (
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="theme-color" content="#0e7c66">\n'
        '<link rel="manifest" href="manifest.webmanifest">\n'
        '<link rel="apple-touch-icon" href="icon-192.png">\n'
    ),
    "style": (
        '<link rel="stylesheet" href="style.css">\n<link rel="stylesheet" href="site.css">\n'
    ),
    "where": (
        "Everything runs in this browser: no photo is sent anywhere, and after the first visit it "
        "works without a network. 16 bits, TIFF and HEIC need freefill on a computer."
    ),
    "script": "freefill fills photos in the browser, which needs JavaScript.",
}
MANIFEST = {
    "name": "freefill",
    "short_name": "freefill",
    "description": "Brush over what should go from a photo. Nothing leaves this machine.",
    "start_url": "./",
    "scope": "./",
    "display": "standalone",
    "background_color": "#ffffff",
    "theme_color": "#0e7c66",
    "icons": [
        {"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"},
        {"src": "icon-192.png", "sizes": "192x192", "type": "image/png"},
        {"src": "icon-512.png", "sizes": "512x512", "type": "image/png"},
    ],
}
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), to deal in the Software
without restriction, including without limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons
to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED,
INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR
PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.
"""


@dataclass(frozen=True)
class Site:
    """What was written.

    Attributes:
        folder: Where.
        files: Bytes of each file, by its path in the folder.
        weights: The network that fills.
    """

    folder: Path
    files: dict[str, int]
    weights: Weights


def write_site(
    out: Path,
    *,
    model: Model = registry.DEFAULT,
    runtime: Path | None = None,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
) -> Site:
    """Write the studio as a folder of files for any web server.

    The same versions give the same bytes (zlib's, too).

    Args:
        out: The folder; it is made, and may be there if it is empty.
        model: Name of weights, or the path of an ONNX file.
        runtime: Where onnxruntime-web's files are, see :func:`freefill.server.site.runtime.files`.
        overwrite: Replace a site that is there.
        log: Called with lines of progress.

    Returns:
        What was written.

    Raises:
        WeightsError: If there are no such weights, they cannot be loaded, or are those of another
            network than freefill's own.
        ReferenceMissingError: If the runtime cannot be had.
        ConfigError: If there is something else in the folder.
        StorageError: If it cannot be written.
    """
    _check_free(out, overwrite)
    weights = registry.find(model)
    weights.check_loaded()
    engine = open_engine(weights.path, 1, "cpu")
    if weights.path.suffix != ".onnx" or getattr(engine, "side", None) is not None:
        raise WeightsError(
            f"{weights.name} is a network of others, which fill squares of one size; a page fills "
            f"with freefill's own, such as {registry.DEFAULT}"
        )
    parts = web.files(runtime, log)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
            made = Path(scratch) / "site"
            files = _contents(weights, engine.guided, parts)
            for name, content in files.items():
                path = made / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if out.exists():
                out.replace(Path(scratch) / "before") if any(out.iterdir()) else out.rmdir()
            shutil.move(made, out)
    except OSError as error:
        raise StorageError(f"{error.filename or out}: {error.strerror or error}") from None
    return Site(out, {name: len(content) for name, content in sorted(files.items())}, weights)


def _check_free(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"{out} is no folder")
    if not any(out.iterdir()):
        return
    if not (out / MARK).is_file():
        raise ConfigError(
            f"{out} holds something that is no site of freefill: name an empty folder"
        )
    if not overwrite:
        raise ConfigError(f"{out} holds a site already: `overwrite=True` replaces it")


def _contents(weights: Weights, guided: bool, parts: dict[str, Path]) -> dict[str, bytes]:
    """Give the bytes of every file of a site."""
    page = Path(str(resources.files("freefill.server").joinpath("page")))
    files = {path.name: path.read_bytes() for path in sorted(page.iterdir())}
    del files["docs.css"]  # of the server's description of its API
    own = browser_folder()
    # What the site has takes the place of what the page has of the same name.
    for path in sorted(own.rglob("*.*")):
        files[path.relative_to(own).as_posix()] = path.read_bytes()
    files["index.html"] = _page(files["index.html"].decode()).encode()
    files["manifest.webmanifest"] = _json(MANIFEST)
    module = f"{web.PACKAGE}-{web.VERSION}.mjs"
    files[module] = _without_map(parts[web.MODULE].read_bytes())
    large = {}
    for kind, stem, path in (
        ("wasm", f"{web.PACKAGE}-{web.VERSION}", parts[web.WASM]),
        ("weights", Path(weights.name).stem, weights.path),
        ("segmenter", SEGMENTER, third_party.BUNDLED / f"{SEGMENTER}.onnx"),
    ):
        plain = path.read_bytes()
        packed = gzip.compress(plain, 9, mtime=0)
        name = f"{stem}-{_sha256(plain)[:12]}{path.suffix}.gz"
        large[kind] = {"name": name, **_pinned(packed), "unpacked": _pinned(plain)}
        files[name] = packed
    site = {"freefill": __version__, "sketch": guided, "runtime": module, **large}
    files[MARK] = _json(site)
    files["LICENCES.txt"] = _licences(weights, large).encode()
    names = [str(one["name"]) for one in large.values()]
    files["sw.js"] = _worker(files, names)
    return files


def _page(html: str) -> str:
    for before, after in WORDS:
        assert html.count(before) == 1, before
        html = html.replace(before, after.format(**TEXTS) if "{" in after else after)
    return html


def _worker(files: dict[str, bytes], large: list[str]) -> bytes:
    """Write into the service worker what it keeps."""
    lines = files["sw.js"].decode().splitlines(keepends=True)
    kept = {
        name: _sha256(content)
        for name, content in sorted(files.items())
        if name not in (*large, "sw.js")
    }
    listed = {"version": _sha256(_json(kept))[:12], "files": kept, "large": large}
    (at,) = [i for i, line in enumerate(lines) if line.startswith("const SITE = ")]
    lines[at] = f"const SITE = {json.dumps(listed, indent=1)};\n"
    return "".join(lines).encode()


def _without_map(module: bytes) -> bytes:
    """Leave out the name of a map for debuggers, which is not there."""
    return b"\n".join(line for line in module.split(b"\n") if not line.startswith(b"//# source"))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pinned(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": _sha256(content)}


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _licences(weights: Weights, large: dict[str, dict[str, Any]]) -> str:
    licence = "not stated"
    if weights.card_path.is_file():
        licence = str(weights.card.get("licence", licence))
    return (
        f"freefill {__version__}: the page and its modules\n"
        "Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0\n\n"
        f"{large['weights']['name']}: the network\n"
        f"licence {licence}; sha256, unpacked, {large['weights']['unpacked']['sha256']}\n\n"
        f"{large['segmenter']['name']}: U^2-Net's small network, which finds things at a click\n"
        "Apache-2.0, https://github.com/xuebinqin/U-2-Net; sha256, unpacked, "
        f"{large['segmenter']['unpacked']['sha256']}\n\n"
        f"{web.PACKAGE}-{web.VERSION}.mjs, {large['wasm']['name']}: ONNX Runtime Web\n"
        f"npm:{web.PACKAGE}@{web.VERSION}, {web.INTEGRITY}\n"
        f"dist/{web.MODULE}, sha256 {web.SHA256[web.MODULE]} (the site's copy is "
        "without the line that names a source map)\n"
        f"dist/{web.WASM}, sha256 {web.SHA256[web.WASM]}\n"
        "Notices of what it contains: https://github.com/microsoft/onnxruntime/blob/"
        f"v{web.VERSION}/ThirdPartyNotices.txt\n\n"
        "MIT License\n\nCopyright (c) Microsoft Corporation\n\n" + MIT
    )
