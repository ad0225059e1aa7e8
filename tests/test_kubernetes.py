"""The example for Kubernetes: it names what there is, and its numbers fit each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from freefill.cli.main import app
from freefill.server.app import build
from freefill.server.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    documents = yaml.safe_load_all((ROOT / "docs/scale/kubernetes.yaml").read_text())
    (deployment,) = (one for one in documents if one["kind"] == "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def options(pod: dict[str, Any]) -> dict[str, Any]:
    """What the command takes its arguments for."""
    command, *arguments = pod["containers"][0]["args"]
    group: Any = get_command(app)
    context = group.commands[command].make_context(command, list(arguments))
    found: dict[str, Any] = context.params
    return found


def test_probes_ask_for_what_is_answered(pod: dict[str, Any]) -> None:
    server: Any = build(Settings(workers=1))
    paths = server.app.openapi()["paths"]
    (container,) = pod["containers"]
    for kind, path in (("liveness", "/healthz"), ("startup", "/healthz"), ("readiness", "/readyz")):
        assert container[f"{kind}Probe"]["httpGet"]["path"] == path
        assert path in paths


def test_it_has_the_time_to_end(pod: dict[str, Any], options: dict[str, Any]) -> None:
    body = Settings().body_seconds
    needed = options["drain"] + options["timeout"] + body + 5
    assert pod["terminationGracePeriodSeconds"] >= needed
    readiness = pod["containers"][0]["readinessProbe"]
    assert options["drain"] > readiness["periodSeconds"] * readiness["failureThreshold"]


def test_its_user_is_the_images_and_its_processors_those_of_the_workers(
    pod: dict[str, Any], options: dict[str, Any]
) -> None:
    user = f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert user in (ROOT / "Containerfile").read_text().splitlines()
    assert int(pod["containers"][0]["resources"]["limits"]["cpu"]) == options["workers"]


def test_what_may_come_in_fits_its_memory(pod: dict[str, Any], options: dict[str, Any]) -> None:
    # The numbers of docs/scale/serving.md.
    work = options["workers"] * 45 * options["max_pixels"]
    bodies = (options["workers"] + options["queue"]) * options["max_body"] * 1e6
    limit = int(pod["containers"][0]["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    assert 250e6 + work + bodies + 256 * 2**20 < limit
