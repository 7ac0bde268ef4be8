"""Making a model current inside a transaction."""

from __future__ import annotations

from typing import Any

from db.store import Transaction
from segtui.operations.edits import EditRun
from segtui.operations.plans import beginning
from segtui.operations.progress import Cancelled, Progress
from segtui.operations.session import Session

BACKFILL_TICKS = 90


def promote_in(
    s: Session, tx: Transaction, trained: dict[str, Any], progress: Progress, cancelled: Cancelled
) -> EditRun:
    """Appends the promotion of a `model_trained` body, which also names the `previous` model, and its movers.

    A segmentation's first model of future behaviour also goes back over the 90 ticks before now, in a new
    pass, so that its history can be looked at from the first day.
    """
    first = trained["previous"] is None and trained["horizon"] is not None
    return EditRun(
        s,
        tx,
        trained["segmentation"],
        promotion(trained),
        cause="model",
        back_to=_backfill_start(s) if first else None,
        progress=progress,
        cancelled=cancelled,
    )


def promotion(trained: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The decision (kind, body) that makes a model current; with `anew`, an as-of, everyone has a first label
    there."""
    told = ("segmentation", "model", "previous", "labels", *(["anew"] if "anew" in trained else []))
    return "model_promoted", {name: trained[name] for name in told}


def _backfill_start(s: Session) -> int:
    """The tick end 90 ticks before now, or the one before the log's first event."""
    begins = beginning(s)
    assert begins is not None
    return max(begins, s.ticks.shift(s.require_as_of(), -BACKFILL_TICKS))
