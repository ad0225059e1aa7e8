"""Browsers for the tests of the page: a Chromium and a Firefox.

Run as a program it installs a Chromium where none is found: Debian's, or Playwright's own. With the
argument `firefox` it does so with Debian's Firefox.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Give the path of a Chromium that can be started, if there is one."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def find_firefox() -> str | None:
    """Give the path of a Firefox that can be started, if there is one."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


def install() -> None:
    """Install Debian's where that is allowed, else let Playwright fetch its own."""
    if not from_debian("chromium"):
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def from_debian(package: str) -> bool:
    """Install a package of Debian's, if that is allowed here; tell whether it was."""
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not root or shutil.which("sudo")):
        quiet = {"check": False, "stdout": subprocess.DEVNULL}
        subprocess.run([*root, "apt-get", "update", "-qq"], **quiet)
        command = [*root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
        return subprocess.run(command, **quiet).returncode == 0
    return False


if __name__ == "__main__":
    if sys.argv[1:] == ["firefox"]:
        browser = find_firefox() or (from_debian("firefox-esr") and find_firefox()) or None
    else:
        if find() is None:
            install()
        browser = find()
    if browser is None:
        name = "firefox-esr" if sys.argv[1:] else "chromium"
        sys.exit(f"no browser was found or could be installed: apt install {name}")
    print(f"browser of the tests: {browser}")
