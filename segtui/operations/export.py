"""A segment's members as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from engine.exact import quotient
from segtui.operations.errors import OperationError
from segtui.operations.files import frame_beside, write_frame
from segtui.operations.members import member_frame
from segtui.operations.session import Session

COLUMNS = ("user", "segment", "probability", "margin", "since")


def export(
    s: Session,
    segment: str,
    out: Path,
    *,
    at: int | None = None,
    position: int | None = None,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    identified: bool = False,
    part: str | None = None,
    users: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Writes the members to CSV, Parquet or NDJSON (or `-`), and a decision that says who as of when.

    `part`: of those alone whose id it is a part of, see `like`. `users`: of these alone, as external ids or
    #surrogates; whoever is no member is left out.
    Pseudonymous (`#12`) unless `identified`, which needs the vault's key. The file is there whole or not
    at all; without it nothing is logged, and it is not there where logging fails. What goes to stdout is
    logged before it goes.
    """
    chosen = list(columns or COLUMNS)
    unknown = [name for name in chosen if name not in COLUMNS]
    if unknown:
        raise OperationError(f"No column {unknown[0]!r} to export: there are {', '.join(COLUMNS)}.")
    twice = [name for name in COLUMNS if chosen.count(name) > 1]
    if twice:
        raise OperationError(f"Column {twice[0]!r} is named twice in --columns: name each once.")
    with s.store.reading():
        frame, when = member_frame(s, segment, where=where, part=part, at=at, position=position)
        if users is not None:
            frame = frame.filter(pl.col("user").is_in(list(s.surrogates(users).values())))
        known = s.store.head() if when.position is None else when.position
    surrogates = frame["user"].to_list()
    if identified:
        s.store.vault.require()
    names = s.external(surrogates) if identified else {user: f"#{user}" for user in surrogates}
    table = frame.select(
        pl.Series("user", [names[user] for user in surrogates], dtype=pl.String),
        pl.lit(segment).alias("segment"),
        quotient(frame["probability"], 1_000_000),
        quotient(frame["margin"], 1_000_000),
        pl.Series("since", [s.iso(since) for since in frame["since"]], dtype=pl.String),
    ).select(chosen)
    about = {
        "segment": segment,
        "as_of": when.as_of,
        "position": known,
        "identified": identified,
        "columns": chosen,
        "where": where,
    }
    if users is not None:
        about["chosen"] = len(users)
    if part:
        # A part of an id may tell whose it is: that there was one is all that is kept.
        about["part"] = True
    if str(out) == "-":
        # Recorded first: a reader who leaves halfway has seen members all the same.
        with s.store.transaction(actor=s.actor, source="export") as tx:
            tx.append_decision("exported", about | {"rows": table.height, "file_digest": None})
        return write_frame(table, Path(out))
    with (
        frame_beside(table, Path(out)) as (told, place),
        s.store.transaction(actor=s.actor, source="export") as tx,
    ):
        tx.append_decision("exported", about | {name: told[name] for name in ("rows", "file_digest")})
        place()
    return told
