"""Weights of ``light`` from before 2026-11-26: what their tensors were called, and what they lack.

Until then it had nothing at 1/32, no attention, and other names. Such weights are the same network
without what came later, which begins as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

MARK = "to_wanted.weight"
NAMES = (
    (r"^to_wanted\.", "to_queries."),
    (r"^to_offered\.", "to_keys."),
    (r"^see([12])\.", r"embed\1."),
    (r"^mend([12])\.", r"refine\1.0."),
)


def renamed(tensors: Mapping[str, T]) -> dict[str, T]:
    """Give tensors the names of today.

    Args:
        tensors: By name; those of any network, of any age.

    Returns:
        The same, by the names of today.

    Examples:
        >>> sorted(renamed({"to_wanted.weight": 1, "mend1.conv.conv.bias": 2, "deep.3.x": 3}))
        ['deep2.1.x', 'refine1.0.conv.conv.bias', 'to_queries.weight']
    """
    if MARK not in tensors:
        return dict(tensors)
    blocks = [int(m[1]) for name in tensors if (m := re.match(r"deep\.(\d+)\.", name))]
    before = (max(blocks, default=0) + 2) // 2
    found = {}
    for name, tensor in tensors.items():
        if match := re.match(r"deep\.(\d+)\.(.*)", name):
            number = int(match[1])
            half, place = (1, number) if number < before else (2, number - before)
            name = f"deep{half}.{place}.{match[2]}"
        for old, new in NAMES:
            name = re.sub(old, new, name)
        found[name] = tensor
    return found


def completed(config: dict[str, Any]) -> dict[str, Any]:
    """Give the settings of a card what they did not say, as there was nothing else then.

    Args:
        config: What a card has as ``training.config``.

    Returns:
        The same for cards of today.
    """
    model = config.get("model", {})
    if model.get("name", "light") != "light" or "deepest_dilations" in model:
        return config
    return {**config, "model": {**model, "deepest_dilations": [], "attention_layers": 0}}
