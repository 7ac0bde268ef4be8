"""What is told of a page of members besides the list: features by name, and when silence moves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from db import vocabulary
from engine.catalogue import catalogue
from engine.features import feature_names, features, narrowed, text_columns
from segtui.operations.definitions import require_segment
from segtui.operations.errors import OperationError
from segtui.operations.features import catalogue_spec
from segtui.operations.moment import Moment, moment
from segtui.operations.session import Session
from segtui.operations.silence import leaving, until


class Facts:
    """The log's catalogue as it stood at one head; each answer reads the events of the users asked about."""

    def __init__(self, s: Session) -> None:
        self.head = s.store.head()
        self._spec = catalogue_spec(s, s.events(), s.attributes())
        self.units = {name: each.unit for name, each in catalogue(self._spec).items()}
        self.meanings = {name: each.meaning for name, each in catalogue(self._spec).items()}

    def features(
        self, s: Session, segment: str, users: Sequence[str], names: Sequence[str], at: int | None
    ) -> dict[str, dict[str, float | str | None]]:
        """Values by user (as members tell them) and feature, at the as-of that members show at `at`.

        Raises OperationError for a name that is no feature of the log.
        """
        known = {*feature_names(self._spec), *text_columns(self._spec)}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise OperationError(f"There is no feature {unknown[0]!r} in this store: choose other columns.")
        when = _when(s, segment, at)
        persons = s.identity()
        asked = s.vault_numbers(users)
        own = persons.kin(np.array(sorted(asked.values()), np.int64)).tolist()
        if when.as_of is None or not own:
            return {}
        found = features(
            s.events(before=when.as_of, users=own),
            persons.at(when.as_of),
            when.as_of,
            narrowed(self._spec, names),
            s.attributes(users=own),
            users=np.array(sorted(asked.values()), np.int64),
        ).select("user", *names)
        rows = {row.pop("user"): row for row in found.iter_rows(named=True)}
        return {text: rows[number] for text, number in asked.items() if number in rows}


def leaving_of(
    s: Session, segment: str, users: Sequence[str], at: int | None
) -> dict[str, dict[str, Any] | None]:
    """By user when silence alone moves them and to which label; None for who stays, as `members` tells it."""
    known, _ = require_segment(s, segment)
    when = _when(s, segment, at)
    asked = s.vault_numbers(users)
    if when.as_of is None or not asked:
        return {}
    gone = leaving(s, known.name, asked.values(), when, until(s, when.as_of))
    return {text: gone[number].worded(s) if number in gone else None for text, number in asked.items()}


def _when(s: Session, segment: str, at: int | None) -> Moment:
    known, _ = require_segment(s, segment)
    return moment(s, vocabulary.number(s.store, "segmentation", known.name), at)
