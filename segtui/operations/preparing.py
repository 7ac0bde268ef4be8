"""Which features a model reads and how they are made ready, as people type it (`--set features=all`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from db import vocabulary
from engine.encoding import KINDS
from engine.features import FAMILIES, FILLABLE, PLACES, WINDOWS, FeatureSpec, spec_for
from engine.prepare import BY_FEATURE, PLAIN, Preparation
from segtui.operations.errors import OperationError
from segtui.operations.session import Session

SETTINGS = ("features", "windows", "interpolate", "encoding", *Preparation.names())


@dataclass(frozen=True)
class Choice:
    """What a model reads beyond the core's features, and how. `encoding` None is the kind's own; `fixed` is
    the spec of a model that another goes on from."""

    families: tuple[str, ...] = ()
    windows: tuple[int, ...] = WINDOWS
    filled: tuple[str, ...] = ()
    encoding: str | None = None
    preparation: Preparation = PLAIN
    fixed: FeatureSpec | None = None

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> tuple[Choice, dict[str, str]]:
        """The choice, and the settings that are none of its business.

        Raises OperationError for a list that cannot be read, EngineError for a rule that is none.
        """
        own = {name: text for name, text in given.items() if name in SETTINGS or _single(name)}
        rest = {name: text for name, text in given.items() if name not in own}
        words = {"core": (), "all": tuple(FAMILIES)}
        families = _listed("features", own.pop("features", "core"), words, tuple(FAMILIES))
        filled = _listed("interpolate", own.pop("interpolate", "none"), {"none": ()}, FILLABLE)
        windows = _days(own.pop("windows")) if "windows" in own else WINDOWS
        encoding = own.pop("encoding", None)
        if encoding not in (None, *KINDS):
            raise OperationError(f"Setting encoding={encoding!r} is none: give {' or '.join(KINDS)}.")
        return cls(families, windows, filled, encoding, Preparation.parse(own)), rest

    def spec(self, s: Session, events: pl.DataFrame, attributes: pl.DataFrame) -> FeatureSpec:
        """The spec of a log for this choice, or the one that is fixed."""
        if self.fixed is not None:
            return self.fixed
        return spec_for(
            events,
            s.settings.timezone,
            attributes,
            self.windows,
            self.families,
            place_texts(s) if "places" in self.families else None,
            self.filled,
        )


CORE = Choice()


def place_texts(s: Session) -> dict[int, str]:
    """The texts of all platforms, devices and regions by number."""
    texts: dict[int, str] = {}
    for column in PLACES:
        texts |= vocabulary.texts(s.store, column)
    return texts


def _single(name: str) -> bool:
    what, dot, _ = name.partition(".")
    return bool(dot) and what in BY_FEATURE


def _listed(
    setting: str, text: str, whole: Mapping[str, tuple[str, ...]], known: tuple[str, ...]
) -> tuple[str, ...]:
    """A word of `whole`, or some of `known` with commas between."""
    if text in whole:
        return whole[text]
    names = tuple(text.split(","))
    strange = [name for name in names if name not in known]
    if strange:
        raise OperationError(
            f"Setting {setting}={text!r} names {strange[0]!r}: give {' or '.join(whole)}, "
            f"or some of {','.join(known)}."
        )
    return names


def _days(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.removesuffix("d")) for part in text.split(","))
    except ValueError as error:
        raise OperationError(f"Setting windows={text!r} is not a list of days such as 7,28,90.") from error
