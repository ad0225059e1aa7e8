"""Counters for Prometheus."""

from __future__ import annotations

from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

Outcome = Literal["filled", "refused", "rejected", "timed_out", "cancelled", "failed"]
OUTCOMES: tuple[Outcome, ...] = (
    "filled",
    "refused",
    "rejected",
    "timed_out",
    "cancelled",
    "failed",
)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What one server counts; each has its own, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.outcomes = Counter(
            "freefill_fills",
            "Fills and views by what became of them",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in OUTCOMES:
            self.outcomes.labels(outcome)
        self.seconds = Histogram(
            "freefill_fill_seconds",
            "Seconds of work, without waiting",
            buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
            registry=self.registry,
        )
        self.answer = Histogram(
            "freefill_answer_seconds",
            "Seconds from the end of a request's body to its result, waiting included",
            buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60),
            registry=self.registry,
        )
        self.body = Counter(
            "freefill_body_bytes", "Bytes of photos and masks", registry=self.registry
        )
        self.workers = Gauge(
            "freefill_workers", "Requests that can be worked on at a time", registry=self.registry
        )
        self.waiting = Gauge("freefill_waiting", "Requests that wait", registry=self.registry)
        self.in_work = Gauge(
            "freefill_in_work", "Requests that are worked on", registry=self.registry
        )

    def count(self, outcome: Outcome) -> None:
        """Count one request."""
        self.outcomes.labels(outcome).inc()

    def text(self) -> bytes:
        """Give all of them in Prometheus's text format."""
        return generate_latest(self.registry)
