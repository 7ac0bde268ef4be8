"""Everything the screens know, read in a worker thread: each call opens a session and asks the operations.

Loading this module takes longer than painting an empty page, so the threads load it, not the screens; an
operation that the first page does not need is loaded by the method that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from db import lookups, passes, vocabulary
from db.errors import StoreError
from db.store import Store
from engine.errors import EngineError
from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.operations.like import ids_of, like, parts
from segtui.operations.models import models
from segtui.operations.moment import shown_as_of
from segtui.operations.progress import Cancelled, Progress
from segtui.operations.segments import segments
from segtui.operations.session import Session, open_session
from segtui.operations.status import overview
from segtui.tui.member_reads import MemberReads
from segtui.tui.questions import Filter, Moves
from segtui.tui.widgets.rule_input import Names
from segtui.tui.writes import Writes

if TYPE_CHECKING:
    from segtui.operations.rule_size import Draft
    from segtui.operations.trials import Trial

BY_EVENT = ("event", "late_event")
NAMED = ("kind", "order", "item", "category")


def told_errors() -> tuple[type[Exception], ...]:
    """What may go wrong in an operation, each told in one sentence."""
    from segtui.sources.errors import SourceError

    return (StoreError, OperationError, EngineError, SourceError, OSError)


class Data(MemberReads, Writes):
    """The store at `path`, as the screens ask for it. Instants are µs UTC, None is the newest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._draft: Draft | None = None

    def watch(
        self, begun: Callable[[int], object], changed: Callable[[], object], wait: Callable[[], bool]
    ) -> None:
        """Calls `begun` with the log's position when it begins, and `changed` whenever another connection has
        committed since; `wait` pauses, and ends it by False."""
        with Store.open(self.path) as store:
            seen = store.data_version()
            begun(store.head())
            while wait():
                version = store.data_version()
                if version != seen:
                    seen = version
                    changed()

    def status(self) -> dict[str, Any]:
        """What is in the store, and how fresh it is."""
        with open_session(self.path) as s:
            return overview(s)

    def quality(self, number: int | None) -> dict[str, Any]:
        """What an import met, None for the newest."""
        from segtui.operations.quality import quality

        with open_session(self.path) as s:
            return quality(s, number)

    def decisions(self) -> list[dict[str, Any]]:
        """Every decision of the log, newest first."""
        from segtui.operations.log import log

        with open_session(self.path) as s:
            return list(log(s))[::-1]

    def lists(self) -> list[str]:
        """The names of the segments that are lists."""
        from segtui.operations.definitions import definitions

        with open_session(self.path) as s:
            return [name for name, each in definitions(s).segmentations.items() if each.kind == "list"]

    def names(self) -> Names:
        """What a rule may name: features with their meaning, segments, and labels."""
        from segtui.operations.definitions import definitions
        from segtui.operations.features import features

        with open_session(self.path) as s:
            found, currency = features(s)["features"], s.settings.currency
            money = {each["name"] for each in found if each["unit"] == "minor units"}
            known = [(each["name"], _meaning(each, currency)) for each in found]
            labels = {name: each.labels for name, each in definitions(s).segmentations.items() if each.labels}
        held = [(name, f"a segment: {', '.join(own)}") for name, own in labels.items()]
        return Names([*held, *known], labels, money)

    def refuse_name(self, name: str) -> None:
        """Refuses what a new segment cannot be called."""
        from segtui.operations.definitions import definitions
        from segtui.operations.segment import refuse_name

        with open_session(self.path) as s:
            refuse_name(s, definitions(s), name)

    def rule_size(self, name: str, where: str) -> dict[str, Any]:
        """Whom a rule that is being written would hold."""
        from segtui.operations.rule_size import Draft

        with open_session(self.path) as s:
            if self._draft is None or self._draft.head != s.store.head():
                self._draft = Draft(s)
            return self._draft.size(s, name, where)

    def transitions(self, segmentation: str, days: int, at: int | None) -> dict[str, Any]:
        """The matrix between the as-of and as many days before it."""
        from segtui.operations.transitions import transitions

        with open_session(self.path) as s:
            start, end = self._span(s, days, at)
            return transitions(s, start, end, segmentation=segmentation)

    def moved(
        self,
        segmentation: str,
        days: int,
        at: int | None,
        left: str | None,
        came: str | None,
        offset: int,
        limit: int,
    ) -> dict[str, Any]:
        """One page of the users of a cell of that matrix."""
        from segtui.operations.transitions import moved

        with open_session(self.path) as s:
            start, end = self._span(s, days, at)
            return moved(s, start, end, left, came, segmentation=segmentation, offset=offset, limit=limit)

    @staticmethod
    def _span(s: Session, days: int, at: int | None) -> tuple[int, int]:
        end = shown_as_of(s, at) or s.require_as_of()
        return s.ticks.days_before(end, days), end

    def overlap(self, at: int | None) -> dict[str, Any]:
        """What segments share."""
        from segtui.operations.overlap import overlap

        with open_session(self.path) as s:
            return overlap(s, at=at)

    def quarantined(self, number: int) -> dict[str, Any]:
        """The first rows that an import refused."""
        from segtui.operations.refused import refused

        with open_session(self.path) as s:
            return refused(s, number)

    def check(self) -> dict[str, Any]:
        """Whether the store is in good health; nothing is recorded."""
        from segtui.operations.check import check

        with open_session(self.path) as s:
            return check(s, record=False)

    def models(self) -> dict[str, Any]:
        """Every trained model."""
        with open_session(self.path) as s:
            return models(s)

    def evaluate(self, model: str) -> dict[str, Any]:
        """How good a model is on a later window."""
        from segtui.operations.evaluate import evaluate

        with open_session(self.path) as s:
            return evaluate(s, model=model)

    def compare(self, one: str, other: str) -> dict[str, Any]:
        """Two models on a window new to both."""
        from segtui.operations.evaluate import compare

        with open_session(self.path) as s:
            return compare(s, one, other)

    def tick_at(self, text: str) -> int | None:
        """The as-of that a person's text names, None for the present; refuses what is out of the record."""
        with open_session(self.path) as s:
            at, last = s.tick_at(s.tick(text)), s.require_as_of()
            known = passes.rescores(s.store)["as_of"].to_list()
            first = min(known, default=last)
            if first <= at <= last:
                return None if at == last else at
            what = "is yet to come" if at > last else "is before all that is recorded"
            there = " to ".join(f"{s.iso(end):.10}" for end in (first, last))
            raise OperationError(f"{text} {what}: there is {there}, and now.")

    def moment(self, text: str) -> str:
        """The tick end at or after the time that a person's text names, as ISO 8601."""
        with open_session(self.path) as s:
            return s.iso(s.ticks.at_or_after(s.tick(text)))

    def segments(self, at: int | None) -> dict[str, Any]:
        """Sizes of every segment; each segmentation with the horizon of its model; and the models' names."""
        with open_session(self.path) as s:
            found = segments(s, at=at)
            trained = models(s)["models"]
            found["models"] = [each["name"] for each in trained]
            horizons = {each["model"]: each.get("horizon") for each in trained}
            for each in found["segmentations"]:
                each["horizon"] = horizons.get(each["model"])
            return found

    def user(self, user: str, at: int | None, history: int) -> dict[str, Any]:
        """One user, with the probabilities of the last `history` ticks."""
        from segtui.operations.user import user as one_user

        with open_session(self.path) as s:
            return one_user(s, user, at=at, history=history)

    def moves(self, wanted: Filter, at: int | None) -> Moves:
        """The changes a filter keeps, up to the as-of."""
        with open_session(self.path) as s:
            to = shown_as_of(s, at) or s.require_as_of()
            from_ = None if wanted.days is None else s.ticks.days_before(to, wanted.days)
            return _moves(s, wanted, from_, to)

    def segment_moves(self, segment: str, days: int, at: int | None) -> Moves:
        """The moves in and out of a segment in the last days, first labels counted beside them; following a
        label to a new name is none."""
        from segtui.operations import renames

        with open_session(self.path) as s:
            to = shown_as_of(s, at) or s.require_as_of()
            from_ = s.ticks.days_before(to, days)
            frame = renames.moves(s, segment, from_=from_, to=to, first=True)
            moved = frame.filter(pl.col("from_label").is_not_null())
            found = _counted(s, moved, Filter(segment=segment, days=days), from_, to)
            return replace(found, first=frame.height - moved.height)

    def why(self, wanted: Filter, at: int | None) -> dict[str, Any]:
        """Why the size of a filter's segment moved in its days."""
        from segtui.operations.why import why

        with open_session(self.path) as s:
            to = shown_as_of(s, at) or s.require_as_of()
            from_ = None if wanted.days is None else s.ticks.days_before(to, wanted.days)
            return why(s, wanted.segment or "", from_=from_, to=to)

    def tick_moves(self, as_of: int) -> Moves:
        """The changes of the one tick that ends at `as_of`, first assignments too."""
        with open_session(self.path) as s:
            return _moves(s, Filter(first=True), s.ticks.previous(as_of), as_of)

    def moves_page(self, moves: Moves, offset: int, limit: int) -> list[dict[str, Any]]:
        """Some of the changes in words, newest first."""
        from segtui.operations.changes import worded

        with open_session(self.path) as s:
            return worded(s, moves.frame.slice(offset, limit))

    def cause_event(self, change: dict[str, Any]) -> dict[str, Any] | None:
        """The behaviour event that caused a change, with texts for numbers; None for other causes."""
        if change["cause"] not in BY_EVENT or change["cause_seq"] is None:
            return None
        with open_session(self.path) as s:
            row = lookups.event(s.store, change["cause_seq"])
            if row is None:
                return None
            texts = lookups.texts_of(s.store, [row[name] for name in NAMED if row[name] is not None])
            named: dict[str, Any] = {name: texts.get(row[name]) for name in NAMED}
            rating = None if row["rating"] is None else row["rating"] / 100
            return row | named | {"occurred_at": s.iso(row["occurred_at"]), "rating": rating}

    def replay(self, cancelled: Cancelled) -> Iterator[dict[str, Any]]:
        """Every recorded frame, oldest first."""
        from segtui.operations.replay import replay

        with open_session(self.path) as s:
            for frame in replay(s):
                if cancelled():
                    return
                yield frame

    def trial(self, text: str) -> Trial:
        """What is to be tried over the past, as it was typed."""
        from segtui.operations.trials import parse_trial

        with open_session(self.path) as s:
            return parse_trial(s, text)

    def what_if(
        self, trial: Trial, first: int, named: int, progress: Progress, cancelled: Cancelled
    ) -> dict[str, Any]:
        """The ticks from `first` on, the last 90 at most, decided again; and the position they are of."""
        from segtui.operations.what_if import DEFAULT_TICKS, what_if

        with open_session(self.path) as s:
            position = s.store.head()
            start = max(s.ticks.previous(first), s.ticks.shift(s.require_as_of(), -DEFAULT_TICKS))
            how: dict[str, Any] = {"model": trial.model, "define": trial.define, "decide": trial.decide}
            frames = what_if(s, from_=start, **how, named=named, progress=progress, cancelled=cancelled)
            return {"position": position, "frames": list(frames)}


