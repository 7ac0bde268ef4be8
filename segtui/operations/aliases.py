"""Aliases on their way into the log: one that contradicts another is kept out, and told beside it."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from db import carried
from db.vocabulary import LINKING, UNLINKING
from segtui.operations.session import Session
from segtui.sources import Batch
from segtui.sources.schema import REJECTED

CONFLICT = "an alias gives an id to a second user"
CIRCLE = "an alias leads back to where it began"


@dataclass(frozen=True)
class _Owner:
    """Whose an id is, from an instant until another, and the row that says so."""

    user: str
    since: int
    until: float
    told: dict[str, Any]


class Aliases:
    """Whose every id is, as the log and this import have told so far.

    An id given to one user (`previous` to `user`) cannot be another's as long, nor lead round to itself.
    Who is one person does not depend on it: this keeps out what is more likely a mistake than a person.
    """

    def __init__(self, s: Session) -> None:
        self._s = s
        self._owners: dict[str, list[_Owner]] = defaultdict(list)
        self._loaded = False

    def sift(self, batch: Batch, file: str) -> Batch:
        """The batch without the aliases that contradict one before them, which join its rejected rows."""
        if batch.aliases is None or batch.aliases.is_empty():
            return batch
        self._load()
        joins = pl.col("kind").is_in(LINKING)  # a line may hold other rows beside
        linking = batch.accepted.filter(joins).select("line", "user", "time", "kind")
        told = batch.aliases.join(linking, on="line")
        faults = {}
        for row in told.sort("time", "line").iter_rows(named=True):
            found = self._take(row, file)
            if found is not None:
                reason, owner = found
                both = {"row": row["row"], "contradicts": owner.told}
                faults[row["line"]] = (row["line"], reason, json.dumps(both, ensure_ascii=False))
        if not faults:
            return batch
        out = pl.DataFrame(list(faults.values()), schema=REJECTED, orient="row")
        at_fault = pl.col("line").is_in(list(faults))
        return replace(
            batch,
            accepted=batch.accepted.filter(~(at_fault & joins)),
            rejected=pl.concat([batch.rejected, out]).sort("line", maintain_order=True),
            aliases=batch.aliases.filter(~at_fault),
        )

    def _take(self, row: dict[str, Any], file: str) -> tuple[str, _Owner] | None:
        """Remembers an alias or its end; of one that contradicts another, why and which."""
        user, other, at = row["user"], row["other"], row["time"]
        own = self._owners[other]
        if row["kind"] == UNLINKING:
            self._owners[other] = [
                replace(each, until=min(each.until, at)) if each.user == user and each.since <= at else each
                for each in own
            ]
            return None
        for each in own:
            if each.user != user and each.until > at:
                return CONFLICT, each
        if any(each.user == user and each.since <= at and each.until == math.inf for each in own):
            return None
        circle = self._leads_to(user, other, at)
        if circle is not None:
            return CIRCLE, circle
        told = {"file": file, "line": row["line"], "user": user, "previous": other, "time": self._s.iso(at)}
        own.append(_Owner(user, at, math.inf, told))
        return None

    def _leads_to(self, user: str, other: str, at: int) -> _Owner | None:
        """The step by which those whose id `user` is end at `other`."""
        seen, edge = {user}, [user]
        while edge:
            for each in self._owners.get(edge.pop(), []):
                if each.until <= at:
                    continue
                if each.user == other:
                    return each
                if each.user not in seen:
                    seen.add(each.user)
                    edge.append(each.user)
        return None

    def _load(self) -> None:
        """What the log tells, before the first alias of the import."""
        if self._loaded:
            return
        self._loaded = True
        links = carried.links(self._s.store).sort("occurred_at", "seq")
        users = pl.concat([links["user"], links["other"]]).unique().to_list()
        names = self._s.store.vault.external_ids(users)
        for seq, at, user, other, joins in links.iter_rows():
            if user in names and other in names:
                row = {"user": names[user], "other": names[other], "time": at, "line": None}
                self._take(row | {"kind": "alias" if joins else UNLINKING}, f"log, seq {seq}")
