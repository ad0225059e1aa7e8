"""The tasks over HTTP, all on one kind of route, ``POST /v1/NAME``.

Its form is derived from the task's own signature (:mod:`~freefill.server.tasks.deriving`); what
differs from that is in :mod:`~freefill.server.tasks.table`.
"""
