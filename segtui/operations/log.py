"""Who decided what, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from db import log as events
from segtui.operations.session import Session
from segtui.operations.undo import compensation


def log(s: Session, *, from_: int | None = None, to: int | None = None) -> Iterator[dict[str, Any]]:
    """Decisions recorded at from_ <= time < to (µs), oldest first.

    Each as seq, at, actor, source, kind, body, and undo: whether it can be taken back now.
    """
    for each in events.decisions(s.store):
        if (from_ is None or each.recorded_at >= from_) and (to is None or each.recorded_at < to):
            yield {
                "seq": each.seq,
                "at": s.iso(each.recorded_at),
                "actor": each.actor,
                "source": each.source,
                "kind": each.kind,
                "body": each.body,
                "undo": compensation(s, each) is not None,
            }
