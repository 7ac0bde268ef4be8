"""Idempotence on frames: multiplicities without ids, verdicts with ids, attributes."""

from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from segtui.operations.deduplication import (
    CONTENT,
    compare_by_id,
    compensations,
    new_copies,
    same_attributes,
    within,
)

SCHEMA = dict.fromkeys(CONTENT, pl.Int64)

contents = st.tuples(st.integers(1, 3), st.integers(0, 2), st.sampled_from([None, 100, 250]))
files = st.lists(st.lists(contents, max_size=8), min_size=1, max_size=3)


def rows(values, **extra):
    """CONTENT rows from (user, occurred_at, amount), the other columns null but kind."""
    data = {name: [None] * len(values) for name in CONTENT}
    data["user"] = [value[0] for value in values]
    data["occurred_at"] = [value[1] for value in values]
    data["kind"] = [1] * len(values)
    data["amount"] = [value[2] for value in values]
    return pl.DataFrame(data, schema=SCHEMA).with_columns(**extra)


def imported(brought, held):
    """The rows of several files that are new, as new_copies marks them."""
    flat = [value for one in brought for value in one]
    numbers = [index for index, one in enumerate(brought) for _ in one]
    frame = rows(flat).with_columns(pl.Series("file", numbers, dtype=pl.Int64))
    marks = new_copies(frame, rows(held)).to_list()
    return [value for value, new in zip(flat, marks, strict=True) if new]


@given(files, st.lists(contents, max_size=8))
def test_a_content_ends_at_its_highest_multiplicity(brought, held):
    """Naively: the log then holds the maximum over the files and what it held, per content."""
    after = Counter(held) + Counter(imported(brought, held))
    wanted = Counter(held)
    for one in brought:
        for value, count in Counter(one).items():
            wanted[value] = max(wanted[value], count)
    assert after == wanted


@given(files, st.lists(contents, max_size=8))
def test_importing_again_adds_nothing(brought, held):
    first = imported(brought, held)
    assert imported(brought, held + first) == []


def test_equal_rows_inside_one_file_all_count():
    assert len(imported([[(1, 0, 100)] * 3], [])) == 3


def by_id(values, versions=None):
    """Rows with a one-letter id: (id, user, occurred_at, amount), and the versions that the log keeps."""
    frame = rows([value[1:] for value in values])
    ids = pl.Series("source_id", [value[0].encode() * 16 for value in values], dtype=pl.Binary)
    frame = frame.with_columns(ids)
    return frame if versions is None else frame.with_columns(pl.Series("version", versions, dtype=pl.Int64))


def version_of(frame):
    """A version that is easily told: the time and the amount."""
    return frame.select(pl.col("occurred_at") * 1_000 + pl.col("amount").fill_null(0)).to_series()


def compared(incoming, logged):
    return compare_by_id(incoming, logged, refund=2, version_of=version_of)


def test_a_known_id_with_the_same_content_is_a_duplicate():
    verdicts = compared(by_id([("a", 1, 0, 100)]), by_id([("a", 1, 0, 100)], [None]))
    assert verdicts["verdict"].to_list() == ["duplicate"]


def test_a_known_id_with_a_lower_amount_becomes_a_refund_of_the_difference():
    incoming = by_id([("a", 1, 5, 40), ("b", 1, 5, 10)])
    verdicts = compared(incoming, by_id([("a", 1, 0, 100)], [None]))
    assert verdicts.rows() == [("changed", 5_040, -60, None, None), ("new", None, None, None, None)]
    changed = pl.concat([incoming, verdicts], how="horizontal").filter(pl.col("verdict") == "changed")
    event = compensations(changed, purchase=1, refund=2, correction=3).row(0, named=True)
    assert (event["kind"], event["amount"], event["occurred_at"]) == (2, -60, 5)


def test_a_version_that_the_log_stands_for_is_a_duplicate_whatever_came_after():
    logged = by_id([("a", 1, 0, 100), ("a", 1, 5, -60), ("a", 1, 6, 30)], [None, 5_040, 6_070])
    incoming = by_id([("a", 1, 5, 40), ("a", 1, 6, 70), ("a", 1, 0, 100)])
    assert compared(incoming, logged)["verdict"].to_list() == ["duplicate"] * 3


def test_a_base_row_counts_only_where_its_id_is_not_known():
    incoming = by_id([("a", 1, 0, 100), ("a", 1, 0, 40), ("b", 1, 0, 100), ("b", 1, 0, 70)])
    incoming = incoming.with_columns(base=pl.Series([True, False, True, False]))
    verdicts = compared(incoming, by_id([("a", 1, 0, 90)], [None]))
    assert verdicts["verdict"].to_list() == ["dropped", "changed", "new", "changed"]
    assert verdicts["delta"].to_list() == [None, -50, None, -30]


def test_the_compensating_event_itself_is_no_version():
    logged = by_id([("a", 1, 0, 100), ("a", 1, 5, -60)], [None, 5_040])
    assert compared(by_id([("a", 1, 5, -60)]), logged)["verdict"].to_list() == ["changed"]


def test_an_id_that_changes_twice_within_one_file_is_compensated_step_by_step():
    incoming = by_id([("a", 1, 5, 40), ("a", 1, 6, 70)])
    verdicts = compared(incoming, by_id([("a", 1, 0, 100)], [None]))
    assert verdicts["verdict"].to_list() == ["changed", "changed"]
    assert verdicts["delta"].to_list() == [-60, 30]


def test_a_change_that_moves_no_amount_is_a_correction():
    incoming = by_id([("a", 1, 5, 100), ("a", 1, 6, None)])
    verdicts = compared(incoming, by_id([("a", 1, 0, 100)], [None]))
    changed = pl.concat([incoming, verdicts], how="horizontal")
    events = compensations(changed, purchase=1, refund=2, correction=3)
    assert events.select("kind", "amount", "occurred_at").rows() == [(3, None, 5), (3, None, 6)]


def test_attributes_equal_to_the_users_newest_are_duplicates():
    logged = pl.DataFrame({"seq": [1, 1, 2], "user": [7, 7, 7], "name": [1, 2, 1], "value": [10, 20, 11]})
    again = pl.DataFrame({"row": [0, 1, 1], "user": [7, 7, 7], "name": [1, 1, 2], "value": [11, 10, 20]})
    assert same_attributes(again, logged).to_list() == [0]


@given(st.lists(st.integers(0, 30), max_size=20))
def test_within_agrees_with_looking_at_every_range(seqs):
    ranges = [(2, 4), (9, 9), (15, 21)]
    marks = within(pl.Series(seqs, dtype=pl.Int64), ranges).to_list()
    assert marks == [any(first <= seq <= last for first, last in ranges) for seq in seqs]
