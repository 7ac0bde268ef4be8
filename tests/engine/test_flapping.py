"""Returns to a label, against the plain reading of each user's history."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from engine.flapping import net_moves, returns

COLUMNS = {"user": pl.Int64, "as_of": pl.Int64, "from_label": pl.Int64, "to_label": pl.Int64}


def naive(rows, within):
    """Each user's labels at the ends of as-ofs, then one look at each three in a row."""
    found = []
    for user in sorted({row[0] for row in rows}):
        ends = {as_of: to for who, as_of, to in rows if who == user}
        path = [(None, None)]
        for as_of, to in sorted(ends.items()):
            if to != path[-1][1]:
                path.append((as_of, to))
        for (_, label), (left, other), (back, again) in zip(path, path[1:], path[2:], strict=False):
            if label == again and None not in (label, other) and back - left <= within:
                found.append((user, label, other, left, back))
    return sorted(found, key=lambda each: (each[4], each[0]))


steps = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 12), st.sampled_from([1, 1, 2, 3, None])), max_size=25
)


@given(steps=steps, within=st.integers(0, 6))
def test_returns_are_those_a_plain_reading_finds(steps, within):
    rows = sorted(steps, key=lambda row: row[1])
    held, changes = {}, []
    for user, as_of, to in rows:
        if held.get(user) != to:
            changes.append((user, as_of, held.get(user), to))
            held[user] = to
    frame = pl.DataFrame(changes, schema=COLUMNS, orient="row")
    told = returns(net_moves(frame), lambda as_of: as_of - within)
    assert told.rows() == naive(rows, within)
