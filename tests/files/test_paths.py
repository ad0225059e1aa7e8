"""The user's cache: one folder for all that is kept, wherever the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from freefill.errors import ConfigError, DataError, ReferenceMissingError
from freefill.files import paths
from freefill.lab.data import fetching, photos
from freefill.weights import cache, third_party
from freefill.weights.entries import list_entries


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FREEFILL_CACHE", "FREEFILL_REFERENCES", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="each system has a place of its own")
def test_linux_keeps_it_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/c")
    assert paths.cache_folder("weights") == Path("/c/.cache/freefill/weights")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert paths.cache_folder("weights") == Path("/b/freefill/weights")
    monkeypatch.setenv("FREEFILL_CACHE", "/a")
    assert paths.cache_folder("weights") == Path("/a/weights")


def test_everything_that_is_kept_honours_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: Path
) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path))
    assert cache.folder() == tmp_path / "weights"
    assert third_party.folder() == tmp_path / "references"
    assert fetching.Cache(1).folder == tmp_path / "shards"
    photos.open_store(examples, 32)
    assert sorted(path.suffix for path in (tmp_path / "photos").iterdir()) == [".json", ".u8"]


def test_relative_home_and_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FREEFILL_CACHE", "here")
    assert paths.cache_folder("weights") == tmp_path / "here/weights"
    monkeypatch.setenv("FREEFILL_CACHE", "~/there")
    assert paths.cache_folder("weights") == tmp_path / "there/weights"
    monkeypatch.setenv("FREEFILL_REFERENCES", "~/shared")
    assert third_party.folder() == tmp_path / "shared"
    for empty in ("", " "):
        monkeypatch.setenv("FREEFILL_CACHE", empty)
        unset = paths.cache_folder("weights")
        assert tmp_path in unset.parents
        assert unset.parent.name == "freefill"


def test_a_home_that_there_is_not_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", "~no-such-user/there")
    with pytest.raises(ConfigError, match="FREEFILL_CACHE is ~no-such-user/there: there is no"):
        paths.cache_folder("weights")
    monkeypatch.setenv("FREEFILL_REGISTRY", "~no-such-user/own.toml")
    with pytest.raises(ConfigError, match="FREEFILL_REGISTRY is ~no-such-user"):
        list_entries()
    # As for a user without an entry in /etc/passwd.
    monkeypatch.setenv("FREEFILL_CACHE", "")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(ConfigError, match=r"no home folder.*set FREEFILL_CACHE"):
        paths.cache_folder("weights")


def test_a_file_in_the_place_of_the_folder_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, examples: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "file"))
    words = r"file.* cannot be written: .*; FREEFILL_CACHE names another folder"
    with pytest.raises(DataError, match=words):
        photos.open_store(examples, 32)
    with pytest.raises(DataError, match=words):
        fetching.Cache(1).open(fetching.Shard("http://127.0.0.1:9/a.tar", 1, 1))
    monkeypatch.setattr(third_party, "_download", lambda *_: tmp_path / "file")
    monkeypatch.setattr(third_party, "_member", lambda archive, reference: archive)
    monkeypatch.setattr(third_party, "_damage", lambda file, reference: None)
    with pytest.raises(ReferenceMissingError, match=words):
        third_party.fetch("u2netp", lambda line: None)
    # A folder that was named for them alone is named.
    monkeypatch.setenv("FREEFILL_REFERENCES", str(tmp_path / "file/deep"))
    with pytest.raises(ReferenceMissingError, match="FREEFILL_REFERENCES names another"):
        third_party.fetch("u2netp", lambda line: None)


def test_filling_needs_no_cache(tmp_path: Path, examples: Path) -> None:
    code = "import freefill.cli; freefill.cli.main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "fill", examples / "bee.jpg", "--out", tmp_path / "out.png"],
        env=os.environ | {"HOME": "/nowhere", "FREEFILL_CACHE": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "none").exists()
