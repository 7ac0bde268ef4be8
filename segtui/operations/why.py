"""Why a segment's size moved between two instants: customers, the model or definition, or the data."""

from __future__ import annotations

from typing import Any

import polars as pl

from db import log, projections, vocabulary
from engine.membership import EDITS
from segtui.operations import renames
from segtui.operations.definitions import require_segment
from segtui.operations.errors import OperationError
from segtui.operations.habit import gaps
from segtui.operations.plans import last_rescore
from segtui.operations.session import Session

DEFAULT_DAYS = 30


def why(s: Session, segment: str, *, from_: int | None = None, to: int | None = None) -> dict[str, Any]:
    """A segment's size before and after, and the moves in and out of it by cause and by reason.

    Default: the last 30 days up to the last rescore. before + in - out = after, first labels and moves to
    and fro within the range included. `import_gaps` are the ticks without an event that usually have some.
    Raises OperationError for a range without a tick.
    """
    from engine.catalogue import phrase

    known, label = require_segment(s, segment)
    last = last_rescore(s)
    if last is None:
        raise OperationError("Nobody was ever scored: record memberships with 'segtui rescore' first.")
    end = last.as_of if to is None else s.ticks.at_or_after(to)
    start = s.ticks.days_before(end, DEFAULT_DAYS) if from_ is None else from_
    start = s.ticks.at_or_after(start)
    if start >= end:
        raise OperationError(f"No tick ends after {s.iso(start)} and up to {s.iso(end)}: widen the range.")
    number = vocabulary.number(s.store, "segmentation", known.name)
    code = vocabulary.number(s.store, "label", label)
    name = f"{known.name}={label}"
    moves = renames.moves(s, name, from_=start, to=end, first=True).with_columns(
        pl.when(pl.col("to_label") == code).then(1).otherwise(-1).alias("way")
    )
    codes = [vocabulary.number(s.store, "label", each) for each in known.family(label)]
    before, after = (
        0 if number is None else _held(projections.sizes(s.store, number, as_of=at), codes)
        for at in (start, end)
    )
    texts = vocabulary.texts(s.store, "reason")
    counted = moves.group_by("reason").len().sort("len", "reason", descending=[True, False])
    by_cause = {
        cause: {"in": came, "out": left}
        for cause, came, left in moves.group_by("cause")
        .agg((pl.col("way") == 1).sum().alias("in"), (pl.col("way") == -1).sum().alias("out"))
        .sort("cause")
        .iter_rows()
    }
    decided = _decided(s, moves)
    return {
        "segment": name,
        "from": s.iso(start),
        "to": s.iso(end),
        "before": before,
        "after": after,
        "in": moves.filter(pl.col("way") == 1).height,
        "out": moves.filter(pl.col("way") == -1).height,
        "by_cause": by_cause,
        "by_reason": [[phrase(texts[reason]), count] for reason, count in counted.iter_rows()],
        "by_edits": _net(by_cause, EDITS),
        "by_customers": after - before - _net(by_cause, EDITS),
        "model_changed": bool(decided & {"model_promoted", "label_edited"}),
        "definition_changed": bool(decided - {"model_promoted", "label_edited", "policy_set"}),
        "decision_changed": "policy_set" in decided,
        "import_gaps": [s.iso(tick) for tick in gaps(s, start, end)],
    }


def _held(sizes: dict[int, int], codes: list[int | None]) -> int:
    """Who holds one of these labels."""
    return sum(sizes.get(code, 0) for code in codes if code is not None)


def _net(by_cause: dict[str, dict[str, int]], causes: tuple[str, ...]) -> int:
    """Who came less who left for these causes."""
    return sum(each["in"] - each["out"] for cause, each in by_cause.items() if cause in causes)


def _decided(s: Session, moves: pl.DataFrame) -> set[str]:
    """Kinds of the decisions that ran a rescore in which somebody moved."""
    edits = moves.filter(pl.col("cause").is_in(EDITS))["cause_seq"].drop_nulls().unique().to_list()
    kinds = {
        decision.seq: decision.kind
        for decision in log.decisions(
            s.store,
            kinds=(
                "model_promoted",
                "label_edited",
                "policy_set",
                "segmentation_defined",
                "segmentation_edited",
                "segmentation_retired",
            ),
        )
    }
    return {kinds[seq] for seq in edits if seq in kinds}
