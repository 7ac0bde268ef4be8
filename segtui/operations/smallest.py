"""The smallest thing a user could do now that would move them, found by trying it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from db import lookups
from engine.counterfactual import SAME, Deed, Histories, deeds, done, histories
from segtui.operations import words
from segtui.operations.deciders import Decider, Evidence
from segtui.operations.deciding import decider_of
from segtui.operations.held import Held
from segtui.operations.persons import Persons
from segtui.operations.session import Session
from segtui.operations.silence import in_force
from segtui.operations.stays import Stays, numbers_of

RECENT = 20_000
"""Events of late that orders take their sizes from."""
FURTHER = 4
"""How many times as far back it is looked for them where what came since was later or no event."""
NAMES = {
    "view_list": ("list viewed", "lists viewed"),
    "view": ("visit", "visits"),
    "click": ("click", "clicks"),
    "search": ("search", "searches"),
    "share": ("share", "shares"),
    "review": ("review", "reviews"),
    "add_to_wishlist": ("item wished for", "items wished for"),
    "add_to_cart": ("item put in the cart", "items put in the cart"),
    "begin_checkout": ("checkout begun", "checkouts begun"),
    "purchase": ("order", "orders"),
}


def smallest_change(s: Session, held: Held, evidence: Evidence) -> dict[str, Any] | None:
    """The first of engine.counterfactual.deeds that would give the user another label at the moment's as-of.

    `evidence` is one person's, from before that as-of. Gives text, to, probability (of that label, None from
    a rule), as_of, and the events as lines that `segtui ingest` takes: done now, or just before the as-of of
    a past moment. None where nothing that is tried moves them, or nothing decides. Segments that read others
    are not tried.
    """
    as_of, position = held.when.as_of, held.when.position
    assert as_of is not None
    segmentation = in_force(s, held.name, held.when).segmentation(held.name)
    if segmentation.kind == "list" or segmentation.refers:
        return None
    decider = decider_of(s.store, s.ticks.zone, segmentation)
    own = evidence.events.filter(pl.col("occurred_at") < as_of)
    recent = _recent(s, as_of, position)
    tried = deeds(recent, own)
    if not tried:
        return None
    at = _now(s, as_of)
    added = [done(deed, own, recent, at) for deed in tried]
    copies = histories(own, added, evidence.identity.links, evidence.attributes, as_of)
    scores, decided = _decided(s, decider, segmentation.became, held, copies, as_of)
    labels = decider.labels
    moved = [index for index, code in enumerate(decided.tolist()) if labels[code] != held.label]
    if not moved:
        return None
    first = moved[0]
    code = int(decided[first])
    return {
        "text": _text(tried[first], s.settings.currency),
        "to": labels[code],
        "probability": None if scores is None else int(scores[first, code]) / 1_000_000,
        "as_of": s.iso(as_of),
        "events": _lines(s, tried[first], added[first]),
    }


def _recent(s: Session, as_of: int, position: int | None) -> pl.DataFrame:
    """The newest events of everyone before an as-of, as the log knew them at a position."""
    last = lookups.last_behaviour_seq(s.store)
    known = last if position is None else min(last, position)
    reach = RECENT
    while True:
        found = s.events(position=position, before=as_of, after_seq=max(0, known - reach))
        if found.height >= RECENT // 2 or reach >= known:
            return found.tail(RECENT)
        reach *= FURTHER


def _now(s: Session, as_of: int) -> int:
    """The instant of what is tried: now, where the as-of is of the tick that holds it."""
    now = s.now()
    return now if now is not None and s.as_of() == as_of else as_of - 1


def _decided(
    s: Session, decider: Decider, became: dict[str, str], held: Held, copies: Histories, as_of: int
) -> tuple[np.ndarray | None, np.ndarray]:
    """Scores and label codes of all copies, each held at the last close as the user was."""
    closed = _closed(s, held, decider.labels, became, as_of)
    evidence = Evidence(copies.events, Persons(copies.links), copies.attributes)
    frame = evidence.features(as_of, decider.spec, copies.users)
    user, close = np.array([held.user]), s.ticks.previous(as_of)
    before = Stays(s.store, held.number, user, s.ticks, close, numbers_of(s.store, became))
    stays = before.hold(as_of, decider.policy, np.zeros(frame.height, np.int64))
    scores, decided = decider.decide(frame, evidence, as_of, np.full(frame.height, closed, np.int32), stays)
    return scores, decided


def _closed(s: Session, held: Held, labels: tuple[str, ...], became: dict[str, str], as_of: int) -> int:
    """The code of the label at the last close before the as-of; -1 for none."""
    before = s.ticks.previous(as_of)
    row = lookups.member(s.store, held.number, held.user, as_of=before, position=held.when.position)
    if row is None:
        return -1
    text = lookups.texts_of(s.store, [row["label"]])[row["label"]]
    text = became.get(text, text)
    return labels.index(text) if text in labels else -1


def _text(deed: Deed, currency: str | None) -> str:
    amount = words.money(abs(deed.amount or 0), currency)
    if deed.kind == "refund":
        return f"the latest order ({amount}) given back"
    one, many = NAMES[deed.kind]
    number = "one" if deed.times == 1 else f"{deed.times}"
    each = "" if deed.times == 1 else " each"
    return f"{number} {one if deed.times == 1 else many}" + (f" of {amount}{each}" if deed.amount else "")


def _lines(s: Session, deed: Deed, events: pl.DataFrame) -> list[dict[str, Any]]:
    """The events as lines of the format `events`."""
    currency = s.settings.currency
    unit = 10 ** words.minor_digits(currency)
    numbers = {value for name in (*SAME, "order") for value in events[name].drop_nulls().to_list()}
    texts = lookups.texts_of(s.store, sorted(numbers))
    names = s.external(events["user"].unique().to_list())
    lines = []
    for number, row in enumerate(events.iter_rows(named=True), 1):
        fresh = f"tried-{row['seq']}-{number}"
        order = fresh if deed.kind != "refund" else texts.get(row["order"])
        line = {
            "user": names[row["user"]],
            "time": s.iso(row["occurred_at"]),
            "kind": row["kind"],
            **{name: texts.get(row[name]) for name in SAME},
            "order": order if row["order"] is not None else None,
            "amount": None if row["amount"] is None else abs(row["amount"]) / unit,
            "currency": None if row["amount"] is None else currency,
            "quantity": row["quantity"],
            "rating": None if row["rating"] is None else row["rating"] / 100,
            "duration": None if row["duration"] is None else row["duration"] / 1000,
            "session": fresh if row["session"] is not None else None,
            "id": fresh,
        }
        lines.append({name: value for name, value in line.items() if value is not None})
    return lines
