"""What is in a store, how fresh it is, and what to do next."""

from __future__ import annotations

from typing import Any

import polars as pl

from db import log, lookups, vocabulary
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.plans import last_rescore
from segtui.operations.policies import shown
from segtui.operations.session import Session

ASKED_AT_ONCE = 2_000
HORIZON_DAYS = 90
"""How far `train` looks ahead unless told otherwise."""


def status(s: Session) -> dict[str, Any]:
    """What `overview` tells, what is wrong, and the next sensible command."""
    from segtui.operations.notices import notices

    told = overview(s)
    return told | {"notices": notices(s), "next": _next(s, told)}


def overview(s: Session) -> dict[str, Any]:
    """Counts, freshness and the current model per `value`: what a first page needs, read in no time.

    `due`: whether a rescore would see what the last one did not.
    """
    summary = log.summary(s.store)
    settings = s.settings
    found = definitions(s)
    value = found.segmentations.get("value")
    promoted = next((each.model for each in found.segmentations.values() if each.model), None)
    model = value.model if value and value.model else promoted
    last = last_rescore(s)
    as_of = s.as_of()
    unseen = lookups.last_behaviour_seq(s.store) > (last.position if last else 0)
    return {
        "store": str(s.store.path),
        "events": summary.events,
        "users": summary.users,
        "first": None if summary.first is None else s.iso(summary.first),
        "last": None if summary.last is None else s.iso(summary.last),
        "position": s.store.head(),
        "as_of": None if as_of is None else s.iso(as_of),
        "clock": settings.clock,
        "timezone": settings.timezone,
        "tick": settings.tick,
        "currency": settings.currency,
        "model": model,
        "decision": _decision(found, model),
        "model_name": found.models[model]["name"] if model else None,
        "last_import": _import(s),
        "last_rescore": None if last is None else s.iso(last.as_of),
        "due": summary.events > 0 and (last is None or last.as_of != as_of or unseen),
        "ids": _ids(s),
    }


def _decision(found: Definitions, model: str | None) -> dict[str, Any] | None:
    """How the probabilities of the model told become labels."""
    decided = (each for each in found.segmentations.values() if model is not None and each.model == model)
    held = next(decided, None)
    return None if held is None else shown(held.policy.of(held.labels))


def _ids(s: Session) -> str:
    """How the store keeps external ids."""
    key = s.store.vault.key_stands
    return "in clear: there is no vault" if key is None else f"in the vault, key in {key}"


def _import(s: Session) -> dict[str, Any] | None:
    newest = log.decisions(s.store, kinds=("imported",), newest_first=True, limit=1)
    if not newest:
        return None
    body = newest[0].body
    return {
        "at": s.iso(newest[0].recorded_at),
        "source": body["source"],
        "accepted": body["accepted"],
        "quarantined": body["quarantined"],
    }


def _next(s: Session, told: dict[str, Any]) -> str:
    """The command one would run now; what follows two blanks and # is a remark."""
    if not told["events"]:
        return "segtui import FILE"
    if told["model"] is not None:
        return "segtui rescore" if told["due"] else "segtui"
    if _learnable(s):
        return "segtui train"
    if any(vocabulary.texts(s.store, kind) for kind in ("attribute:number", "attribute:text")):
        return "segtui train --label COLUMN"
    if told["due"] and vocabulary.number(s.store, "kind", "purchase") is not None:
        return "segtui rescore"
    return "segtui import FILE  # there is too little to train on yet"


def _learnable(s: Session) -> bool:
    """Whether enough users that were known then bought in the last days that `train` would learn from.

    Reads the purchases of those days only.
    """
    from segtui.operations.tasks import MIN_BUYERS, latest_cutoff

    end, purchase = s.data_end(), vocabulary.number(s.store, "kind", "purchase")
    if end is None or purchase is None:
        return False
    cutoff = latest_cutoff(s.ticks, end, HORIZON_DAYS)
    until = s.ticks.days_before(cutoff, -HORIZON_DAYS)
    bought = log.behaviour(s.store, since=cutoff, before=until, columns=["user", "kind"])
    buyers = bought.filter(pl.col("kind") == purchase)["user"].unique()
    known = 0
    for some in buyers.to_frame().iter_slices(ASKED_AT_ONCE):
        known += lookups.known_before(s.store, some["user"].to_list(), cutoff, at_most=MIN_BUYERS)
        if known >= MIN_BUYERS:
            return True
    return False
