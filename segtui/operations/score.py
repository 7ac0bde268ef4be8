"""Every user's probabilities, without writing to the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.deciding import DEFAULT_POLICY
from engine.features import spec_for
from segtui.operations.deciders import Evidence, load_model, model_decider
from segtui.operations.definitions import Definitions, definitions
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
    digest = _asked(found, model)
    if digest is None:
        raise OperationError("There is no model to score with yet: train one with 'segtui train'.")
    held = found.segmentation(found.models[digest]["segmentation"])
    decider = model_decider(s.store, digest, held.policy if held.model == digest else DEFAULT_POLICY)
    as_of = s.tick_at(at)
    evidence = Evidence(
        s.events(before=as_of, position=position),
        s.identity(position=position),
        s.attributes(position=position),
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


def matrix(
    s: Session,
    out: Path,
    *,
    model: str | None = None,
    at: int | None = None,
    position: int | None = None,
) -> dict[str, Any]:
    """Writes what a model reads of every user to a file: user, and a column per feature, as they are before
    encoding.

    Without a model: the features that one would read unless told otherwise. Sequences are no columns and
    left out. Returns rows, out, file_digest, as_of and features (how many).
    """
    found = definitions(s, position=position)
    digest, as_of = _asked(found, model), s.tick_at(at)
    evidence = Evidence(
        s.events(before=as_of, position=position),
        s.identity(position=position),
        s.attributes(position=position),
    )
    if digest is None:
        spec = spec_for(evidence.events, s.settings.timezone, evidence.attributes)
    else:
        spec = load_model(s.store, digest).feature_spec
    frame = evidence.features(as_of, spec)
    names = s.external(frame["user"].to_list())
    table = frame.with_columns(pl.Series("user", [names[user] for user in frame["user"]], dtype=pl.String))
    return write_frame(table, out) | {"as_of": s.iso(as_of), "features": table.width - 1}


def _asked(found: Definitions, model: str | None) -> str | None:
    """The digest of the model named, else of the first that decides something; None where there is none."""
    if model is not None:
        return str(found.find_model(model)["model"])
    return next((each.model for each in found.segmentations.values() if each.model), None)
