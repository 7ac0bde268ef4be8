"""Which rows of an import the log does not hold yet, a range of ids or of users at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from db import carried, commits, content, forgetting, log, projections, vocabulary
from db.store import Transaction
from segtui.operations import deduplication
from segtui.operations.deduplication import CONTENT
from segtui.operations.earlier import SESSIONS, Earlier
from segtui.operations.session import Session

PLAIN, TABLE, PRESENT, JUDGED, LINK, UNLINK = range(6)
"""How a row is known again: by its content; by what it tells of its user; by its user; it was already;
by whom it joins, and when."""

WINDOW_ROWS = 1_000_000
FEW_USERS = 5_000
"""So many are looked up by index instead of scanning everyone's events."""

ATTRIBUTES = {"row": pl.Int64, "user": pl.Int64, "name": pl.Int64, "value": pl.Int64}
APPENDED = [name for name in log.BEHAVIOUR if name != "seq"]


@dataclass(frozen=True)
class Judged:
    """Rows with an id: the events to append, the versions they carry, and the sessions duplicates tell of.

    rows: as they came, with way JUDGED. versions: ATTRIBUTES. sessions: SESSIONS. begun: how many ids began
    with a base row, so that the change beside it is none of what the log held.
    """

    rows: pl.DataFrame
    versions: pl.DataFrame
    sessions: pl.DataFrame
    duplicates: int
    changed: int
    begun: int


@dataclass(frozen=True)
class Sifted:
    """New rows of some users, by user and then as they came.

    rows: APPENDED. attributes: row (index into rows), name, value.
    """

    rows: pl.DataFrame
    attributes: pl.DataFrame
    duplicates: int


