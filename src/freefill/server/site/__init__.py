"""The studio without a server: a folder of files that any web server gives out.

The page is that of :mod:`freefill.server`; what it asks of the server is answered by a worker in
the browser (``browser/``), which runs the same network in ONNX Runtime's build for the web.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def browser_folder() -> Path:
    """Give the folder of the modules that only the site has."""
    return Path(str(resources.files("freefill.server.site").joinpath("browser")))
