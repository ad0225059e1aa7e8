"""Code of others that adds models, losses, mask presets, engines, baselines or metrics.

A plugin is a Python file or an importable module that registers what it adds when it is imported
(:mod:`freefill.registry`). Two kinds are loaded: those that a person names, in a config or with
``--plugin``, and those of installed packages that have an entry point in the group
``freefill.plugins``. Importing a plugin runs it, with all rights of whoever runs freefill: nothing
here is called for a name that comes with somebody else's weights.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from freefill.errors import ConfigError

GROUP = "freefill.plugins"
"""The group of entry points: ``[project.entry-points."freefill.plugins"]`` in a pyproject.toml."""


def load(names: Iterable[str]) -> None:
    """Import plugins, each once per process.

    Args:
        names: Paths that end in ``.py``, or names of modules.

    Raises:
        ConfigError: If one is not there, or fails while it is imported.
    """
    for name in names:
        try:
            _import(name)
        except ConfigError:
            raise
        except Exception as error:  # whatever the code of others raises
            raise ConfigError(
                f"the plugin {name} cannot be imported: {type(error).__name__}: {error}"
            ) from error


def absolute(name: str, folder: Path) -> str:
    """Give the name that a plugin is found by from anywhere.

    Args:
        name: Path that ends in ``.py``, or name of a module, which stays.
        folder: What a relative path is relative to.

    Examples:
        >>> absolute("my_package.models", Path("/configs"))
        'my_package.models'
        >>> absolute("models.py", Path("/configs")) == str(Path("/configs/models.py").resolve())
        True
    """
    return str((folder / name).resolve()) if name.endswith(".py") else name


@cache
def load_installed() -> None:
    """Import the plugins of all installed packages, once per process.

    Raises:
        ConfigError: If one fails while it is imported.
    """
    from importlib import metadata

    for entry in metadata.entry_points(group=GROUP):
        load([entry.value.partition(":")[0]])


def _import(name: str) -> None:
    if not name.endswith(".py"):
        importlib.import_module(name)
        return
    path = Path(name).resolve()
    if not path.is_file():
        raise ConfigError(f"the plugin {path} is not there")
    # Two files may have the same name, and none may shadow a module.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    module_name = f"freefill_plugin_{path.stem}_{digest}"
    if module_name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
