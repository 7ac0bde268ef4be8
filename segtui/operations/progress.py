"""How long work reports and is called off."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float | None], None]
"""Called with what is being done and the share done (0..1, None while unknown)."""

Cancelled = Callable[[], bool]
"""Asked between steps; True means stop."""


class Stopped(Exception):
    """The work was called off; nothing was written."""


def quiet(_what: str, _share: float | None) -> None:
    """A progress nobody looks at."""


def never() -> bool:
    """Work that nobody calls off."""
    return False
