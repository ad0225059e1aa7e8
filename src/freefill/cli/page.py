"""``freefill page``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freefill.cli.console import print_notice, print_result
from freefill.cli.options import Model


def page(
    out: Annotated[Path, typer.Option(help="Folder of the site.", show_default=False)],
    model: Model = "light",
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds onnxruntime-web, e.g. node_modules/onnxruntime-web; by default "
            "it is fetched with npm, once.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a site that is there.")
    ] = False,
) -> None:
    """Write the studio as a static site: it fills in the browser, and no server is needed.

    Put the folder on any web server, under any path; no header is needed. After the first visit it
    works without a network. Examples:

      freefill page --out site/

      python -m http.server --directory site 8000 --bind 127.0.0.1

    A site is opened by https, or from this machine; a plain http address elsewhere works without
    being kept for later. A server that sends 'Cross-Origin-Opener-Policy: same-origin' and
    'Cross-Origin-Embedder-Policy: require-corp' lets it use several threads.
    """
    from freefill.server.site.build import SEGMENTER, write_site

    site = write_site(out, model=model, runtime=runtime, overwrite=overwrite, log=print_notice)
    packed = sum(size for name, size in site.files.items() if name.endswith(".gz"))
    rest = sum(site.files.values()) - packed
    sees = sum(size for name, size in site.files.items() if name.startswith(f"{SEGMENTER}-"))
    print_result(
        f"{out}: {len(site.files)} files; network and runtime {(packed - sees) / 1e6:.1f} MB "
        f"as they travel, what sees objects {sees / 1e6:.1f} MB, all else {rest / 1e6:.1f} MB "
        "(LICENCES.txt tells what is not freefill's)"
    )
