"""The registry as data: which weights there are, where they come from and what they must be.

The built-in entries are in ``registry.toml`` beside this file; ``FREEFILL_REGISTRY`` names a TOML
of the same form that is read after it. An entry without a sha256 is refused: what cannot be
checked is not fetched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freefill.errors import WeightsError
from freefill.files.paths import path_from
from freefill.weights.addresses import check_address
from freefill.weights.contracts import Contract, parse

REGISTRY_VARIABLE = "FREEFILL_REGISTRY"
BUILT_IN = Path(__file__).with_name("registry.toml")

_KINDS: dict[str, type] = {
    "name": str,
    "url": str,
    "package": str,
    "member": str,
    "bundled": bool,
    "sha256": str,
    "bytes": int,
    "licence": str,
    "architecture": str,
    "layout": str,
    "paper": str,
    "about": str,
    "trained_on": str,
    "network": dict,
    "card_url": str,
    "card": dict,
}
# A client of a registry gets a name and a version, nothing that it could take for an option, an
# address or a folder.
_PACKAGE = r"npm:(@[a-z0-9][\w.-]*/)?[a-z0-9][\w.-]*@\d[\w.+-]*|pip:[A-Za-z0-9][\w.-]*==\d[\w.+!-]*"
_NEEDED = ("sha256", "bytes", "licence", "architecture")


@dataclass(frozen=True)
class Entry:
    """One entry of the registry.

    Attributes:
        name: What ``--model`` and ``freefill weights pull`` take.
        sha256: Of the ONNX file.
        bytes: Its size.
        licence: Of the weights.
        architecture: The network's name.
        url: Where the ONNX file is; None for bundled weights, and for those in a package.
        package: The package that has it, ``npm:NAME@VERSION`` or ``pip:NAME==VERSION``: fetched by
            that registry's own client.
        member: How the file's path in the package ends.
        layout: Which naming of parameters a converted file came from.
        paper: Title and number of the paper.
        about: One line for people.
        trained_on: The photos that it was trained on, and their terms, in words.
        network: How it is to be called, where it is not one of freefill's own.
        card_url: Where a card for it is.
        card: Fields of the card.
    """

    name: str
    sha256: str
    bytes: int
    licence: str
    architecture: str
    url: str | None = None
    package: str | None = None
    member: str = ""
    layout: str = ""
    paper: str = ""
    about: str = ""
    trained_on: str = ""
    network: Contract | None = None
    card_url: str | None = None
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def is_bundled(self) -> bool:
        """Whether the file is a part of freefill: there is nothing to fetch."""
        return self.url is None and self.package is None

    @property
    def terms(self) -> str:
        """Licence and training photos, in words."""
        return terms_of(self.licence, self.trained_on, self.non_commercial)

    @property
    def non_commercial(self) -> bool:
        """Whether the licence's words keep the weights from commercial use.

        Examples:
            >>> Entry("a", "", 1, "CC BY-NC 4.0", "deepfill").non_commercial
            True
            >>> Entry("a", "", 1, "Apache-2.0", "light").non_commercial
            False
        """
        words = r"\bNC\b|non-?\s?commercial|research[- ](use[- ])?only"
        return re.search(words, self.licence, re.IGNORECASE) is not None


def terms_of(licence: object, trained_on: object, non_commercial: bool = False) -> str:
    """Say in words what weights may be used for.

    Args:
        licence: What a card or an entry states; anything but text counts as nothing.
        trained_on: The same of the training photos.
        non_commercial: Whether the licence rules commercial use out.

    Examples:
        >>> terms_of("MIT", "Places2, whose terms are non-commercial")
        'licence MIT; trained on Places2, whose terms are non-commercial'
        >>> terms_of(["MIT"], None)
        'licence not stated'
    """
    named = licence if isinstance(licence, str) and licence.strip() else "not stated"
    first = f"licence {named}" + (": not for commercial use" if non_commercial else "")
    photos = trained_on if isinstance(trained_on, str) and trained_on.strip() else ""
    return f"{first}; trained on {photos}" if photos else first


def is_name(text: str) -> bool:
    """Tell whether weights may be called this: the name becomes a file's.

    Examples:
        >>> is_name("big-1.2"), is_name("../big"), is_name("big.onnx")
        (True, False, False)
    """
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*", text, re.ASCII) is not None and not text.endswith(
        (".onnx", ".json", ".partial")
    )


def list_entries() -> list[Entry]:
    """Read the registry: the built-in entries, then those of ``FREEFILL_REGISTRY``.

    Raises:
        WeightsError: If a file cannot be read, an entry lacks something or has a field that is not
            known, or a name is taken twice.
        ConfigError: If ``FREEFILL_REGISTRY`` names a home folder that there is not.

    Examples:
        >>> list_entries()[0].name
        'light'
    """
    own = path_from(REGISTRY_VARIABLE)
    files = [BUILT_IN] if own is None else [BUILT_IN, own]
    entries: list[Entry] = []
    places: dict[str, Path] = {}
    for file in files:
        for table in _tables(file):
            entry = _entry(table, file)
            if entry.name in places:
                raise WeightsError(
                    f"{file}: weights {entry.name!r} are in {places[entry.name]} already: give "
                    "them another name"
                )
            places[entry.name] = file
            entries.append(entry)
    return entries


def _tables(file: Path) -> list[Any]:
    import tomllib  # here, because filling with weights that are there never reads the registry

    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise WeightsError(
            f"the registry {file} cannot be read: {error.strerror}; {REGISTRY_VARIABLE} names it"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WeightsError(f"the registry {file} is not TOML: {error}") from None
    tables = content.pop("weights", [])
    if content or not isinstance(tables, list):
        found = ", ".join(content) or f"weights as a {type(tables).__name__}"
        raise WeightsError(f"{file}: a registry holds [[weights]] entries only, not {found}")
    return tables


def _entry(table: Any, file: Path) -> Entry:
    name = table.get("name") if isinstance(table, dict) else None
    if not isinstance(name, str) or not is_name(name):
        raise WeightsError(
            f"{file}: {name!r} is no name for weights: letters, digits and . _ - are, without a "
            "file's ending"
        )
    where = f"{file}: weights {name!r}"
    _check_fields(table, where)
    _check_values(table, where, built_in=file == BUILT_IN)
    fields = {key: value for key, value in table.items() if key != "bundled"}
    if "network" in fields:
        fields["network"] = parse(fields["network"], where)
    return Entry(**fields | {"sha256": table["sha256"].lower()})


def _check_fields(table: dict[str, Any], where: str) -> None:
    """Refuse fields that are not known, of another type, or missing."""
    for key, value in table.items():
        if key not in _KINDS:
            raise WeightsError(f"{where}: no field {key!r}; there are {', '.join(_KINDS)}")
        if type(value) is not _KINDS[key]:
            kind, found = _KINDS[key].__name__, type(value).__name__
            raise WeightsError(f"{where}: {key} is a {kind}, not the {found} {value!r}")
    for key in _NEEDED:
        if not table.get(key):
            raise WeightsError(f"{where}: no {key}; every entry states {', '.join(_NEEDED)}")


def _check_values(table: dict[str, Any], where: str, *, built_in: bool) -> None:
    """Refuse what no file can have, and what cannot be fetched."""
    if not re.fullmatch("[0-9a-fA-F]{64}", table["sha256"]):
        raise WeightsError(f"{where}: sha256 is 64 digits of 0-9 and a-f, not {table['sha256']!r}")
    if table["bytes"] < 0:
        raise WeightsError(f"{where}: bytes is {table['bytes']}; it is the size of the .onnx")
    bundled = table.get("bundled", False)
    if bundled and not built_in:
        raise WeightsError(f"{where}: only freefill's own weights are bundled: give a url")
    if [bundled, bool(table.get("url")), bool(table.get("package"))].count(True) != 1:
        raise WeightsError(f"{where}: an entry has either a url, a package or bundled = true")
    package, member = table.get("package", ""), table.get("member", "")
    if package and not (re.fullmatch(_PACKAGE, package, re.ASCII) and member):
        raise WeightsError(
            f"{where}: package is {package!r} and member {member!r}; a package is npm:NAME@VERSION "
            "or pip:NAME==VERSION, and member ends the path of the .onnx file in it"
        )
    for key in ("url", "card_url"):
        if table.get(key):
            try:
                check_address(table[key])
            except WeightsError as error:
                raise WeightsError(f"{where}: {key}: {error}") from None
