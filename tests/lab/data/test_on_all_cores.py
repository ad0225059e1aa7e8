"""Work in processes of its own: in order, nothing inherited, nothing left behind."""

from __future__ import annotations

import multiprocessing

import pytest
import torch

from freefill.lab.data.processes import on_all_cores

LIGHT = (
    "freefill.lab.data.banks",
    "freefill.lab.data.line_codes",
)
"""Modules with work for it: each of some processes loads them."""


def test_results_come_in_order() -> None:
    assert list(on_all_cores(abs, range(-20, 0), 3)) == list(range(20, 0, -1))
    assert list(on_all_cores(abs, [-1, -2], 2)) == [1, 2]
    assert list(on_all_cores(abs, [])) == []


def test_processes_start_afresh_and_load_no_torch() -> None:
    assert torch.__version__  # loaded here, and so in any fork of this process
    ask = "__import__('importlib').import_module('{}') and 'torch' in __import__('sys').modules"
    assert list(on_all_cores(eval, [ask.format(name) for name in LIGHT])) == [False, False]


def test_an_error_comes_through_and_nobody_is_left() -> None:
    with pytest.raises(ValueError, match="no number"):
        list(on_all_cores(int, ["1", "no number", *map(str, range(50))]))
    assert multiprocessing.active_children() == []


def test_who_stops_asking_leaves_nobody() -> None:
    found = on_all_cores(abs, range(1000))
    assert next(found) == 0
    assert multiprocessing.active_children()
    found.close()
    assert multiprocessing.active_children() == []
