"""One server and one browser for all tests of the page."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from browser import find
from hand import Server, Studio
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

# What a service worker asks for is seen, too.
os.environ["PW_EXPERIMENTAL_SERVICE_WORKER_NETWORK_EVENTS"] = "1"
DESKTOP = {"width": 1280, "height": 800}
# How long anything is waited for, in milliseconds. What is true is seen at once; where it never
# becomes true, the test fails this much later. Playwright's own 5 s are short on busy cores.
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    """One for all tests that do not end it."""
    started = Server()
    yield started
    started.stop()


@pytest.fixture
def own_server() -> Iterator[Server]:
    started = Server()
    yield started
    started.stop()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = find()
    assert path is not None, "no Chromium: make .venv/browser installs one"
    with sync_playwright() as playwright:
        # A container has no user namespaces for the sandbox, and root may not use one.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport=DESKTOP, color_scheme="light")
    made.set_default_timeout(PATIENCE)
    yield made
    made.close()


@pytest.fixture
def studio(context: BrowserContext, server: Server) -> Iterator[Studio]:
    hand = Studio(context.new_page(), server)
    yield hand.goto()
    # Nothing that a test did may have failed quietly, or have asked anybody else for anything.
    assert hand.faults == []
    assert {
        url for url in hand.requests if not url.startswith((server.url, "blob:", "data:"))
    } == set()
