"""Taking a decision back by another one: the log keeps both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from db import log
from db.log import Decision
from segtui.operations import decide, discover, label, models, segment
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.label_rules import with_names_of_now
from segtui.operations.progress import Cancelled, Progress, never, quiet
from segtui.operations.session import Session

EDITS = (
    "segmentation_defined",
    "segmentation_edited",
    "segmentation_retired",
    "model_promoted",
    "label_edited",
    "policy_set",
)
OF_MODELS = ("model_promoted", "label_edited", "policy_set")

Compensate = Callable[..., dict[str, Any]]


def undo(
    s: Session,
    seq: int,
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Appends what takes the decision `seq` back, with its movers; `preview` writes nothing.

    A promotion goes back to the model before, a rule, a decision or the labels to those before, a new
    segment is retired and a retired one defined again; only the newest edit of a segmentation can be
    taken back. Returns undone, kind, seq (of the decision that does it; None in a preview) and what the
    edit itself tells. Raises OperationError for anything else.
    """
    found = log.decisions(s.store, position=seq, newest_first=True, limit=1)
    found = [each for each in found if each.seq == seq]
    if not found:
        raise OperationError(f"{seq} is no decision of {s.store.path}: 'segtui log' lists them.")
    compensate = compensation(s, found[0])
    if compensate is None:
        raise OperationError(_refusal(s, found[0]))
    before, s.undoing = s.store.head(), seq
    try:
        told = compensate(preview=preview, progress=progress, cancelled=cancelled)
    finally:
        s.undoing = None
    done = [each.seq for each in log.decisions(s.store, kinds=EDITS) if each.seq > before]
    return {"undone": seq, "kind": found[0].kind, "seq": done[-1] if done else None} | told


def compensation(s: Session, decision: Decision) -> Compensate | None:
    """What takes a decision back; None where nothing can, or another edit came after it."""
    if decision.kind not in EDITS or _later(s, decision) is not None:
        return None
    name = _edited(decision)
    before = definitions(s, position=decision.seq - 1).segmentations.get(name)
    if decision.kind == "model_promoted":
        if before is None or before.model is None:
            return None
        model = before.model
        return lambda **options: models.promote(s, model, **options)
    if decision.kind == "policy_set":
        if before is None:
            return None
        former, since = before.policy, int(decision.body["as_of"])
        return lambda **options: decide.restore(s, name, former, since, **options)
    if decision.kind == "label_edited":
        if decision.body["edit"] == "rename":
            old, new = decision.body["label"], decision.body["into"]
            return lambda **options: label.rename(s, name, new, old, **options)
        previous, edited_at = decision.body["previous"], decision.body.get("as_of")
        return lambda **options: label.restore(s, name, previous, edited_at, **options)
    if decision.kind == "segmentation_defined":
        if decision.body["kind"] == "model" and decision.body.get("model") is None:
            return None
        return lambda **options: segment.retire(s, name, **options)
    if "renamed" in decision.body:
        return None
    if before is not None and before.discovered and before.model is not None:
        given_back = before.model
        return lambda **options: discover.again(s, name, given_back, **options)
    if before is None or before.rule is None:
        return None
    where = with_names_of_now(s, definitions(s), name, before.rule, decision.seq)
    again = segment.edit if decision.kind == "segmentation_edited" else segment.define
    return lambda **options: again(s, name, where, **options)


def _edited(decision: Decision) -> str:
    return str(decision.body["segmentation" if decision.kind in OF_MODELS else "name"])


def _later(s: Session, decision: Decision) -> Decision | None:
    """The first edit of the same segmentation after this one that was not taken back since.

    That a rule follows a label's new name is no edit of its own.
    """
    left: list[Decision] = []
    for each in log.decisions(s.store, kinds=EDITS):
        if each.seq > decision.seq and _edited(each) == _edited(decision) and "renamed" not in each.body:
            undone = each.body.get("undoes")
            others = [one for one in left if one.seq != undone]
            left = others if len(others) < len(left) else [*left, each]
    return left[0] if left else None


def _refusal(s: Session, decision: Decision) -> str:
    if decision.kind in EDITS:
        later = _later(s, decision)
        if later is not None and later.body.get("undoes") == decision.seq:
            return f"{decision.seq} was taken back by {later.seq}: undo that to have it again."
        if later is not None:
            return (
                f"{_edited(decision)!r} was edited again after {decision.seq}: "
                f"undo {later.seq} ({later.kind}) first."
            )
        if decision.kind == "model_promoted":
            return f"No model decided {_edited(decision)!r} before {decision.seq}: promote another instead."
        if "renamed" in decision.body:
            return f"The rule of {_edited(decision)!r} follows a label's new name: undo the rename instead."
        if "scores" in decision.body:
            return (
                f"{_edited(decision)!r} was given other scores: give the former ones again with "
                "'segtui segment from-scores'."
            )
        if decision.kind != "segmentation_defined":
            return f"{_edited(decision)!r} was a list: give its file again with 'segtui segment from-file'."
    return (
        f"Nothing takes back {decision.kind} ({decision.seq}): the log only grows; "
        "to go back as a whole, restore a backup."
    )
