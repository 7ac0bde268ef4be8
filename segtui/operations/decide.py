"""How a segmentation's probabilities become labels: told, tried, changed, with who moves by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from db import vocabulary
from engine.deciding import MILLION, DecisionPolicy
from segtui.operations.definitions import Segmentation, definitions
from segtui.operations.edits import EditRun
from segtui.operations.errors import OperationError
from segtui.operations.policies import Wish, require_probabilities, shown, wished
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.session import Session

KIND = "policy_set"


def decide(
    s: Session,
    segmentation: str,
    asked: Wish,
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Changes how probabilities become labels; a `preview` shows who would move and writes nothing.

    Returns segmentation, decision, flows, sizes, expected, changed, preview, and missed: shares that could
    not be met because users with the same probabilities are not divided. With nothing asked for it tells
    what is in force. From now on, with a first label under the new way for everyone: margin and minimum stay
    hold from the next tick on. Raises OperationError where no model decides, for a label there is not, and
    where it is decided so already; EngineError out of range.
    """
    if asked.nothing:
        return _told_as_it_is(s, segmentation)
    progress("reading the log", None)

    def policy(held: Segmentation) -> DecisionPolicy:
        now = s.require_as_of()
        return wished(s, held, asked, as_of=now, anew=now)

    return _edit(s, segmentation, policy, preview=preview, progress=progress, cancelled=cancelled)


def restore(
    s: Session,
    segmentation: str,
    former: DecisionPolicy,
    since: int,
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Goes back to a former policy, which another one took the place of at the as-of `since`.

    Within that tick it is as if the other had never been; later everyone is given a first label under the
    former one.
    """

    def policy(held: Segmentation) -> DecisionPolicy:
        now = s.require_as_of()
        if since == now:
            return former
        same = former.weighs == held.policy.weighs
        return replace(former, anew=held.policy.anew if same else now)

    return _edit(s, segmentation, policy, preview=preview, progress=progress, cancelled=cancelled)


def policy_decision(held: Segmentation, policy: DecisionPolicy, as_of: int) -> tuple[str, dict[str, Any]]:
    """The decision (kind, body) that puts a policy in force."""
    body = {"segmentation": held.name, "model": held.model, "as_of": as_of, "decision": policy.to_json()}
    return KIND, body


def _edit(
    s: Session,
    name: str,
    policy_of: Callable[[Segmentation], DecisionPolicy],
    *,
    preview: bool,
    progress: Progress,
    cancelled: Cancelled,
) -> dict[str, Any]:
    """The edit, told; rolled back where it is a preview."""
    told: dict[str, Any] = {}
    try:
        with s.store.transaction(actor=s.actor, source="decide") as tx:
            held = definitions(s).segmentation(name)
            require_probabilities(held)
            policy = policy_of(held)
            if policy == held.policy:
                raise OperationError(f"{name!r} is decided so already: nothing was changed.")
            decision = policy_decision(held, policy, s.require_as_of())
            run = EditRun(s, tx, name, decision, cause="decision", progress=progress, cancelled=cancelled)
            run.finish()
            told = _told(s, run, policy) | {"preview": preview}
            if preview:
                raise Stopped
    except Stopped:
        if not (preview and told):
            raise
    return told


def _told(s: Session, run: EditRun, policy: DecisionPolicy) -> dict[str, Any]:
    names = vocabulary.texts(s.store, "label")
    rows = [(names[number], users, expected) for number, users, expected in run.sizes().iter_rows()]
    sizes = {label: users for label, users, expected in rows if users or expected is not None}
    flows = run.flows()
    total = sum(sizes.values())
    return {
        "segmentation": run.name,
        "decision": shown(policy),
        "flows": flows,
        "sizes": sizes,
        "expected": {label: round(sum_ / MILLION, 1) for label, _, sum_ in rows if sum_ is not None},
        "changed": sum(users for _, _, users in flows),
        "missed": {
            label: round(sizes.get(label, 0) / total, 6)
            for label, share in policy.shares.items()
            if total and abs(sizes.get(label, 0) - share * total / MILLION) > 1
        },
    }


def _told_as_it_is(s: Session, name: str) -> dict[str, Any]:
    """What is in force, and what it makes of everyone."""
    from segtui.operations.segments import segments

    held = definitions(s).segmentation(name)
    require_probabilities(held)
    (own,) = (each for each in segments(s)["segmentations"] if each["name"] == name)
    return {
        "segmentation": name,
        "decision": shown(held.policy.of(held.labels)),
        "flows": [],
        "sizes": {each["label"]: each["users"] for each in own["labels"]},
        "expected": {
            each["label"]: each["expected"] for each in own["labels"] if each["expected"] is not None
        },
        "changed": 0,
        "missed": {},
        "preview": False,
    }
