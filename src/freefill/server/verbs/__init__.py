"""The tasks over HTTP: one file a verb, all on one kind of route, ``POST /v1/NAME``."""

from __future__ import annotations

from freefill.server.verbs import straighten, uncrop
from freefill.server.verbs.remove import REMOVE, SEGMENT
from freefill.server.verbs.verb import Verb

VERBS: tuple[Verb, ...] = (REMOVE, SEGMENT, uncrop.VERB, straighten.VERB)
"""The routes of all verbs."""
