"""Details in a header: as much as a header may hold, while JSON has all."""

from __future__ import annotations

import json

import pytest

from freefill.server.answers import HEADER, header
from freefill.server.schemas import Details


def details(*notices: str) -> Details:
    return Details(
        width=1, height=2, hole=0.5, seconds=1, model="light", format="png", notices=[*notices]
    )


def test_what_fits_is_told_as_it_is() -> None:
    given = details("a", "größer", "c" * 4000)
    assert header(given).isascii()
    assert json.loads(header(given)) == given.model_dump()


@pytest.mark.parametrize(
    "notices",
    [["x" * 100_000], ["x" * 150] * 1000, ["\N{GRINNING FACE}" * 500] * 40, ["ü" * 3000] * 3],
    ids=["long", "many", "wide", "few"],
)
def test_what_does_not_is_cut_and_counted(notices: list[str]) -> None:
    given = details("first", *notices)
    told = header(given)
    assert len(told) <= HEADER
    found = Details(**json.loads(told))
    assert found.notices[0] == "first"
    assert found.model_copy(update={"notices": given.notices}) == given
    kept = [line for line in found.notices if not line.startswith("and ")]
    left = len(given.notices) - len(kept)
    assert left == 0 or found.notices[-1].startswith(f"and {left} more: Accept")
