"""The tasks over HTTP: one file a verb, all on one kind of route, ``POST /v1/NAME``."""

from __future__ import annotations

from freefill.server.verbs.unmark import UNMARK
from freefill.server.verbs.verb import Verb

VERBS: tuple[Verb, ...] = (UNMARK,)
