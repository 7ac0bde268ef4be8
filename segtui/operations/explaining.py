"""Why a user holds a label and not another: against who is typical of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from db import lookups, projections, vocabulary
from segtui.operations.deciders import Evidence, ModelDecider
from segtui.operations.definitions import definitions
from segtui.operations.held import Held
from segtui.operations.session import Session

TYPICAL_USERS = 500


def explain(
    s: Session, decider: ModelDecider, held: Held, scores: Sequence[float], evidence: Evidence, as_of: int
) -> dict[str, Any] | None:
    """Why this label and not the one the user came from, against the typical member of the label.

    Without one that the model knows: not the likeliest other.

    label, against, and what engine.explain.explanation tells; None for a label the model does not know.
    """
    from engine.explain import explanation

    if held.label not in decider.labels:
        return None
    ranked = sorted(range(len(scores)), key=lambda code: -scores[code])
    own_code = decider.labels.index(held.label)
    came = _came_from(s, held)
    likeliest = next(code for code in ranked if code != own_code)
    against = decider.labels.index(came) if came in decider.labels else likeliest
    sample, position = np.array(_like(s, held), np.int64), held.when.position
    known = evidence.identity.kin(sample).tolist()
    others = Evidence(
        s.events(before=as_of, position=position, users=known),
        evidence.identity,
        s.attributes(position=position, users=known),
    )
    own, usual = evidence.features(as_of, decider.spec), others.features(as_of, decider.spec, sample)
    told = explanation(
        decider.scorer,
        own,
        usual,
        own_code,
        against,
        decider.sequences(evidence, as_of, own["user"].to_numpy()),
        decider.sequences(others, as_of, usual["user"].to_numpy()),
    )
    return {"label": held.label, "against": decider.labels[against], **told}


def _came_from(s: Session, held: Held) -> str | None:
    """The label that the user held before this one, by its present name; None for a first one."""
    names = vocabulary.texts(s.store, "label")
    became = definitions(s, position=held.when.position).ever(held.name).became
    moves = projections.history(s.store, held.user, position=held.when.position)
    own = moves.filter((pl.col("segmentation") == held.number) & (pl.col("as_of") <= held.when.as_of))
    for number in own["from_label"].reverse():
        left = names.get(number)
        left = became.get(left, left) if left is not None else None
        if left != held.label:
            return left
    return None


def _like(s: Session, held: Held) -> list[int]:
    """A few hundred of those who hold the same label at the moment, spread over all of them."""
    if not held.when.past:
        return lookups.spread_members(s.store, held.number, held.code, TYPICAL_USERS)
    then = projections.memberships(
        s.store, held.number, as_of=held.when.folded, position=held.when.position
    ).filter(pl.col("label") == held.code)["user"]
    return then.gather_every(max(1, len(then) // TYPICAL_USERS)).to_list()
