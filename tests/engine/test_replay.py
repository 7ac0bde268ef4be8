"""Frames against a naive fold, change by change."""

import hashlib
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.replay import CHANGES, frames

VALUE, LAPSING = 7, 3
HIGH, MEDIUM, LOW, IN, OUT = 20, 11, 15, 12, 13
NAMES = {VALUE: "value", LAPSING: "lapsing", HIGH: "high", MEDIUM: "medium", LOW: "low", IN: "in", OUT: "out"}
LABELS = {VALUE: (HIGH, MEDIUM, LOW), LAPSING: (IN, OUT)}
SCHEMA = {
    name: pl.Boolean if name in ("backfilled", "hindsight") else pl.String if name == "cause" else pl.Int64
    for name in CHANGES
}
HELD = {"segmentation": pl.Int64, "user": pl.Int64, "label": pl.Int64}


def changes_of(rows):
    filled = [{"cause": "clock", "backfilled": False, "hindsight": False} | row for row in rows]
    return pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in filled], schema=SCHEMA)


def moves(*rows, segmentation=VALUE):
    """Rows of (as_of, user, from, to), seq in their order."""
    return changes_of(
        [
            {"seq": 100 + at, "segmentation": segmentation, "as_of": row[0], "user": row[1]}
            | {"from_label": row[2], "to_label": row[3]}
            for at, row in enumerate(rows)
        ]
    )


def held(*rows, segmentation=VALUE):
    return pl.DataFrame([(segmentation, *row) for row in rows], schema=HELD, orient="row")


class Digest:
    """Some sum over memberships; which one is the store's business."""

    def each(self, segmentation, label, users):
        told = [hashlib.sha256(repr((segmentation, label, user)).encode()) for user in users.tolist()]
        return np.frombuffer(b"".join(each.digest() for each in told), np.uint64).reshape(-1, 4)

    def told(self, total):
        return total.tobytes().hex()


def digest_of(states):
    rows = [Digest().each(s, label, users) for s, each in states.items() for label, users in each.items()]
    return Digest().told(np.concatenate([np.zeros((0, 4), np.uint64), *rows]).sum(axis=0, dtype=np.uint64))


def words(number):
    return None if number is None else NAMES[number]


@st.composite
def histories(draw):
    """A start and consistent changes after it, several per user and tick, both segmentations, with
    departures."""
    state = {}
    for segmentation, labels in LABELS.items():
        for user in draw(st.sets(st.integers(1, 5))):
            state[segmentation, user] = draw(st.sampled_from(labels))
    start = [(segmentation, user, label) for (segmentation, user), label in state.items()]
    rows = []
    steps = st.tuples(
        st.integers(1, 6), st.integers(1, 6), st.sampled_from([VALUE, LAPSING]), st.integers(0, 9)
    )
    for tick, user, segmentation, choice in sorted(
        draw(st.lists(steps, max_size=40)), key=lambda step: step[0]
    ):
        left = state.get((segmentation, user))
        options = [label for label in (*LABELS[segmentation], None) if label != left]
        came = options[choice % len(options)]
        state[segmentation, user] = came
        rows.append(
            {"seq": 50 + 2 * len(rows), "segmentation": segmentation, "user": user, "as_of": tick * 10}
            | {"from_label": left, "to_label": came, "probability": choice, "backfilled": choice % 2 == 0}
            | {"cause": ("clock", "event", "model")[choice % 3], "hindsight": choice % 5 == 0}
        )
    return pl.DataFrame(start, schema=HELD, orient="row"), rows