def _meaning(feature: dict[str, Any], currency: str | None) -> str:
    """What a feature means, and in which unit where that is a part of the currency."""
    if feature["unit"] != "minor units":
        return str(feature["meaning"])
    return f"in {numbers.money(1, currency)}: {feature['meaning']}"


def _moves(s: Session, wanted: Filter, from_: int | None, to: int) -> Moves:
    from segtui.operations.changes import change_frame

    frame = change_frame(
        s,
        from_=from_,
        to=to,
        segment=wanted.segment,
        cause=wanted.cause,
        first=wanted.first,
        user=wanted.user,
    )
    if wanted.part:
        frame = frame.filter(_named(s, frame, wanted.part))
    return _counted(s, frame, wanted, from_, to)


def _counted(s: Session, frame: pl.DataFrame, wanted: Filter, from_: int | None, to: int) -> Moves:
    """The changes of a filter, oldest first, with how many went which way; only those of its own way."""
    from segtui.operations.changes import label_codes, totals
    from segtui.operations.definitions import definitions

    name = (wanted.segment or "").partition("=")[0]
    own = [] if wanted.label is None else label_codes(s, definitions(s).ever(name), wanted.label)
    into, out = (frame[side].is_in(own).fill_null(value=False) for side in ("to_label", "from_label"))
    if wanted.way is not None:
        frame = frame.filter(out if wanted.way == "out" else into)
    return Moves(
        frame.reverse(),
        None if from_ is None else s.iso(from_),
        s.iso(to),
        int(into.sum()),
        int(out.sum()),
        _flows(s, frame),
        totals(s, frame),
    )


def _named(s: Session, frame: pl.DataFrame, text: str) -> pl.Series:
    """Which changes have the part in the user's id, or in a label; with ! in neither."""
    part, absent = parts(text)
    users = frame["user"].unique()
    known = users.filter(like(ids_of(s, users), part))
    labels = [code for code, name in vocabulary.texts(s.store, "label").items() if part in name.lower()]
    found = frame.select(
        pl.col("user").is_in(known.implode())
        | pl.col("from_label").is_in(labels).fill_null(value=False)
        | pl.col("to_label").is_in(labels).fill_null(value=False)
    ).to_series()
    return ~found if absent else found


def _flows(s: Session, frame: pl.DataFrame) -> list[tuple[str, str | None, str | None, int]]:
    """Segmentation, from, to and number of changes, most frequent first, equal ones by age of the labels."""
    names, of = vocabulary.texts(s.store, "label"), vocabulary.texts(s.store, "segmentation")
    keys = ["segmentation", "from_label", "to_label"]
    counted = frame.group_by(keys).len().sort("len", *keys, descending=[True, False, False, False])
    return [
        (of[number], names.get(left), names.get(to), users) for number, left, to, users in counted.iter_rows()
    ]
