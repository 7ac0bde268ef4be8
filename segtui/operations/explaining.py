"""Why a user holds a label and not another: against who is typical of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from db import lookups, projections
from segtui.operations.deciders import Evidence, ModelDecider
from segtui.operations.held import Held
from segtui.operations.session import Session

TYPICAL_USERS = 500


def explain(
    s: Session, decider: ModelDecider, held: Held, scores: Sequence[float], evidence: Evidence, as_of: int
) -> dict[str, Any] | None:
    """Why this label and not the likeliest other, against the typical member of the label.

    label, against, and what engine.explain.explanation tells; None for a label the model does not know.
    """
    from engine.explain import explanation

    if held.label not in decider.labels:
        return None
    ranked = sorted(range(len(scores)), key=lambda code: -scores[code])
    own_code = decider.labels.index(held.label)
    against = next(code for code in ranked if code != own_code)
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


def _like(s: Session, held: Held) -> list[int]:
    """A few hundred of those who hold the same label at the moment, spread over all of them."""
    if not held.when.past:
        return lookups.spread_members(s.store, held.number, held.code, TYPICAL_USERS)
    then = projections.memberships(
        s.store, held.number, as_of=held.when.folded, position=held.when.position
    ).filter(pl.col("label") == held.code)["user"]
    return then.gather_every(max(1, len(then) // TYPICAL_USERS)).to_list()
