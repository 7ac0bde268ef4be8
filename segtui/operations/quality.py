"""What an import met: what became of its rows, which rules they broke, and how full the accepted ones are."""

from __future__ import annotations

from typing import Any

from db import log, vocabulary
from segtui.operations.errors import OperationError
from segtui.operations.session import Session

FIELDS = (
    *("order", "item", "category", "platform", "device", "region", "currency", "session"),
    *("amount", "quantity", "rating", "duration"),
)
COUNTS = ("rows", "accepted", "duplicates", "changed", "suppressed", "quarantined", "late")


def quality(s: Session, number: int | None = None) -> dict[str, Any]:
    """The report of the import whose decision has that seq, by default of the newest.

    It stands in the log and does not need the quarantine file: rules are [rule, rows], most frequent first;
    converted is the rows brought to the store's currency, by the one they were in; fields are {name, filled,
    missing} in events that the import left; imports lists all there are, newest first. Raises OperationError
    when there is no such import.
    """
    imports = log.decisions(s.store, kinds=("imported",), newest_first=True)
    if not imports:
        raise OperationError("Nothing was imported yet: segtui import FILE.")
    found = imports[0] if number is None else next((one for one in imports if one.seq == number), None)
    if found is None:
        shown = ", ".join(str(one.seq) for one in imports[:5])
        raise OperationError(f"There is no import {number}: the newest are {shown}; see segtui quality.")
    body = found.body
    return {
        "import": found.seq,
        "recorded_at": s.iso(found.recorded_at),
        "actor": found.actor,
        "source": body["source"],
        "format": body["format"],
        **{name: body[name] for name in COUNTS},
        "rules": sorted(
            ([rule, rows] for rule, rows in body["reasons"].items()), key=lambda one: (-one[1], one[0])
        ),
        "converted": body.get("converted", {}),
        **_events(s, found.seq),
        "imports": [
            {
                "import": one.seq,
                "recorded_at": s.iso(one.recorded_at),
                **{name: one.body[name] for name in ("source", "rows", "accepted", "quarantined")},
            }
            for one in imports
        ],
    }


def _events(s: Session, decided: int) -> dict[str, Any]:
    """What stands in the log of the events that came with a decision."""
    span = log.behaviour_with(s.store, decided)
    if span is None:
        return {"events": 0, "users": 0, "first": None, "last": None, "kinds": {}, "fields": []}

    def column(name: str) -> Any:
        # one at a time: an import may have left more events than all columns of them fit in memory
        return log.behaviour(s.store, after_seq=span[0] - 1, position=span[1], columns=[name])[name]

    times, kinds = column("occurred_at"), vocabulary.texts(s.store, "kind")
    counted = column("kind").value_counts().sort("count", "kind", descending=[True, False])
    missing = {name: column(name).null_count() for name in FIELDS}
    return {
        "events": times.len(),
        "users": column("user").n_unique(),
        "first": s.iso(times.min()) if times.len() else None,
        "last": s.iso(times.max()) if times.len() else None,
        "kinds": {kinds[kind]: count for kind, count in counted.iter_rows()},
        "fields": [
            {"name": name, "filled": times.len() - none, "missing": none} for name, none in missing.items()
        ],
    }
