"""Downloads: what a server does and what a cut does, seen through the weights that come of it."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest
from wayward import CONTENT, OTHER, SIZE, URL, Site, files, stop_at, stopped

from freefill.errors import WeightsError
from freefill.weights import cache, download
from freefill.weights.cache import fetch


def test_ctrl_c_leaves_what_is_there_and_only_the_rest_is_asked_for(site: Site) -> None:
    left = stopped(site)
    assert not cache.path_of("big").exists()
    told: list[int] = []
    path = fetch(site.entry(), lambda done, size: told.append(done))
    assert told[0] == left
    assert path.read_bytes() == CONTENT
    assert [(wanted, sent) for _, wanted, sent in site.asked] == [(f"bytes={left}-", SIZE - left)]


def test_a_cut_connection_goes_on_by_itself(site: Site) -> None:
    # More cuts than attempts: each brought something, so it is not given up.
    site.cuts = [SIZE // 8] * 6
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert sum(sent for *_, sent in site.asked) == SIZE
    assert [wanted for _, wanted, _ in site.asked][1] == f"bytes={SIZE // 8}-"


def test_a_connection_that_brings_nothing_is_given_up_and_can_go_on(site: Site) -> None:
    site.cuts = [1000, *[0] * download.ATTEMPTS]
    with pytest.raises(WeightsError, match=f"at 1,000 of {SIZE:,} bytes .*goes on from there"):
        fetch(site.entry())
    assert len(site.asked) == 1 + download.ATTEMPTS
    assert cache.partial_of("big").read_bytes() == CONTENT[:1000]
    site.asked.clear()
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert [sent for *_, sent in site.asked] == [SIZE - 1000]


def test_a_server_without_ranges_starts_again(site: Site) -> None:
    site.ranges = False
    left = stopped(site)
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert [(wanted, sent) for _, wanted, sent in site.asked] == [(f"bytes={left}-", SIZE)]


def test_a_server_without_ranges_that_cuts_each_time_is_given_up(site: Site) -> None:
    site.ranges, site.cuts = False, [1000] * 20
    with pytest.raises(WeightsError, match="at 1,000 of"):
        fetch(site.entry())
    assert len(site.asked) == 1 + download.ATTEMPTS


@pytest.mark.parametrize("knows_if_range", [True, False])
def test_pieces_of_two_files_are_not_glued(site: Site, knows_if_range: bool) -> None:
    site.files[URL] = OTHER
    stopped(site)
    site.files[URL], site.etag, site.knows_if_range = CONTENT, '"two"', knows_if_range
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert site.asked[-1][2] == SIZE


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_pieces_of_two_files_are_found_by_their_sum(site: Site, etag: str | None) -> None:
    # Nothing the server says shows that the file is another.
    site.files[URL], site.etag = OTHER, etag
    left = stopped(site)
    site.files[URL] = CONTENT
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert [sent for *_, sent in site.asked] == [SIZE - left, SIZE]


def test_what_is_left_of_other_weights_is_not_gone_on_with(site: Site) -> None:
    site.files[URL] = OTHER
    with pytest.raises(KeyboardInterrupt):
        fetch(site.entry(sha256=hashlib.sha256(OTHER).hexdigest()), stop_at(0.5))
    site.files[URL] = CONTENT
    site.asked.clear()
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert [(wanted, sent) for _, wanted, sent in site.asked] == [(None, SIZE)]


@pytest.mark.parametrize("state", ["", "[]", None])
def test_what_is_left_without_its_notes_is_not_gone_on_with(site: Site, state: str | None) -> None:
    stopped(site)
    notes = download.state_of(cache.partial_of("big"))
    notes.unlink() if state is None else notes.write_text(state)
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in site.asked] == [None]


def test_a_download_that_was_only_not_renamed_asks_for_nothing(site: Site) -> None:
    with pytest.raises(KeyboardInterrupt):
        fetch(site.entry(), stop_at(1))
    assert cache.partial_of("big").stat().st_size == SIZE
    site.asked.clear()
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert site.asked == []


@pytest.mark.parametrize("change", [1, -1, 5000])
def test_another_size_is_refused_before_it_is_fetched(site: Site, change: int) -> None:
    site.files[URL] = (CONTENT * 2)[: SIZE + change]
    with pytest.raises(WeightsError, match=f"{SIZE + change:,} bytes where {SIZE:,}"):
        fetch(site.entry())
    assert not cache.path_of("big").exists()
    assert not cache.partial_of("big").exists()


def test_a_server_that_sends_more_is_cut_off(site: Site, cache_folder: Path) -> None:
    site.says_length = False
    site.files[URL] = CONTENT * 40
    told: list[int] = []
    with pytest.raises(WeightsError, match=f"more than {SIZE:,} bytes"):
        fetch(site.entry(), lambda done, size: told.append(done))
    assert max(told) <= SIZE
    assert files(cache_folder) == []


def test_a_server_that_sends_less_says_both_numbers_and_keeps_it(site: Site) -> None:
    site.says_length = False
    site.files[URL] = CONTENT[: SIZE // 2]
    with pytest.raises(WeightsError, match=f"{SIZE // 2:,} bytes where {SIZE:,} are expected"):
        fetch(site.entry())
    site.files[URL] = CONTENT
    site.asked.clear()
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert [sent for *_, sent in site.asked] == [SIZE - SIZE // 2]


def test_a_server_that_has_nothing_after_what_is_here_starts_again(site: Site) -> None:
    left = stopped(site)
    site.answers = [416]
    assert fetch(site.entry()).read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in site.asked] == [f"bytes={left}-", None]


def test_a_missing_file_is_said_at_once(site: Site) -> None:
    site.files.clear()
    with pytest.raises(WeightsError, match="404"):
        fetch(site.entry())
    assert len(site.asked) == 1


def test_a_server_in_trouble_is_asked_again(site: Site) -> None:
    site.answers = [500, 503]
    assert fetch(site.entry()).read_bytes() == CONTENT
    site.answers = [500] * 20
    with pytest.raises(WeightsError, match=r"cannot be fetched: 500 .*, 4 times in a row"):
        fetch(site.entry(name="more"))
    assert len(site.asked) == 3 + download.ATTEMPTS


def test_a_stalled_server_is_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.15)
    site.stalls, site.cuts = True, [1000, *[0] * download.ATTEMPTS]
    with pytest.raises(WeightsError, match=r"1,000 of .*nothing came for 0\.15 s"):
        fetch(site.entry())


def test_a_server_that_is_not_there(site: Site) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/big.onnx"
        with pytest.raises(WeightsError, match=r"big\.onnx cannot be fetched: .*refused"):
            fetch(site.entry(url=address))


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/a.onnx", "data:,a", "a.onnx", "http:a.onnx", "file://host/a.onnx"]
)
def test_other_addresses_are_refused(site: Site, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(WeightsError, match="no https, http or file address"):
        fetch(site.entry(url=url))
    site.moved[URL] = url if "://" in url else f"ftp://{url}"
    with pytest.raises(WeightsError):
        fetch(site.entry())
    monkeypatch.setenv("FREEFILL_MIRROR", url)
    with pytest.raises(WeightsError, match="no https, http or file address"):
        fetch(site.entry())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:99999/a.onnx", "Port out of range"),
        ("http://127.0.0.1:x/a.onnx", "no port that there can be"),
        ("http://127.0.0.1/a b.onnx", "has ' ' as its character 19"),
        ("http://127.0.0.1/\u00e4.onnx", r"has '\\xe4' as its character 18"),
        ("http://127.0.0.1/a\nb.onnx", r"has '\\n' as"),
        ("http://b\u00fccher.example/a.onnx", "as its character 9"),
        ("http://[127.0.0.1/a.onnx", "is no address: Invalid IPv6"),
        ("http://[]/a.onnx", "no"),
        ("https://me:secret@127.0.0.1/a.onnx", "has a user name or password in it"),
        ("https://me@127.0.0.1/a.onnx", "has a user name or password in it"),
        ("https://:80/a.onnx", "no https, http or file address"),
        ("http://" + "a" * 300 + "/a.onnx", "cannot be fetched"),
    ],
)
def test_addresses_that_cannot_be_asked(site: Site, url: str, words: str) -> None:
    with pytest.raises(WeightsError, match=words) as refused:
        fetch(site.entry(url=url))
    assert "secret" not in str(refused.value)
    assert "stopped at" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_card_that_is_too_deep(site: Site) -> None:
    site.files["/card.json"] = b"[" * 200_000
    with pytest.raises(WeightsError, match="the card of big, is not JSON"):
        fetch(site.entry(card_url=f"{site.url}/card.json"))


def test_a_redirect_is_followed_but_not_out_of_https(site: Site) -> None:
    site.moved["/latest"] = URL
    assert fetch(site.entry(url=f"{site.url}/latest")).read_bytes() == CONTENT
    request = download.Request("https://example.org/big.onnx")
    with pytest.raises(WeightsError, match="not https"):
        download._Redirects().redirect_request(
            request,
            None,
            302,
            "",
            {},
            "http://example.org/big.onnx",  # type: ignore[arg-type]
        )
