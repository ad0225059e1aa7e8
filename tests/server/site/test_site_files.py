"""The folder that is written: all that it needs is in it, and pinned."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from in_node import run_node

from freefill.errors import ConfigError, ReferenceMissingError, WeightsError
from freefill.server.site import build
from freefill.server.site import runtime as web
from freefill.server.site.build import write_site
from freefill.weights import registry


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _kept(site: Path) -> dict[str, object]:
    (line,) = re.findall(r"^const SITE = (\{.*?^\});$", (site / "sw.js").read_text(), re.M | re.S)
    found: dict[str, object] = json.loads(line)
    return found


def test_every_file_is_pinned(site: Path) -> None:
    told = json.loads((site / "site.json").read_text())
    large = [told["wasm"], told["weights"], told["segmenter"]]
    for one in large:
        packed = (site / one["name"]).read_bytes()
        plain = gzip.decompress(packed)
        assert (len(packed), _sha256(packed)) == (one["bytes"], one["sha256"])
        assert _sha256(plain) == one["unpacked"]["sha256"]
        assert one["unpacked"]["sha256"][:12] in one["name"]
    assert told["weights"]["unpacked"]["sha256"][:12] == registry.find("light").short
    kept = _kept(site)
    assert isinstance(kept["files"], dict)
    assert kept["large"] == [one["name"] for one in large]
    for name, digest in kept["files"].items():
        assert _sha256((site / name).read_bytes()) == digest
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert names == {*kept["files"], *kept["large"], "sw.js"}


def test_nothing_is_named_that_is_not_there(site: Path) -> None:
    """Imports, links, icons: all are files of the folder, by relative names."""
    seen = 0
    for path in [*site.rglob("*.js"), *site.glob("*.html"), *site.glob("*.webmanifest")]:
        text = path.read_text()
        code = re.sub(r"^\s*(/?\*|//).*$|<symbol.*", "", text, flags=re.M)
        names = re.findall(
            r"(?:from '|import\(')([^']+)'|(?:href|src)=\"([^\"#]+)\"|\"src\": \"([^\"]+)", code
        )
        for name in ("".join(groups) for groups in names):
            seen += 1
            assert (path.parent / name).is_file(), (path.name, name)
    assert seen > 60
    html = (site / "index.html").read_text()
    assert html.index("Content-Security-Policy") < html.index("<link")
    assert "unsafe-inline" not in html
    assert "'unsafe-eval'" not in html


def test_what_is_not_ours_is_listed_with_its_licence(site: Path) -> None:
    told = (site / "LICENCES.txt").read_text()
    for word in (
        web.VERSION,
        web.INTEGRITY,
        *web.SHA256.values(),
        "Copyright (c) Microsoft",
        "MIT",
    ):
        assert word in told


def test_the_same_versions_give_the_same_bytes(site: Path, runtime: Path, tmp_path: Path) -> None:
    write_site(tmp_path / "again", runtime=runtime.parent, log=lambda _: None)
    for path in site.rglob("*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(site)
            assert again.read_bytes() == path.read_bytes()


def test_what_is_in_the_folder_is_not_lost(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something that is no site"):
        write_site(tmp_path, runtime=runtime, overwrite=True, log=lambda _: None)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    out = tmp_path / "site"
    out.mkdir()
    write_site(out, runtime=runtime, log=lambda _: None)
    (out / "app.js").write_text("changed")
    with pytest.raises(ConfigError, match="holds a site already: `overwrite=True`"):
        write_site(out, runtime=runtime, log=lambda _: None)
    assert (out / "app.js").read_text() == "changed"
    write_site(out, runtime=runtime, overwrite=True, log=lambda _: None)
    assert (out / "app.js").read_text() != "changed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "site"]


def test_another_runtime_is_refused(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / web.MODULE).write_bytes((runtime / web.MODULE).read_bytes())
    with pytest.raises(ReferenceMissingError, match=f"no {web.WASM} in"):
        web.files(tmp_path)
    (tmp_path / web.WASM).write_bytes(b"\0asm")
    with pytest.raises(ReferenceMissingError, match=r"has sha256 \w+, not \w+: it is damaged"):
        web.files(tmp_path)


def test_the_runtime_comes_from_npm_once(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of another hash is not kept; one that is there is not fetched again."""
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path))
    asked = []

    def download(package: str, scratch: Path, otherwise: str) -> Path:
        asked.append(package)
        (scratch / "package.tgz").write_bytes(b"another")
        return scratch / "package.tgz"

    monkeypatch.setattr(web.third_party, "download", download)
    told: list[str] = []
    with pytest.raises(ReferenceMissingError, match="the package has changed, nothing was kept"):
        web.files(log=told.append)
    assert asked == [f"npm:onnxruntime-web@{web.VERSION}"]
    assert told == [f"fetching onnxruntime-web {web.VERSION} with npm (about 30 MB, once)"]
    kept = tmp_path / "runtime" / f"onnxruntime-web-{web.VERSION}"
    assert not kept.exists()
    kept.mkdir(parents=True)
    for name in web.SHA256:
        (kept / name).symlink_to(runtime / name)
    assert web.files() == {name: kept / name for name in web.SHA256}
    assert len(asked) == 1


def test_no_connection_is_opened_where_none_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path))
    monkeypatch.setenv("FREEFILL_OFFLINE", "1")
    with pytest.raises(ReferenceMissingError, match="FREEFILL_OFFLINE"):
        web.files()


def test_large_files_are_checked_wherever_they_come_from(site: Path) -> None:
    (line,) = run_node(Path(__file__).parent / "large_files.mjs", site)
    found = json.loads(line)
    right = {"right": True, "steady": True, "last": True}
    assert found["first"] == {**right, "asked": 1}
    assert found["kept"] == {**right, "asked": 0}
    assert found["damagedOnDisk"] == {**right, "asked": 1}
    assert "is not the file that this site was made with" in found["damagedOnTheWay"]["error"]
    assert found["notKept"] == 0
    assert "a.gz cannot be fetched: 404" in found["missing"]["error"]
    # Some servers declare .gz to be a coding, which browsers take off.
    assert found["unpackedByTheServer"] == {**right, "asked": 1}
    assert found["unpackedAndKept"] == {**right, "asked": 0}
    assert found["noRoom"] == {**right, "asked": 1}


def test_networks_of_others_are_refused(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be fed with crops of any size, and fill nonsense in silence."""
    squares = SimpleNamespace(side=512, guided=False)
    monkeypatch.setattr(build, "open_engine", lambda *_: squares)
    with pytest.raises(WeightsError, match="light is a network of others"):
        write_site(tmp_path / "site", runtime=runtime, log=lambda _: None)
    assert not (tmp_path / "site").exists()
