"""One thread's hold on one store: its settings, its clock, and the frames the engine reads."""

from __future__ import annotations

import getpass
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from db import carried, forgetting, log, projections, vocabulary
from db.identities import NUMBERED
from db.store import Store
from engine.exact import quotient
from engine.ticks import Ticks
from segtui.operations.errors import OperationError
from segtui.operations.persons import NOBODY, Persons
from segtui.operations.times import iso, microseconds, parse_time

MOST_HELD = 2_000_000
"""So many events are held rather than read again: they take 250 MB."""


@dataclass(frozen=True)
class Settings:
    """What the store decided once: zone, tick, and (from the first import on) currency and clock."""

    timezone: str
    tick: str
    currency: str | None
    clock: str | None


def actor() -> str:
    """Who acts: SEGTUI_ACTOR, else the user of the operating system."""
    told = os.environ.get("SEGTUI_ACTOR")
    if told:
        return told
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user often has no name.
        return f"uid-{os.getuid()}"


def numbered(text: str) -> int | None:
    """The surrogate that `#12` names; None for every other text."""
    return int(text[1:]) if re.fullmatch(NUMBERED, text) else None


def is_text(text: str) -> bool:
    """Whether an argument was UTF-8: what was not is nobody's id, and cannot be looked up."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Session:
    """Everything an operation needs to know about a store. Not shared between threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.undoing: int | None = None
        """The seq of the decision that the next edits take back."""
        self._held: tuple[int, pl.DataFrame] | None = None
        self._holds = False

    @property
    def settings(self) -> Settings:
        """The settings as the newest decisions leave them."""
        values: dict[str, Any] = {}
        for decision in log.decisions(self.store, kinds=("store_created", "setting_changed")):
            if decision.kind == "store_created":
                values |= decision.body
            else:
                values[decision.body["name"]] = decision.body["value"]
        if "timezone" not in values:
            raise OperationError(f"{self.store.path} has no settings: create stores with 'segtui init'.")
        return Settings(values["timezone"], values["tick"], values.get("currency"), values.get("clock"))

    @cached_property
    def ticks(self) -> Ticks:
        """The store's ticks; zone and length never change after creation."""
        settings = self.settings
        return Ticks(zone=settings.timezone, length=settings.tick)

    @property
    def actor(self) -> str:
        """Who acts."""
        return actor()

    def wall(self) -> int:
        """The wall clock in µs UTC; SEGTUI_NOW (µs) freezes it for tests and replays of a cron job."""
        frozen = os.environ.get("SEGTUI_NOW")
        return microseconds(frozen, "SEGTUI_NOW") if frozen else time.time_ns() // 1000

    def now(self) -> int | None:
        """Now under the store's clock, in µs UTC; None while a data clock has no event."""
        if self.settings.clock == "data":
            return log.summary(self.store).last
        return self.wall()

    def as_of(self) -> int | None:
        """The current as-of: the end of the tick that holds now."""
        now = self.now()
        return None if now is None else self.ticks.end_holding(now)

    def require_as_of(self) -> int:
        """The current as-of, or a sentence that says that there is nothing to look at."""
        as_of = self.as_of()
        if as_of is None or not log.summary(self.store).events:
            raise OperationError(
                f"{self.store.path} holds no events yet: import some with 'segtui import FILE'."
            )
        return as_of

    def data_end(self) -> int | None:
        """The end of the newest event's tick, under a wall clock at most the last closed tick."""
        last = log.summary(self.store).last
        if last is None:
            return None
        end = self.ticks.end_holding(last)
        if self.settings.clock == "data":
            return end
        return min(end, self.ticks.previous(self.ticks.end_holding(self.wall())))

    def instant(self, text: str) -> int:
        """The instant a person wrote, in µs UTC: see segtui.operations.times."""
        return parse_time(text, self.ticks, self.now(), self._last_rescore())

    def tick(self, text: str) -> int:
        """What a person wrote where a tick is meant, in µs UTC: `now` is the current as-of, and days back are
        counted from there."""
        if text.strip() == "now":
            return self.require_as_of()
        return parse_time(text, self.ticks, self.now(), self._last_rescore(), ending=True)

    def _last_rescore(self) -> int | None:
        scored = projections.rescores(self.store)
        return int(scored.sort("seq")["as_of"][-1]) if scored.height else None

    def tick_at(self, instant: int | None) -> int:
        """The as-of an operation looks at: the current one, or the first tick end at or after `instant`."""
        return self.require_as_of() if instant is None else self.ticks.at_or_after(instant)

    def iso(self, instant: int) -> str:
        """An instant as ISO 8601 in the store's zone."""
        return iso(instant, self.ticks.zone)

    def external(self, users: Sequence[int]) -> dict[int, str]:
        """External ids by surrogate; `#12` for those the vault cannot tell."""
        known = self.store.vault.external_ids(users)
        return {user: known.get(user, f"#{user}") for user in users}

    def named(self, texts: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
        """What ids and `#12`s lead to: surrogates by external id, and by number as it is written.

        A text may be in both, and then means two users unless it leads to the same. Without the key a `#12`
        is a number only, as nothing else is ever shown. Raises KeyMissing for ids.
        """
        numbers = {text: number for text in texts if (number := numbered(text)) is not None}
        vault = self.store.vault
        ids = [text for text in texts if is_text(text) and (text not in numbers or vault.available)]
        return (vault.known(ids) if ids else {}), numbers

    def _behind(self, texts: Sequence[str]) -> dict[str, int]:
        """The surrogates behind external ids or `#12`s, whether or not anybody has that number."""
        ids, numbers = self.named(texts)
        for text in ids.keys() & numbers.keys():
            if ids[text] != numbers[text]:
                raise OperationError(
                    f"{text!r} is read as a user's number, and is also another user's id in "
                    f"{self.store.path}: write #0{text[1:]} for the number, #0{ids[text]} for that id's user."
                )
        return numbers | ids

    def user(self, text: str) -> int:
        """The surrogate behind an external id or a `#12`."""
        text = text.strip()
        found = self._behind([text]).get(text)
        if found in forgetting.erased(self.store):
            raise OperationError(f"User {text} was erased: 'segtui changes --cause erasure' says when.")
        if found is None or not 0 < found < self.store.vault.next_user():
            raise OperationError(
                f"No user {text!r} in {self.store.path}: check the id, or use #NUMBER for a surrogate."
            )
        return found

    def vault_numbers(self, texts: Sequence[str]) -> dict[str, int]:
        """The surrogate behind each name that a result gave to a user: the id where the vault tells one."""
        ids, numbers = self.named(texts)
        return numbers | ids

    def surrogates(self, texts: Sequence[str]) -> dict[str, int]:
        """The surrogates behind external ids or `#12`s; those of no user are left out."""
        users = {row[0] for row in self.store.rows("SELECT DISTINCT user FROM behaviour")}
        users -= set(forgetting.erased(self.store))
        return {
            text: user
            for text, user in self._behind(texts).items()
            if numbered(text) is None or user in users
        }

    def events(
        self,
        *,
        position: int | None = None,
        before: int | None = None,
        users: Sequence[int] | None = None,
        after_seq: int = 0,
        corrections: bool = False,
    ) -> pl.DataFrame:
        """Behaviour as the engine reads it (engine.schema.EVENTS, plus `late`), sorted by seq.

        `corrections`: those too, which stand in a timeline and count for nothing else.
        """
        everything = (position, before, users, after_seq, corrections) == (None, None, None, 0, False)
        held = self._still_held() if everything else None
        if held is not None:
            return held
        # Before they are read: what is committed meanwhile is read the next time.
        head = self.store.head()
        columns = [name for name in log.BEHAVIOUR if name not in ("source_id", "currency")]
        rows = log.behaviour(
            self.store, position=position, after_seq=after_seq, before=before, users=users, columns=columns
        )
        frame = self._alive(rows)
        kinds = vocabulary.texts(self.store, "kind")
        hidden = [number for number, text in kinds.items() if text == vocabulary.CORRECTION]
        if hidden and not corrections:
            frame = frame.filter(~pl.col("kind").is_in(hidden))
        read = frame.with_columns(
            pl.col("kind").replace_strict(kinds, return_dtype=pl.String).cast(pl.Categorical)
        )
        if everything and self._holds and read.height <= MOST_HELD:
            self._held = head, read
        return read

    def attributes(self, *, position: int | None = None, users: Sequence[int] | None = None) -> pl.DataFrame:
        """Attributes as the engine reads them (engine.schema.ATTRIBUTES)."""
        raw = self._alive(carried.attributes(self.store, position=position, users=users))
        numbers = vocabulary.texts(self.store, "attribute:number")
        texts = vocabulary.texts(self.store, "attribute:text")
        values = vocabulary.texts(self.store, "attribute_value")
        is_number = pl.col("name").is_in(list(numbers))
        return raw.select(
            "seq",
            "user",
            "occurred_at",
            pl.col("name").replace_strict(numbers | texts, return_dtype=pl.String),
            pl.when(is_number).then(quotient(raw["value"], 1_000_000)).alias("number"),
            pl.when(~is_number)
            .then(pl.col("value").replace_strict(values, default=None, return_dtype=pl.String))
            .alias("text"),
        )

    def last_events(self, *, users: Sequence[int] | None = None) -> pl.DataFrame:
        """user, first, last (occurred_at), newest_seq of everyone who was not erased, by user.

        `users`: only these, found by index.
        """
        held = self._still_held() if users is None else None
        if held is not None:
            return log.seen_of(held)
        return self._alive(log.last_events(self.store, users=users)).sort("user")

    @contextmanager
    def holding_events(self) -> Iterator[None]:
        """All events are read once while the block lasts and nobody else commits; it appends none. Of a long
        log they are read again instead."""
        self._holds = True
        try:
            yield
        finally:
            self._holds, self._held = False, None

    def _still_held(self) -> pl.DataFrame | None:
        """All events, where they are held and nobody has committed since."""
        return self._held[1] if self._held is not None and self._held[0] == self.store.head() else None

    def _alive(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of those who were not erased: what an erased person did decides nothing any more."""
        gone = forgetting.erased(self.store)
        return rows.filter(~pl.col("user").is_in(gone)) if gone else rows

    def identity(self, *, position: int | None = None) -> Persons:
        """Which surrogates are one person, as the log told it at a position; erased persons are left out."""
        links = carried.links(self.store, position=position)
        if links.is_empty():
            return NOBODY
        gone = forgetting.erased(self.store)
        return Persons(links.filter(~pl.col("user").is_in(gone) & ~pl.col("other").is_in(gone)))

    def close(self) -> None:
        """Closes the store."""
        self.store.close()


@contextmanager
def open_session(path: Path) -> Iterator[Session]:
    """Opens the store at `path` for one thread; raises StoreError sentences."""
    session = Session(Store.open(Path(path)))
    try:
        yield session
    finally:
        session.close()
