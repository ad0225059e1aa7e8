"""docs/data: the list of training photos, and the page that counts them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
COLUMNS = ["file", "use", "sizes", "source", "path", "author", "licence"]
LICENCES = {
    "BSD (as stated)",
    "CC BY (as stated)",
    "CC BY 1.0",
    "CC BY 2.0",
    "CC BY 2.0 (as listed by Open Images)",
    "CC BY 2.5",
    "CC BY 3.0",
    "CC BY 4.0",
    "CC BY-SA (version not stated)",
    "CC BY-SA 2.0",
    "CC BY-SA 2.5",
    "CC BY-SA 3.0",
    "CC BY-SA 4.0",
    "CC0",
    "MIT",
    "Pexels (CC0 as stated)",
    "Pexels License",
    "Pixabay License",
    "Unlicense (public domain)",
    "Unsplash License",
    "no known copyright restrictions",
    "public domain",
    "public domain (US National Park Service)",
}
EXCLUDED = {"caltech101", "tuxpaint", "voteview", "howtocook", "photostream", "viewerjs", "stktex"}

Row = dict[str, str]


def read(name: str) -> list[Row]:
    with (DOCS / "data" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture(scope="module")
def photos() -> list[Row]:
    return read("photos.csv")


@pytest.fixture(scope="module")
def dropped() -> list[Row]:
    return read("dropped.csv")


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "data.md").read_text(encoding="utf-8")


def table(page: str, first: str, second: str) -> list[list[str]]:
    """The rows of the one Markdown table whose heading starts with these two cells."""
    start = page.index(f"| {first} | {second} |")
    assert page.find(f"| {first} | {second} |", start + 1) == -1
    lines = page[start:].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_rows_are_whole_sorted_and_name_each_photo_once(photos: list[Row]) -> None:
    assert list(photos[0]) == COLUMNS
    # A row with a cell too many has the key None, one with too few the value None.
    assert all(list(row) == COLUMNS and all(row.values()) for row in photos)
    names = [row["file"] for row in photos]
    assert names == sorted(set(names))


def test_every_file_name_tells_its_source(photos: list[Row]) -> None:
    for row in photos:
        assert re.fullmatch(row["source"] + r"_[0-9a-f]{10}\.jpg", row["file"]), row["file"]


def test_uses_and_sizes_are_known_and_agree(photos: list[Row]) -> None:
    pairs = {(row["use"], row["sizes"]) for row in photos}
    assert pairs == {
        ("train", "256"),
        ("train", "256 512"),
        ("held-out-256", "256"),
        ("held-out-512", "256 512"),
    }


def test_64_photos_are_held_out_at_256_and_32_at_512(photos: list[Row]) -> None:
    uses = Counter(row["use"] for row in photos)
    assert (uses["held-out-256"], uses["held-out-512"]) == (64, 32)


def test_every_licence_allows_training(photos: list[Row]) -> None:
    assert {row["licence"] for row in photos} <= LICENCES


def test_no_photo_is_of_a_source_that_was_left_out(photos: list[Row], page: str) -> None:
    assert not {row["source"] for row in photos} & EXCLUDED
    assert {row[0] for row in table(page, "source", "photos")} == EXCLUDED


def test_no_photo_was_dropped_by_eye(photos: list[Row], dropped: list[Row]) -> None:
    assert dropped
    assert not {row["file"] for row in photos} & {row["file"] for row in dropped}


def test_the_page_counts_the_dropped_photos_by_reason(dropped: list[Row], page: str) -> None:
    reasons = {name: int(number) for name, number in table(page, "dropped for", "photos")}
    assert reasons == Counter(row["reason"] for row in dropped)
    assert f"\n{len(dropped)} are not used" in page


def test_the_page_counts_every_source_and_licence_as_the_list_does(
    photos: list[Row], page: str
) -> None:
    told = {}
    for source, licences, *numbers in (row[:5] for row in table(page, "source", "licences")):
        parts = [re.fullmatch(r"(.+) \((\d+)\)", part) for part in licences.split("; ") if part]
        told[source] = ({p[1]: int(p[2]) for p in parts if p}, *map(int, numbers))
    total = told.pop("**total**")

    assert list(told) == sorted({row["source"] for row in photos})
    for source, counts in told.items():
        rows = [row for row in photos if row["source"] == source]
        assert counts == (Counter(row["licence"] for row in rows), *numbers_of(rows)), source
    assert total == ({}, *numbers_of(photos))


def numbers_of(rows: list[Row]) -> tuple[int, int, int]:
    """Photos trained on, those of them at 512 as well, photos held out."""
    trained = [row for row in rows if row["use"] == "train"]
    large = sum(row["sizes"] == "256 512" for row in trained)
    return len(trained), large, len(rows) - len(trained)


def test_the_numbers_in_the_text_are_those_of_the_list(photos: list[Row], page: str) -> None:
    trained, large, held = numbers_of(photos)
    assert f"- {trained} photos are trained on." in page
    assert f"pixels, {large} of them with one of 512" in page
    assert f"- {held} more are held out" in page
    licences = Counter(row["licence"] for row in photos if row["use"] == "train")
    share_alike = sum(n for name, n in licences.items() if "BY-SA" in name)
    assert f"(CC BY-SA, {share_alike} of the photos trained on)" in page
    sites = sum(licences[f"{site} License"] for site in ("Unsplash", "Pexels", "Pixabay"))
    assert f"(Unsplash, Pexels, Pixabay; {sites})" in page
    software = licences["MIT"] + licences["BSD (as stated)"]
    assert f"(MIT, BSD; {software})" in page
    attribution = sum(n for name, n in licences.items() if name.startswith("CC BY "))
    free = trained - share_alike - sites - software - attribution
    assert f"and the like** ({free})" in page
