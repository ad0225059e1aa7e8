"""What can be done with holes: one function a task, all on the one pipeline.

Each takes a photo, of any kind that :func:`freefill.fill` takes, and gives a
:class:`~freefill.pipeline.request.Result`, whose ``image`` is of that kind. Its signature declares
its options (:mod:`freefill.tasks.options`); the command line and the server derive theirs from it.
Functions are loaded when they are first used. Never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freefill.tasks._harmonise import harmonise
    from freefill.tasks._recompose import recompose
    from freefill.tasks._remove import remove
    from freefill.tasks._retarget import retarget
    from freefill.tasks._segment import segment
    from freefill.tasks._stitch import stitch
    from freefill.tasks._straighten import straighten
    from freefill.tasks._uncrop import uncrop
    from freefill.tasks._unmark import unmark
    from freefill.tasks._unmark_stack import unmark_stack
    from freefill.tasks._video import video

__all__ = [
    "harmonise",
    "recompose",
    "remove",
    "retarget",
    "segment",
    "stitch",
    "straighten",
    "uncrop",
    "unmark",
    "unmark_stack",
    "video",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'freefill.tasks' has no attribute {name!r}")
    # Modules have an underscore, so that importing one never takes its function's place here.
    value = getattr(import_module(f"freefill.tasks._{name}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