class Sieve:
    """What the log held of one source when its transaction began; made before any user is numbered."""

    def __init__(self, s: Session, tx: Transaction, source: str, earlier: Earlier | None = None) -> None:
        """`earlier`: what is kept of the source from batch to batch, where its rows come in many."""
        self._s, self._tx = s, tx
        self._newcomer = s.store.vault.next_user()
        self._erased = forgetting.erased(s.store)
        self._earlier = earlier
        self._ranges = commits.of_source(s.store, source) if earlier is None else earlier.others()
        scored = projections.rescores(s.store)
        self._late_before = s.ticks.previous(scored.sort("seq")["as_of"][-1]) if scored.height else None

    def by_id(self, rows: pl.DataFrame) -> Judged:
        """Judges rows with an id, in the order they came, base ones too; all of each id are among them."""
        tx, store = self._tx, self._s.store
        logged = self._logged_ids(rows["source_id"].unique())
        versions = carried.versions(store, logged["seq"].to_list())
        logged = logged.join(versions, on="seq", how="left", maintain_order="left")
        verdicts = deduplication.compare_by_id(
            rows,
            logged,
            refund=vocabulary.number(store, "kind", "refund"),
            version_of=lambda changed: content.versions(store, changed),
        )
        judged = pl.concat([rows, verdicts], how="horizontal")
        names = [name for name in rows.columns if name != "base"]
        fresh = judged.filter(pl.col("verdict") == "new")
        changed = judged.filter(pl.col("verdict") == "changed")
        again = judged.filter(pl.col("verdict") == "duplicate")
        kept, borne = [fresh.select(names)], pl.DataFrame(schema=ATTRIBUTES)
        if changed.height:
            kinds = {name: tx.number("kind", name) for name in ("purchase", "refund", vocabulary.CORRECTION)}
            changed = pl.concat([changed, deduplication.taken_back(changed)])
            kept.append(deduplication.compensations(changed, **kinds).select(names))
            name = tx.number("attribute:version", "version")
            borne = changed.select("row", "user", pl.lit(name, dtype=pl.Int64).alias("name"), value="version")
        return Judged(
            rows=pl.concat(kept).with_columns(pl.lit(JUDGED, dtype=pl.Int64).alias("way")),
            versions=borne,
            sessions=_told(again, logged.filter(pl.col("version").is_null()), ["source_id", "user"]),
            duplicates=again.height,
            changed=judged.filter(pl.col("verdict") == "changed").height,
            begun=int(fresh["base"].sum()),
        )

    def part(
        self,
        rows: pl.DataFrame,
        borne: pl.DataFrame | None,
        told: pl.DataFrame | None,
        between: tuple[int, int],
    ) -> Sifted:
        """The new ones among all rows of the users `between`.

        `borne` (ATTRIBUTES) and `told` (SESSIONS) are those of these users.
        """
        rows = rows.sort("user", "row")
        borne = pl.DataFrame(schema=ATTRIBUTES) if borne is None else borne
        plain = rows.filter(pl.col("way") == PLAIN)
        logged = self._logged_content(plain)
        fresh = deduplication.new_copies(plain, logged)
        kept = [rows.filter(pl.col("way") == JUDGED), plain.filter(fresh)]
        kept += self._tables(rows, borne, between)
        kept += self._links(rows, borne)
        new = pl.concat(kept)
        duplicates = rows.height - new.height
        if len(kept) > 1 and kept[1].height < new.height:
            new = new.sort("user", "row")
        if rows["session"].null_count() < rows.height:
            again = _copies(plain.filter(~fresh), "file")
            known = [_told(again, _copies(logged), [*CONTENT, "copy"])]
            known += [told] if told is not None else []
            known += [self._earlier.sessions(rows["user"])] if self._earlier is not None else []
            new = self._with_sessions(new, pl.concat(known))
        late = pl.lit(False) if self._late_before is None else pl.col("occurred_at") < self._late_before
        new = new.with_columns(late.cast(pl.Int64).alias("late"))
        return Sifted(new.select(APPENDED), _linked(borne, new), duplicates)

    def _tables(
        self, rows: pl.DataFrame, borne: pl.DataFrame, between: tuple[int, int]
    ) -> list[pl.DataFrame]:
        """Rows of tables: those that tell something new of their user, and the first of users not known."""
        bearing, present = (rows.filter(pl.col("way") == way) for way in (TABLE, PRESENT))
        kept = []
        if bearing.height:
            own = borne.join(bearing.select("row"), on="row", how="semi")
            held = carried.attributes(self._s.store, between=between).select("seq", "user", "name", "value")
            same = deduplication.same_attributes(own, held)
            kept.append(bearing.filter(~pl.col("row").is_in(same.implode())))
        if present.height:
            known = log.users(self._s.store, between)
            kept.append(
                present.unique("user", keep="first", maintain_order=True).filter(
                    ~pl.col("user").is_in(known.implode())
                )
            )
        return kept

    def _links(self, rows: pl.DataFrame, borne: pl.DataFrame) -> list[pl.DataFrame]:
        """Aliases and their ends that nobody told before: a second telling says nothing new."""
        linking = rows.filter(pl.col("way").is_in([LINK, UNLINK]))
        if linking.is_empty():
            return []
        named = borne.select("row", pl.col("value").alias("other"))
        told = linking.join(named, on="row", how="left", maintain_order="left")
        keys = ["user", "other", "occurred_at", "joins"]
        told = told.with_columns((pl.col("way") == LINK).alias("joins"))
        first = told.select(pl.struct(keys).is_first_distinct()).to_series()
        known = told.select(keys).join(
            carried.links(self._s.store).select(*keys, pl.lit(True).alias("known")).unique(),
            on=keys,
            how="left",
            maintain_order="left",
        )["known"]
        return [linking.filter(first & known.is_null())]

    def _with_sessions(self, rows: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
        """Sessions as ordinals of their user: what rows that came again tell, else the next by first time."""
        keys = ["user", "session"]
        told = told.group_by(keys).agg(pl.col("ordinal").min())
        untold = rows.select(*keys, "occurred_at", "row").filter(pl.col("session").is_not_null())
        if told.height:
            untold = untold.join(told, on=keys, how="anti")
        first = (
            untold.sort("user", "occurred_at", "row")
            .unique(keys, keep="first", maintain_order=True)
            .select(*keys, pl.int_range(1, pl.len() + 1).over("user").cast(pl.Int64).alias("ordinal"))
        )
        last = self._last_sessions(rows["user"])
        if last.height:
            first = first.join(last, on="user", how="left").select(
                *keys, pl.col("ordinal") + pl.col("last").fill_null(0)
            )
        ordinals = pl.concat([told, first])
        if self._earlier is not None:
            self._earlier.remember(ordinals)
        numbered = rows.join(ordinals, on=keys, how="left", maintain_order="left")
        return numbered.with_columns(pl.col("ordinal").alias("session")).drop("ordinal")

    def _last_sessions(self, users: pl.Series) -> pl.DataFrame:
        """user, last: the greatest session ordinal of those of the users who were there before."""
        everything = [(1, self._s.store.last_seq("behaviour"))]
        found = [
            rows.group_by("user").agg(pl.col("session").max().alias("last"))
            for rows in self._behaviour(self._known(users), everything, ["user", "session"])
        ]
        none = pl.DataFrame(schema={"user": pl.Int64, "last": pl.Int64})
        return pl.concat([none, *found]).group_by("user").agg(pl.col("last").max())

    def _known(self, users: pl.Series) -> pl.Series:
        """Those who were there when the transaction began, once each."""
        return users.filter(users < self._newcomer).unique()

    def _logged_content(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The logged rows without an id of the same source, users and times: CONTENT and session, by seq."""
        columns = ["source_id", "session", *CONTENT]
        parts = [pl.DataFrame(schema={name: log.BEHAVIOUR[name] for name in columns})]
        known = rows.filter(pl.col("user") < self._newcomer)
        if known.height:
            since, until = known.select(pl.min("occurred_at"), pl.max("occurred_at").alias("last")).row(0)
            wanted = known.select("user", "occurred_at").unique()
            parts += [
                found.filter(pl.col("source_id").is_null())
                .join(wanted, on=["user", "occurred_at"], how="semi", maintain_order="left")
                .select(columns)
                for found in self._behaviour(
                    self._known(known["user"]), self._ranges, columns, since=since, before=until + 1
                )
            ]
        return pl.concat(parts)

    def _logged_ids(self, ids: pl.Series) -> pl.DataFrame:
        """The logged rows under these source ids, by seq: seq, source_id, session and CONTENT.

        An erased person's are left out: once that is lifted, what they did comes again, under a new number.
        """
        columns = ["seq", "source_id", "session", *CONTENT]
        parts = [pl.DataFrame(schema={name: log.BEHAVIOUR[name] for name in columns})]
        wanted = ids.to_frame("source_id")
        if self._earlier is not None:
            found = log.behaviour(self._s.store, seqs=self._earlier.seqs(ids), columns=columns)
            found = found.filter(~pl.col("user").is_in(self._erased))
            return found.join(wanted, on="source_id", how="semi", maintain_order="left")
        for start, end in _windows(self._ranges):
            seqs = log.behaviour(self._s.store, after_seq=start, position=end, columns=["seq", "source_id"])
            seqs = seqs.join(wanted, on="source_id", how="semi", maintain_order="left")
            if seqs.height:
                found = log.behaviour(self._s.store, after_seq=start, position=end, columns=columns)
                found = found.filter(~pl.col("user").is_in(self._erased))
                parts.append(found.join(seqs.select("seq"), on="seq", how="semi", maintain_order="left"))
        return pl.concat(parts)

    def _behaviour(
        self,
        users: pl.Series,
        ranges: list[tuple[int, int]],
        columns: list[str],
        *,
        since: int | None = None,
        before: int | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Logged rows of the users within the ranges of seqs, some at a time, by seq."""
        store, columns = self._s.store, ["seq", *columns]
        if not ranges or users.is_empty():
            return
        if users.len() <= FEW_USERS:
            found = log.behaviour(store, users=users.to_list(), since=since, before=before, columns=columns)
            yield found.filter(deduplication.within(found["seq"], ranges))
            return
        between = int(users.min()), int(users.max()) + 1  # type: ignore[arg-type]  # polars types min() loosely
        for start, end in _windows(ranges):
            found = log.behaviour(
                store,
                after_seq=start,
                position=end,
                since=since,
                before=before,
                between=between,
                columns=columns,
            )
            yield found.filter(deduplication.within(found["seq"], ranges))


def _windows(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Seqs (after, last) that together span the ranges, few enough each to be held."""
    if ranges:
        last = ranges[-1][1]
        for start in range(ranges[0][0] - 1, last, WINDOW_ROWS):
            yield start, min(start + WINDOW_ROWS, last)


def _copies(rows: pl.DataFrame, *groups: str) -> pl.DataFrame:
    """The rows, each with the number of its like before it."""
    return rows.with_columns(pl.int_range(pl.len()).over([*CONTENT, *groups]).alias("copy"))


def _told(again: pl.DataFrame, logged: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """SESSIONS: the ordinals that rows which came again have in the log."""
    named, known = (frame.filter(pl.col("session").is_not_null()) for frame in (again, logged))
    held = known.select(*keys, pl.col("session").alias("ordinal"))
    return (
        named.select("session", *keys)
        .join(held, on=keys, how="inner", nulls_equal=True)
        .select(*SESSIONS)
        .unique()
    )


def _linked(borne: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """row (index into the new rows), name and value of what they carry."""
    place = new.select("row", pl.int_range(pl.len(), dtype=pl.Int64).alias("index"))
    return borne.join(place, on="row", how="inner").select(pl.col("index").alias("row"), "name", "value")
