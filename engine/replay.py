"""Replay: recorded membership changes as frames, one per tick, with net moves, sizes and digests. No JAX."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import polars as pl

from engine.errors import EngineError

NONE = -1

CHANGES = (
    "seq", "segmentation", "user", "from_label", "to_label", "probability", "as_of", "cause", "cause_seq",
    "reason", "model", "backfilled", "hindsight",
)  # fmt: skip
"""What `frames` reads of a recorded change. Segmentations, labels, reasons and models are vocabulary
numbers."""


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """What one tick did.

    `changes` are net, columns as CHANGES, ordered by segmentation's name and user; what is told of a user
    who moved several times is the first label left and, for the rest, the last move. `sizes` are after the
    tick: labels by name, members. `flows` are [segmentation, from or None, to or None, users]. `backfilled`
    and `hindsight` say whether any of the changes is.
    """

    as_of: int
    position: int
    events: int
    changes: pl.DataFrame
    by_cause: dict[str, int]
    sizes: dict[str, dict[str, int]]
    flows: list[tuple[str, str | None, str | None, int]]
    frame_digest: str
    state_digest: str | None
    backfilled: bool
    hindsight: bool


State = dict[str, dict[str, np.ndarray]]
"""Users, ascending, by label by segmentation."""


class StateDigest(Protocol):
    """A digest of states that is a sum over memberships, so that a move changes it by what moved."""

    def each(self, segmentation: str, label: str, users: np.ndarray, /) -> np.ndarray:
        """uint64[n, lanes]: what each user adds by holding the label, modulo 2^64."""
        ...

    def told(self, total: np.ndarray, /) -> str:
        """The digest of a sum, uint64[lanes]."""
        ...


def frames(
    changes: pl.DataFrame,
    ticks: Sequence[int],
    start: pl.DataFrame | None = None,
    *,
    names: Mapping[int, str],
    events: Mapping[int, int] | None = None,
    position: int = 0,
    digest: StateDigest | None = None,
    watch: Callable[[State], None] | None = None,
) -> Iterator[Frame]:
    """One frame per tick end in `ticks`, ascending.

    `changes` are the governing ones after the start and up to the last tick, sorted by as_of and seq.
    `start` has segmentation, user, label: who held what before. `names` are the words of segmentations and
    labels. `events` counts events by tick end. A frame's position is the newest seq among the changes so
    far, `position` before any. `digest` makes the state digests, without which frames have none. `watch` is
    told the state after each frame, before that is given. Costs under a microsecond per change, and as much
    again for state digests; to tell states costs besides, per frame, a pass over everyone.
    """
    ends = np.asarray(ticks, np.int64)
    if (np.diff(ends) <= 0).any():
        raise EngineError("The ticks to replay must ascend.")
    fold = _Fold(changes.filter(pl.col("as_of") <= (ticks[-1] if len(ticks) else 0)), ends, start, names)
    digests = [None] * len(ends) if digest is None else fold.digests(digest)
    for index, as_of in enumerate(ticks):
        net, flows = fold.step(index)
        if watch is not None:
            watch(fold.state())
        position = max(position, fold.position(index))
        yield Frame(
            as_of=as_of,
            position=position,
            events=(events or {}).get(as_of, 0),
            changes=net,
            by_cause=dict(sorted(net["cause"].value_counts().iter_rows())),
            sizes=fold.sizes(index),
            flows=[(segmentation, left, came, len(users)) for segmentation, left, came, users in flows],
            frame_digest=_frame_digest(as_of, flows),
            state_digest=digests[index],
            backfilled=bool(net["backfilled"].any()),
            hindsight=bool(net["hindsight"].any()),
        )


Flow = tuple[str, "str | None", "str | None", np.ndarray]


class _Fold:
    """The changes of a whole range, collapsed at once; then the memberships, frame by frame."""

    def __init__(
        self, changes: pl.DataFrame, ends: np.ndarray, start: pl.DataFrame | None, names: Mapping[int, str]
    ) -> None:
        held = (
            start
            if start is not None
            else pl.DataFrame(schema=dict.fromkeys(("segmentation", "user", "label"), pl.Int64))
        )
        self.segmentations = _Words([changes["segmentation"], held["segmentation"]], names)
        self.labels = _Words([changes["from_label"], changes["to_label"], held["label"]], names)
        self.users = pl.concat([changes["user"], held["user"]]).unique().sort().to_numpy()
        self.ends = ends
        index = np.searchsorted(ends, changes["as_of"].to_numpy())
        # Frames of changes not yet collapsed, since also a move undone within its tick advances the position.
        self.newest = np.zeros(len(ends), np.int64)
        np.maximum.at(self.newest, index, changes["seq"].to_numpy())
        self._collapse(changes, index)
        self.held = np.full((len(self.segmentations.names), len(self.users)), NONE, np.int32)
        if held.height:
            where = np.searchsorted(self.users, held["user"].to_numpy())
            self.held[self.segmentations.codes(held["segmentation"]), where] = self.labels.codes(
                held["label"]
            )
        self._sizes()

    def _collapse(self, changes: pl.DataFrame, index: np.ndarray) -> None:
        """Per frame, segmentation and user: the first label left, the last one come to; dropped where
        equal."""
        segmentation = self.segmentations.codes(changes["segmentation"])
        user = np.searchsorted(self.users, changes["user"].to_numpy())
        key = (index * len(self.segmentations.names) + segmentation) * len(self.users) + user
        order = np.argsort(key, kind="stable")
        first = np.flatnonzero(np.diff(key[order], prepend=-1))
        last = np.append(first[1:], len(order))[: len(first)] - 1
        left = self.labels.codes(changes["from_label"])[order[first]]
        came = self.labels.codes(changes["to_label"])[order[last]]
        moved = left != came
        first, last = order[first[moved]], order[last[moved]]
        self.net = changes[last].with_columns(from_label=changes["from_label"][first])
        self.left, self.came = left[moved], came[moved]
        self.segmentation, self.user = segmentation[last], user[last]
        self.bounds = np.searchsorted(index[last], np.arange(len(self.ends) + 1))

    def _sizes(self) -> None:
        """Members by frame, segmentation and label: what was there, and what came less what left, summed
        up."""
        segmentations, labels = len(self.segmentations.names), len(self.labels.names)
        self.counts = np.zeros((len(self.ends), segmentations, labels), np.int64)
        frame = np.repeat(np.arange(len(self.ends)), np.diff(self.bounds))
        for codes, sign in ((self.left, -1), (self.came, 1)):
            known = codes != NONE
            np.add.at(self.counts, (frame[known], self.segmentation[known], codes[known]), sign)
        self.counts = self.counts.cumsum(axis=0)
        for segmentation in range(segmentations):
            held = self.held[segmentation]
            self.counts[:, segmentation] += np.bincount(held[held != NONE], minlength=labels)

    def digests(self, digest: StateDigest) -> list[str]:
        """The state digest after each frame; to be asked for before the first step."""
        none = digest.each("", "", np.zeros(0, np.int64))
        total = none.sum(axis=0, dtype=np.uint64)
        for segmentation, labels in self.state().items():
            for label, users in labels.items():
                total += digest.each(segmentation, label, users).sum(axis=0, dtype=np.uint64)
        moved = np.zeros((len(self.user) + 1, none.shape[1]), np.uint64)
        users = self.users[self.user]
        for code, segmentation in enumerate(self.segmentations.names):
            for held, label in enumerate(self.labels.names):
                for codes, put in ((self.came, np.add), (self.left, np.subtract)):
                    at = np.flatnonzero((self.segmentation == code) & (codes == held))
                    moved[at + 1] = put(moved[at + 1], digest.each(segmentation, label, users[at]))
        totals = total + moved.cumsum(axis=0, dtype=np.uint64)[self.bounds[1:]]
        return [digest.told(each) for each in totals]

    def step(self, index: int) -> tuple[pl.DataFrame, list[Flow]]:
        """Apply frame `index`, which must come in turn: its net changes and its flows."""
        rows = slice(self.bounds[index], self.bounds[index + 1])
        left, came, segmentation, user = (
            self.left[rows],
            self.came[rows],
            self.segmentation[rows],
            self.user[rows],
        )
        self.held[segmentation, user] = came
        width = len(self.labels.names) + 1
        key = (segmentation * width + left + 1) * width + came + 1
        flows: list[Flow] = []
        for each in np.unique(key).tolist():
            code, way = divmod(each, width * width)
            start, end = divmod(way, width)
            users = self.users[user[key == each]]
            flows.append(
                (
                    self.segmentations.names[code],
                    self.labels.name(start - 1),
                    self.labels.name(end - 1),
                    users,
                )
            )
        return self.net[rows.start : rows.stop], flows

    def position(self, index: int) -> int:
        return int(self.newest[index])

    def sizes(self, index: int) -> dict[str, dict[str, int]]:
        return {
            name: dict(zip(self.labels.names, row, strict=True))
            for name, row in zip(self.segmentations.names, self.counts[index].tolist(), strict=True)
        }

    def state(self) -> State:
        return {
            name: {label: self.users[self.held[code] == each] for each, label in enumerate(self.labels.names)}
            for code, name in enumerate(self.segmentations.names)
        }


class _Words:
    """Vocabulary numbers as codes 0, 1, … in the order of their words; NONE for null."""

    def __init__(self, columns: Sequence[pl.Series], names: Mapping[int, str]) -> None:
        numbers = np.unique(np.concatenate([c.drop_nulls().to_numpy() for c in columns])).tolist()
        unnamed = [number for number in numbers if number not in names]
        if unnamed:
            raise EngineError(
                f"Vocabulary number {unnamed[0]} has no word: changes and names do not belong together."
            )
        ordered = sorted(numbers, key=lambda number: names[number])
        self.names = [names[number] for number in ordered]
        self._known = np.array(sorted(numbers), np.int64)
        self._codes = np.argsort(np.array([self._known.searchsorted(n) for n in ordered], np.int64)).astype(
            np.int32
        )

    def codes(self, column: pl.Series) -> np.ndarray:
        null = column.is_null().to_numpy()
        if not len(self._known):
            return np.full(len(column), NONE, np.int32)
        at = np.searchsorted(self._known, column.fill_null(self._known[0]).to_numpy())
        return np.where(null, NONE, self._codes[at]).astype(np.int32)

    def name(self, code: int) -> str | None:
        return None if code == NONE else self.names[code]


def _frame_digest(as_of: int, flows: Sequence[Flow]) -> str:
    """SHA-256 in hex over the as-of and, by names, every flow's users. Labels only, as in the state
    digest."""
    digest = hashlib.sha256(as_of.to_bytes(8, "little", signed=True))
    for segmentation, left, came, users in flows:
        for name in (segmentation, left, came):
            digest.update(_text(name))
        digest.update(_users(users))
    return digest.hexdigest()


def _text(name: str | None) -> bytes:
    if name is None:
        return b"\xff\xff\xff\xff"
    encoded = name.encode()
    return len(encoded).to_bytes(4, "little") + encoded


def _users(users: np.ndarray) -> bytes:
    return len(users).to_bytes(8, "little") + np.sort(users).astype("<i8").tobytes()
