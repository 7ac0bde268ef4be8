"""Replaying the past as another model or rule would have decided it, beside what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from db import vocabulary
from engine.replay import State
from segtui.operations.decide import policy_decision
from segtui.operations.definitions import Definitions, definitions
from segtui.operations.errors import OperationError
from segtui.operations.later import Later
from segtui.operations.plans import backfill, beginning
from segtui.operations.policies import Wish, wished
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.promotion import promotion
from segtui.operations.replay import replay
from segtui.operations.rescoring import Edit, Run
from segtui.operations.segment import rule_decision
from segtui.operations.session import Session

DEFAULT_TICKS = 90


def what_if(
    s: Session,
    *,
    from_: int | None = None,
    to: int | None = None,
    model: str | None = None,
    define: tuple[str, str] | None = None,
    decide: tuple[str, Wish] | None = None,
    feed: bool = False,
    named: int = 0,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> Iterator[dict[str, Any]]:
    """Frames as `replay` gives them, decided again; nothing is written to the log.

    Under `model`, under the rule `define` (name, expression) of a new or known segment, under the policy
    `decide` (segmentation, what is asked; shares fitted to today's probabilities), or with none of them under
    what decides today. Segments that read the one changed follow; what they read besides is taken as
    recorded. `differs` counts the users who hold another label than recorded, by segmentation, `late` those
    of them with events that the log learnt of only after a tick they belong to was decided. With `named` a
    frame also has `corrections` as [segmentation, recorded, decided, users], `recorded`, the sizes then, and
    `differing`, at most so many of those users: {user, segmentation, recorded, decided, late}. Default range:
    the last 90 ticks. Other writers wait meanwhile. Raises OperationError as `replay` does, EngineError for a
    rule that cannot be read.
    """
    now = s.require_as_of()
    start = s.ticks.shift(now, -DEFAULT_TICKS) if from_ is None else s.ticks.at_or_after(from_)
    end = now if to is None else min(s.ticks.at_or_after(to), now)
    if start >= end:
        raise OperationError(f"No tick ends after {s.iso(start)} and up to {s.iso(end)}: widen the range.")
    position, begins = s.store.head(), max(start, beginning(s) or start)
    told: list[dict[str, Any]] = []
    try:
        with s.store.transaction(actor=s.actor, source="what-if") as tx:
            run = Run(s, tx, progress, cancelled, doing="trying")
            edit = None
            changed = _changed(s, model, define)
            if decide is not None:
                changed = _decided(s, *decide, anew=s.ticks.next(begins))
            if changed is not None:
                name, cause, decision = changed
                edit = Edit(cause, tx.append_decision(*decision), name)
            names = _affected(definitions(s), edit)
            run.walk(backfill(s, start=begins, to=end, only=names), edit=edit)
            run.finish()
            told = beside(
                s,
                start,
                end,
                position,
                sorted(names),
                feed=feed,
                corrections=named > 0,
                named=named,
                cancelled=cancelled,
            )
            raise Stopped
    except Stopped:
        if not told:
            raise
    return iter(told)


def _changed(
    s: Session, model: str | None, define: tuple[str, str] | None
) -> tuple[str, str, tuple[str, dict[str, Any]]] | None:
    """Segmentation, cause and decision (kind, body) of what is tried."""
    found = definitions(s)
    if model is not None:
        trained = found.find_model(model)
        previous = found.segmentation(trained["segmentation"]).model
        return trained["segmentation"], "model", promotion(trained | {"previous": previous})
    if define is not None:
        name, where = define
        return name, "definition", rule_decision(s, found, name, where)
    return None


def _decided(s: Session, name: str, asked: Wish, *, anew: int) -> tuple[str, str, tuple[str, dict[str, Any]]]:
    """As `_changed`, of a policy under which everyone has a first label at the as-of `anew`."""
    held, now = definitions(s).segmentation(name), s.require_as_of()
    policy = wished(s, held, asked, as_of=now, anew=anew)
    return name, "decision", policy_decision(held, policy, now)


def _affected(found: Definitions, edit: Edit | None) -> frozenset[str]:
    """The segmentations decided again."""
    if edit is not None and edit.segmentation is not None:
        return found.dependents(edit.segmentation)
    return frozenset(
        name for name, each in found.segmentations.items() if each.decided and each.kind != "list"
    )


def beside(
    s: Session,
    start: int,
    end: int,
    position: int,
    names: list[str],
    *,
    feed: bool,
    corrections: bool = False,
    named: int = 0,
    cancelled: Cancelled = never,
) -> list[dict[str, Any]]:
    """The frames decided again, each with how many users differ from the frame recorded up to `position`, and
    how many of them did something that was not known then.

    `corrections`: also how, as [segmentation, recorded, decided, users]; `named`: also the sizes recorded,
    and at most so many of the users, by their order of arrival.
    """
    recorded, again = _Last(), _Last()
    known = sorted(name for name in names if vocabulary.number(s.store, "segmentation", name) is not None)
    defined = definitions(s)
    became = {name: defined.ever(name).became for name in known}
    later: Later | None = None
    told = []
    for as_of, then, frame in zip(
        s.ticks.between(start, end),
        replay(s, from_=start, to=end, position=position, watch=recorded.keep),
        replay(s, from_=start, to=end, feed=feed, watch=again.keep),
        strict=True,
    ):
        if cancelled():
            raise Stopped
        later = later or Later(s, then["position"], end, position)
        unknown = later.at(as_of, then["position"])
        pairs = {
            name: (_now(recorded.state.get(name, {}), became[name]), again.state.get(name, {}))
            for name in known
        }
        apart = {name: _apart(*pair) for name, pair in pairs.items()}
        frame |= {
            "differs": {name: len(each.users) for name, each in apart.items()},
            "late": {name: int(np.isin(each.users, unknown).sum()) for name, each in apart.items()},
        }
        if corrections:
            found = [[name, *each] for name, pair in pairs.items() for each in _corrections(*pair)]
            frame |= {"corrections": found}
        if named:
            who = [row for name, each in apart.items() for row in _named(s, name, each, unknown, named)]
            frame |= {"recorded": then["sizes"], "differing": who}
        told.append(frame)
    return told


class _Last:
    """Keeps the state that was told last."""

    def __init__(self) -> None:
        self.state: State = {}

    def keep(self, state: State) -> None:
        self.state = state


def _now(state: dict[str, np.ndarray], became: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The users by label, under the names that labels have now: a new name is no difference."""
    named: dict[str, np.ndarray] = {}
    for label, users in state.items():
        now = became.get(label, label)
        named[now] = np.union1d(named[now], users) if now in named else users
    return named


@dataclass(frozen=True, eq=False)
class _Apart:
    """Users, ascending, who hold another label in two states, or one in one of them only; and the labels."""

    users: np.ndarray
    one: list[str | None]
    other: list[str | None]


def _apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> _Apart:
    labels = (*one, *(label for label in other if label not in one))
    users = np.unique(np.concatenate([np.array([], np.int64), *one.values(), *other.values()]))
    held = np.full((2, len(users)), len(labels))
    for row, state in zip(held, (one, other), strict=True):
        for label, those in state.items():
            row[np.searchsorted(users, those)] = labels.index(label)
    where, texts = held[0] != held[1], (*labels, None)
    left, right = ([texts[code] for code in codes] for codes in held[:, where].tolist())
    return _Apart(users[where], left, right)


def _named(s: Session, name: str, apart: _Apart, unknown: np.ndarray, count: int) -> list[dict[str, Any]]:
    """The first of the users who hold another label; `unknown` ascending."""
    users = apart.users[:count]
    external, late = s.external(users.tolist()), np.isin(users, unknown).tolist()
    return [
        {
            "user": external[user],
            "segmentation": name,
            "recorded": left,
            "decided": right,
            "late": came,
        }
        for user, left, right, came in zip(users.tolist(), apart.one, apart.other, late, strict=False)
    ]


def _corrections(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[list[Any]]:
    """[label in one, label in the other, users] where they are not the same, None for no label."""
    found = []
    for left, right in ((one, other), (other, one)):
        anywhere = np.concatenate([np.array([], np.int64), *right.values()])
        alone = [(label, len(np.setdiff1d(users, anywhere))) for label, users in sorted(left.items())]
        found += [[label, None, n] if left is one else [None, label, n] for label, n in alone if n]
    for label, users in sorted(one.items()):
        for instead, others in sorted(other.items()):
            both = len(np.intersect1d(users, others, assume_unique=True)) if label != instead else 0
            if both:
                found.append([label, instead, both])
    return found
