"""The tasks over HTTP: one file a verb, all on one kind of route, ``POST /v1/NAME``."""

from __future__ import annotations

from freefill.server.verbs.harmonise import HARMONISE
from freefill.server.verbs.recompose import RECOMPOSE
from freefill.server.verbs.remove import REMOVE, SEGMENT
from freefill.server.verbs.retarget import RETARGET
from freefill.server.verbs.stitch import STITCH
from freefill.server.verbs.straighten import STRAIGHTEN
from freefill.server.verbs.uncrop import UNCROP
from freefill.server.verbs.unmark import UNMARK
from freefill.server.verbs.verb import Verb

VERBS: tuple[Verb, ...] = (
    *(REMOVE, SEGMENT, UNMARK, UNCROP, STRAIGHTEN),
    *(STITCH, RETARGET, RECOMPOSE, HARMONISE),
)
"""The routes of all verbs."""
