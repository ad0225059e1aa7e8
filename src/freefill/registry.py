"""Named things that anybody can add to: what every extension point of freefill is made of.

A registry maps names to values in the order in which they were added. Code adds to it with a
decorator, from a file of its own::

    @register_preset("checkerboard")
    def checkerboard(height, width, rng): ...

A name that is not there yet is looked for in installed plugins (:mod:`freefill.plugins`) before it
is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from typing import Generic, TypeVar

from freefill import plugins
from freefill.errors import ConfigError

T = TypeVar("T")


class Registry(Collection[str], Generic[T]):
    """Names and values: more can be added, and none is ever replaced.

    Args:
        kind: What the values are, for messages: "mask preset".
        home: Module whose import adds freefill's own values. It is imported when the registry is
            first read, so that declaring a registry loads nothing.

    Examples:
        >>> greetings: Registry[str] = Registry("greeting")
        >>> _ = greetings.add("english", "hello")
        >>> greetings["english"]
        'hello'
        >>> greetings["latin"]
        Traceback (most recent call last):
        ...
        freefill.errors.ConfigError: there is no greeting 'latin': there are english
    """

    def __init__(self, kind: str, home: str | None = None) -> None:
        self.kind = kind
        self._home = home
        self._entries: dict[str, T] = {}

    def add(self, name: str, value: T) -> T:
        """Add a value.

        Args:
            name: Not in the registry yet.
            value: Anything.

        Returns:
            The value.

        Raises:
            ConfigError: If the name is taken.
        """
        self._load_home()
        if name in self._entries:
            raise ConfigError(f"the {self.kind} {name!r} is there already: choose another name")
        self._entries[name] = value
        return value

    def register(self, name: str) -> Callable[[T], T]:
        """Give a decorator that adds what it decorates."""
        return lambda value: self.add(name, value)

    def __getitem__(self, name: str) -> T:
        """Find a value.

        Raises:
            ConfigError: If there is none of that name; the message lists those that exist.
        """
        if name not in self:
            raise ConfigError(
                f"there is no {self.kind} {name!r}: there are {', '.join(self._entries)}"
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a value of that name, installed plugins included."""
        self._load_home()
        if name not in self._entries:
            plugins.load_installed()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order in which they were added."""
        self._load_home()
        plugins.load_installed()
        return iter(self._entries)

    def __len__(self) -> int:
        """Count the values."""
        return len(list(iter(self)))

    def items(self) -> list[tuple[str, T]]:
        """List names and values in the order in which they were added."""
        return [(name, self._entries[name]) for name in self]

    def _load_home(self) -> None:
        # Set before the import, which adds to this registry.
        home, self._home = self._home, None
        if home is not None:
            import_module(home)