@given(histories())
def test_every_frame_is_what_a_naive_fold_gives(history):
    start, rows = history
    ticks = [10, 20, 30, 40, 50, 60]
    state = {(segmentation, user): label for segmentation, user, label in start.iter_rows()}
    position = 1
    told = list(
        frames(changes_of(rows), ticks, start, names=NAMES, events={20: 5}, position=1, digest=Digest())
    )
    assert [frame.as_of for frame in told] == ticks
    for frame in told:
        before = dict(state)
        inside = [row for row in rows if frame.as_of - 10 < row["as_of"] <= frame.as_of]
        last = {}
        for row in inside:
            state[row["segmentation"], row["user"]] = row["to_label"]
            last[row["segmentation"], row["user"]] = row
            position = max(position, row["seq"])
        net = {key: row for key, row in last.items() if before.get(key) != state[key]}
        # What is told of each net move.
        expected = [
            {**row, "from_label": before.get(key)}
            for key, row in sorted(net.items(), key=lambda item: (NAMES[item[0][0]], item[0][1]))
        ]
        assert frame.changes.select(expected[0].keys() if expected else []).to_dicts() == expected
        flows = Counter(
            (NAMES[key[0]], words(before.get(key)), words(row["to_label"])) for key, row in net.items()
        )
        assert {(s, left, came): n for s, left, came, n in frame.flows} == flows
        assert frame.by_cause == dict(sorted(Counter(row["cause"] for row in net.values()).items()))
        assert frame.backfilled == any(row["backfilled"] for row in net.values())
        assert frame.hindsight == any(row["hindsight"] for row in net.values())
        sizes = Counter((NAMES[s], NAMES[label]) for (s, _), label in state.items() if label is not None)
        flat = {(s, label): n for s, labels in frame.sizes.items() for label, n in labels.items() if n}
        assert flat == sizes
        assert frame.position == position
        assert frame.events == (5 if frame.as_of == 20 else 0)
        states = {}
        for (segmentation, user), label in state.items():
            if label is not None:
                states.setdefault(NAMES[segmentation], {}).setdefault(NAMES[label], []).append(user)
        assert frame.state_digest == digest_of(
            {s: {label: np.array(users) for label, users in each.items()} for s, each in states.items()}
        )


@given(histories(), st.integers(0, 6))
def test_a_replay_from_any_tick_goes_on_with_the_same_frames(history, cut):
    start, rows = history
    ticks = [10, 20, 30, 40, 50, 60]
    whole = list(frames(changes_of(rows), ticks, start, names=NAMES, digest=Digest()))
    state = {(segmentation, user): label for segmentation, user, label in start.iter_rows()}
    for row in rows:
        if row["as_of"] <= cut * 10:
            state[row["segmentation"], row["user"]] = row["to_label"]
    later = pl.DataFrame([(*key, label) for key, label in state.items() if label], schema=HELD, orient="row")
    rest = changes_of([row for row in rows if row["as_of"] > cut * 10])
    again = frames(rest, ticks[cut:], later, names=NAMES, digest=Digest())
    for frame, other in zip(whole[cut:], again, strict=True):
        assert frame.frame_digest == other.frame_digest
        assert frame.state_digest == other.state_digest
        assert frame.flows == other.flows


@given(histories())
def test_digests_do_not_depend_on_vocabulary_numbers(history):
    start, rows = history
    other = {number: 100 - number for number in NAMES}
    names = {other[number]: word for number, word in NAMES.items()}

    def renumbered(row):
        labels = {n: other.get(row[n]) for n in ("segmentation", "from_label", "to_label")}
        return row | labels

    moved = pl.DataFrame(
        [(other[s], user, other[label]) for s, user, label in start.iter_rows()], schema=HELD, orient="row"
    )
    ticks = [20, 40, 60]
    first = frames(changes_of(rows), ticks, start, names=NAMES, digest=Digest())
    second = frames(changes_of([renumbered(row) for row in rows]), ticks, moved, names=names, digest=Digest())
    for frame, same in zip(first, second, strict=True):
        assert (frame.frame_digest, frame.state_digest) == (same.frame_digest, same.state_digest)
        assert (frame.sizes, frame.flows) == (same.sizes, same.flows)


def digests(changes, start=None, ticks=(10,)):
    return [frame.frame_digest for frame in frames(changes, ticks, start, names=NAMES)]


