"""The tasks over HTTP: one file a verb, all on one kind of route, ``POST /v1/NAME``."""

from __future__ import annotations

from freefill.server.tasks.harmonise import HARMONISE
from freefill.server.tasks.recompose import RECOMPOSE
from freefill.server.tasks.remove import REMOVE, SEGMENT
from freefill.server.tasks.retarget import RETARGET
from freefill.server.tasks.stitch import STITCH
from freefill.server.tasks.straighten import STRAIGHTEN
from freefill.server.tasks.uncrop import UNCROP
from freefill.server.tasks.unmark import UNMARK
from freefill.server.tasks.verb import Verb

VERBS: tuple[Verb, ...] = (
    *(REMOVE, SEGMENT, UNMARK, UNCROP, STRAIGHTEN),
    *(STITCH, RETARGET, RECOMPOSE, HARMONISE),
)
"""The routes of all verbs."""
