"""Who is one person at an instant, whatever the order of the links and the way they point."""

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.features import features
from engine.identity import LINKS, identity_at, kin

PAIRS = st.tuples(st.integers(1, 6), st.integers(1, 6))
ROWS = st.lists(st.tuples(PAIRS, st.integers(0, 9), st.booleans()), max_size=25)


def links_of(rows):
    """LINKS from ((user, other), occurred_at, joins); seq counts from 1."""
    told = [(seq, at, *pair, joins) for seq, (pair, at, joins) in enumerate(rows, 1)]
    return pl.DataFrame(told, schema=LINKS, orient="row")


def who(identity, users=range(1, 7)):
    """{user: canonical user}."""
    moved = dict(identity.iter_rows())
    return {user: moved.get(user, user) for user in users}


def naive(rows, as_of, position):
    """By walking from user to user along the pairs whose newest link joins."""
    state = {}
    numbered = [(at, seq, pair, joins) for seq, (pair, at, joins) in enumerate(rows, 1)]
    for at, seq, pair, joins in sorted(numbered, key=lambda row: row[:2]):
        if at < as_of and seq <= position:
            state[frozenset(pair)] = joins
    found = {}
    for user in range(1, 7):
        reached, edge = {user}, {user}
        while edge:
            edge = {each for pair, on in state.items() if on and pair & edge for each in pair} - reached
            reached |= edge
        found[user] = min(reached)
    return found


@given(ROWS, st.integers(0, 10), st.integers(0, 25))
def test_a_person_is_all_who_are_joined_through_whomever(rows, as_of, position):
    assert who(identity_at(links_of(rows), as_of, position)) == naive(rows, as_of, position)


@given(ROWS, st.integers(0, 10), st.integers())
def test_neither_the_order_of_rows_nor_the_way_a_link_points_matters(rows, as_of, seed):
    links, draw = links_of(rows), random.Random(seed)
    turned = (
        links.with_columns(
            pl.when(pl.Series([draw.random() < 0.5 for _ in rows], dtype=pl.Boolean))
            .then(pl.struct(user="other", other="user"))
            .otherwise(pl.struct("user", "other"))
            .alias("pair")
        )
        .drop("user", "other")
        .unnest("pair")
    )
    shuffled = turned.sample(fraction=1, shuffle=True, seed=abs(seed) % 1000)
    assert identity_at(shuffled, as_of).equals(identity_at(links, as_of))


@given(ROWS, st.integers(0, 10))
def test_links_at_or_after_the_as_of_never_matter(rows, as_of):
    before = [row for row in rows if row[1] < as_of]
    assert identity_at(links_of(before)).equals(identity_at(links_of(rows), as_of))


@given(ROWS, st.lists(PAIRS, min_size=1, max_size=5))
def test_an_undone_merge_equals_never_merged(rows, pairs):
    former = naive(rows, 10, len(rows))
    fresh = [pair for pair in pairs if not any({*pair} == {*known} for known, _, _ in rows)]
    undone = rows + [(pair, at, at == 10) for pair in fresh for at in (10, 11)]
    merged = links_of(undone)
    assert who(identity_at(merged, 12)) == former
    if fresh:
        assert who(identity_at(merged, 11)) == naive(undone, 11, len(undone))


@given(data=st.data())
def test_features_after_an_undone_merge_are_those_of_never_merged(
    data, logs, zones, midnights, events_of, wide_spec
):
    events = events_of(data.draw(logs))
    zone = data.draw(zones)
    as_of, spec = data.draw(midnights(zone)), wide_spec(zone)
    undone = links_of([((1, 2), as_of - 9, True), ((2, 4), as_of - 8, True), ((1, 2), as_of - 7, False)])
    undone = pl.concat([undone, links_of([((2, 4), as_of - 6, False)])])
    never = features(events, None, as_of, spec)
    assert features(events, identity_at(undone, as_of), as_of, spec).equals(never)
    halfway = identity_at(undone, as_of - 6)
    assert who(halfway) == {1: 1, 2: 2, 3: 3, 4: 2, 5: 5, 6: 6}


@given(ROWS, st.integers(0, 10))
def test_whoever_is_joined_at_some_time_is_kin(rows, as_of):
    families = who(kin(links_of(rows)))
    for user, canonical in who(identity_at(links_of(rows), as_of)).items():
        assert families[user] == families[canonical]


def test_a_circle_is_one_person_and_a_link_to_oneself_is_none():
    circle = [((3, 5), 0, True), ((5, 2), 1, True), ((2, 3), 2, True), ((6, 6), 3, True)]
    assert identity_at(links_of(circle)).rows() == [(3, 2), (5, 2)]


def test_a_long_chain_is_followed_to_its_end():
    chain = links_of([((at, at + 1), at, True) for at in range(1, 5_000)])
    assert identity_at(chain)["canonical"].unique().to_list() == [1]


def test_a_frame_without_a_column_is_refused():
    with pytest.raises(EngineError, match="joins"):
        identity_at(links_of([]).drop("joins"))
