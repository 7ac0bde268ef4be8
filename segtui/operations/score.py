"""Every user's probabilities, without writing to the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.deciding import DEFAULT_POLICY
from segtui.operations.deciders import Evidence, model_decider
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.files import write_frame
from segtui.operations.session import Session


def score(
    s: Session,
    *,
    model: str | None = None,
    at: int | None = None,
    position: int | None = None,
    out: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """One dict per user, or (with `out`) one that says what was written: user, label, p_LABEL columns.

    `position`: from the events the log held then, with the model promoted then. The label is the one
    a user without one would get: of the current model by the decision in force, of another the likeliest.
    """
    found = definitions(s, position=position)
    if model is None:
        promoted = [each.model for each in found.segmentations.values() if each.model]
        if not promoted:
            raise OperationError("There is no model to score with yet: train one with 'segtui train'.")
        digest = promoted[0]
    else:
        digest = found.find_model(model)["model"]
    held = found.segmentation(found.models[digest]["segmentation"])
    decider = model_decider(s.store, digest, held.policy if held.model == digest else DEFAULT_POLICY)
    as_of = s.tick_at(at)
    evidence = Evidence(
        s.events(before=as_of, position=position), s.identity(), s.attributes(position=position)
    )
    frame = evidence.features(as_of, decider.spec)
    nobody = np.full(frame.height, -1, np.int32)
    scores, labels = decider.decide(frame, evidence, as_of, nobody)
    assert scores is not None
    users = frame["user"].to_list()
    names = s.external(users)
    table = pl.DataFrame(
        {"user": [names[user] for user in users], "label": [decider.labels[code] for code in labels]}
        | {f"p_{label}": scores[:, code] / 1_000_000 for code, label in enumerate(decider.labels)}
    )
    if out is not None:
        yield write_frame(table, out)
        return
    for row in table.iter_rows(named=True):
        yield {
            "user": row["user"],
            "label": row["label"],
            "probabilities": {label: row[f"p_{label}"] for label in decider.labels},
        }