def test_a_frames_digest_tells_who_moved_whence_and_whither():
    plain = digests(moves((10, 1, HIGH, LOW), (10, 2, LOW, HIGH)))
    different = [
        digests(moves((10, 1, HIGH, LOW), (10, 3, LOW, HIGH))),
        digests(moves((10, 2, HIGH, LOW), (10, 1, LOW, HIGH))),
        digests(moves((10, 1, HIGH, LOW), (10, 2, MEDIUM, HIGH))),
        digests(moves((10, 1, HIGH, LOW), (10, 2, LOW, MEDIUM))),
        digests(moves((10, 1, HIGH, LOW), (10, 2, LOW, None))),
        digests(moves((10, 1, HIGH, LOW))),
        digests(moves((10, 1, HIGH, LOW), (10, 2, LOW, HIGH), segmentation=LAPSING)),
        digests(moves((11, 1, HIGH, LOW), (11, 2, LOW, HIGH)), ticks=(11,)),
    ]
    assert len({plain[0], *(each[0] for each in different)}) == 1 + len(different)


def test_a_frames_digest_depends_on_neither_order_nor_detours_within_the_tick():
    plain = digests(moves((10, 1, HIGH, LOW), (10, 2, LOW, HIGH)))
    assert digests(moves((10, 2, LOW, HIGH), (10, 1, HIGH, LOW))) == plain
    assert digests(moves((10, 2, LOW, HIGH), (10, 1, HIGH, MEDIUM), (10, 1, MEDIUM, LOW))) == plain
    assert digests(moves((4, 1, HIGH, LOW), (9, 2, LOW, HIGH))) == plain


def test_the_bytes_behind_a_frames_digest_are_these():
    """Printed, compared and kept by scripts: they must not change unnoticed."""

    def text(word):
        return len(word).to_bytes(4, "little") + word.encode()

    def number(value):
        return value.to_bytes(8, "little")

    told = number(10) + text("value") + b"\xff" * 4 + text("low") + number(2) + number(4) + number(300)
    told += text("value") + text("high") + text("low") + number(1) + number(2)
    changes = moves((10, 300, None, LOW), (10, 2, HIGH, LOW), (10, 4, None, LOW))
    assert digests(changes) == [hashlib.sha256(told).hexdigest()]


def test_who_moves_and_moves_back_within_a_tick_did_not_move():
    start = held((1, HIGH))
    changes = moves((3, 1, HIGH, LOW), (9, 1, LOW, HIGH))
    [frame] = frames(changes, [10], start, names=NAMES)
    assert frame.changes.is_empty()
    assert frame.flows == []
    assert frame.sizes == {"value": {"high": 1, "low": 0}}
    assert frame.position == 101
    assert [each.changes.height for each in frames(changes, [5, 10], start, names=NAMES)] == [1, 1]


def test_the_cause_of_several_moves_is_that_of_the_last():
    changes = moves((3, 1, HIGH, LOW), (9, 1, LOW, MEDIUM)).with_columns(cause=pl.Series(["event", "clock"]))
    [frame] = frames(changes, [10], names=NAMES)
    assert frame.flows == [("value", "high", "medium", 1)]
    assert frame.by_cause == {"clock": 1}


def test_what_comes_after_the_last_tick_is_left_out():
    changes = moves((10, 1, None, LOW), (11, 2, None, LOW))
    [frame] = frames(changes, [10], names=NAMES)
    assert frame.sizes == {"value": {"low": 1}}


def test_without_changes_a_frame_tells_the_start():
    for start in (held((1, HIGH), (2, HIGH)), None):
        [frame] = frames(changes_of([]), [10], start, names=NAMES, position=9)
        assert frame.sizes == ({"value": {"high": 2}} if start is not None else {})
        assert frame.position == 9
        assert frame.state_digest is None
        assert not frame.backfilled
    assert list(frames(changes_of([]), [], names=NAMES)) == []


def test_ticks_that_do_not_ascend_are_refused():
    with pytest.raises(EngineError, match="ascend"):
        list(frames(changes_of([]), [10, 10], names=NAMES))


def test_a_number_without_a_word_is_refused():
    with pytest.raises(EngineError, match="number 15 has no word"):
        list(frames(moves((10, 1, None, LOW)), [10], names={VALUE: "value"}))
