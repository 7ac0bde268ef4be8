"""A segmentation of scores made elsewhere: labels and probabilities from a file, kept like a list."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from db.erasures import Erasures
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.label_rules import refuse_named
from segtui.operations.progress import Cancelled, Progress, never, quiet
from segtui.operations.quarantine import Quarantine
from segtui.operations.rule_deciders import Chosen, ListDecider
from segtui.operations.segment import edited, refuse_name
from segtui.operations.session import Session
from segtui.operations.suppression import suppress
from segtui.sources.schema import REJECTED
from segtui.sources.scores import PREFIX, USER, Scores, load

NOTHING: dict[str, Any] = {
    "where": None,
    "entering": 0,
    "leaving": 0,
    "sample": [],
    "flows": [],
    "overlap": [],
}


def from_scores(
    s: Session,
    name: str,
    path: Path,
    *,
    preview: bool = False,
    out: Path | None = None,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Makes a segmentation of the labels that a file gives to users; segtui.sources.scores tells its columns.

    Under the name of such a segmentation the file takes the place of the former one: who is not in it holds
    none of the labels any more. What the last file gave already changes nothing. Returns as `define` and
    rows = accepted + suppressed + quarantined, reasons, quarantine_file, labels [{label, users}], changed
    (whether anything was new). Raises SourceError for a file that is no table of scores, OperationError for a
    name that is taken and where no row is of a known user.
    """
    found = definitions(s)
    held = found.segmentations.get(name)
    if held is None:
        refuse_name(s, found, name)
    elif held.scores is None:
        raise OperationError(f"{name!r} is decided by a {held.kind} of its own: choose another name.")
    progress("reading the file", None)
    given = load(path)
    rows, unfit = _known(s, given)
    _, rejected = suppress(Erasures(s.store), rows.select(USER), unfit, None, (USER,))
    if rows.is_empty():
        why = f" ({unfit['reason'][0]}, in line {unfit['line'][0]})" if unfit.height else ""
        raise OperationError(f"{path} gives no known user a label{why}: nothing was changed.")
    before = held.labels if held else ()
    used = set(given.labels) if given.probabilities else set(rows["label"])
    kept = [label for label in before if label in used]
    labels = (*kept, *(label for label in given.labels if label in used and label not in kept))
    refuse_named(found, name, set(before) - set(labels), f"{path} does not have it")
    digest = _digest(rows)
    body = {"name": name, "labels": list(labels), "scores": digest, "users": rows.height}
    changed = held is None or held.scores != digest
    file = Quarantine(s.store.path, name, time.time_ns() // 1000, dry_run=preview, columns=(USER,))
    try:
        file.add(path, rejected)
        file.close()
        told: dict[str, Any] = NOTHING
        if changed:
            told = edited(
                s,
                name,
                ("segmentation_edited", body) if held else ("segmentation_defined", body | {"kind": "list"}),
                None,
                deciders={name: ListDecider(s.ticks.zone, labels, _chosen(rows, labels, given))},
                preview=preview,
                out=out,
                progress=progress,
                cancelled=cancelled,
            )
    except BaseException:
        file.discard()
        raise
    if not changed:
        file.discard()
    sizes = dict(rows["label"].value_counts().iter_rows())
    return told | {
        "name": name,
        "preview": preview,
        "changed": changed,
        "users": rows.height,
        "labels": [{"label": label, "users": sizes.get(label, 0)} for label in labels],
        "rows": rows.height + unfit.height,
        "accepted": rows.height,
        "suppressed": unfit.height - rejected.height,
        "quarantined": file.rows,
        "reasons": file.reasons,
        "quarantine_file": str(file.file) if file.file else None,
    }


def _known(s: Session, given: Scores) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of known users, `person` being the surrogate of each, by it; and those that are not taken."""
    numbers = s.surrogates(given.rows["user"].unique().to_list())
    whole = dict(s.identity().at(s.require_as_of()).iter_rows())
    persons = {text: whole.get(number, number) for text, number in numbers.items()}
    named = given.rows.with_columns(
        pl.col("user").replace_strict(persons, default=None, return_dtype=pl.Int64).alias("person")
    ).with_columns(pl.col("line").min().over("person").alias("first"))
    reason = (
        pl.when(pl.col("person").is_null())
        .then(pl.lit("no user has this id"))
        .when(pl.col("line") > pl.col("first"))
        .then(pl.format("the user is told before, in line '{}'", "first"))
    )
    named = named.with_columns(reason.alias("reason"))
    unfit = pl.concat([given.rejected, named.filter(pl.col("reason").is_not_null()).select(*REJECTED)])
    return named.filter(pl.col("reason").is_null()).sort("person"), unfit.sort("line")


def _digest(rows: pl.DataFrame) -> str:
    """SHA-256 in hex of who gets which label and probabilities."""
    columns = sorted(name for name in rows.columns if name.startswith(PREFIX))
    text = rows.select("person", "label", *columns).write_csv()
    return hashlib.sha256(text.encode()).hexdigest()


def _chosen(rows: pl.DataFrame, labels: tuple[str, ...], given: Scores) -> Chosen:
    """What the rows say, as codes of `labels`."""
    codes = rows["label"].replace_strict({label: code for code, label in enumerate(labels)})
    scores = None
    if given.probabilities:
        scores = rows.select(f"{PREFIX}{label}" for label in labels).to_numpy().astype(np.int32)
    return Chosen(rows["person"].to_numpy(), codes.to_numpy().astype(np.int32), scores)
