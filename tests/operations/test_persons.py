"""Memberships of users who turn out to be one person, and then perhaps not: incremental equals full."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import log, projections, vocabulary
from engine.features import FeatureSpec
from segtui.operations.changes import changes
from segtui.operations.deciders import Evidence
from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segment import from_file
from segtui.operations.user import user
from segtui.operations.verify import verify
from tests.operations.conftest import few
from tests.operations.stories import play, stories

START = datetime(2026, 1, 5, tzinfo=UTC)
SLOW = few(6)
NAMES = ["ann", "bob", "cat", "dan", "eve"]

event = st.tuples(
    st.sampled_from(NAMES),
    st.floats(0, 0.99),
    st.sampled_from(["purchase", "purchase", "view", "alias", "alias", "unalias"]),
    st.sampled_from([5.0, 40.0, 120.0]),
    st.sampled_from([*NAMES, "anon"]),
)
days = stories(event, most=6)


def line(name, day, kind, amount, other=None):
    found = {"user": name, "time": (START + timedelta(days=day)).isoformat(), "kind": kind}
    if kind in ("alias", "unalias"):
        return found | {"previous": other}
    return found | ({"amount": amount, "currency": "EUR"} if kind == "purchase" else {})


def give(shop, rows):
    """Imports (name, day, kind, amount, other) rows as one file."""
    path = shop.path.with_name(f"lines-{len(list(shop.path.parent.iterdir()))}.ndjson")
    path.write_text("".join(json.dumps(line(*row)) + "\n" for row in rows))
    with shop.open() as s:
        return import_files(s, [path], format="events")


def lived(shop, story, **how):
    """The state digests of a shop that lived through the story."""
    return play(shop, story, partial(give, shop), **how)


@SLOW
@given(story=days)
def test_incremental_equals_full_under_the_starter_rule(make_shop, story):
    assert lived(make_shop(), story, full=False) == lived(make_shop(), story, full=True)


@SLOW
@given(story=days, promote_after=st.integers(0, 3))
def test_incremental_equals_full_under_a_model(make_shop, give_model, story, promote_after):
    once = lived(make_shop(), story, full=False, give_model=give_model, promote_after=promote_after)
    again = lived(make_shop(), story, full=True, give_model=give_model, promote_after=promote_after)
    assert once == again


@SLOW
@given(story=days)
def test_every_change_resolves_and_all_is_decided_the_same_again(make_shop, give_model, story):
    shop = make_shop()
    lived(shop, story, full=False, give_model=give_model, promote_after=1)
    with shop.open() as s:
        rows = log.behaviour(s.store)
        kinds = vocabulary.texts(s.store, "kind")
        of = {seq: kinds[kind] for seq, kind in rows.select("seq", "kind").iter_rows()}
        for change in changes(s, first=True):
            assert change["reason"]
            if change["cause"] == "identity":
                assert of[change["cause_seq"]] in vocabulary.LINKING
            assert change["to"] is not None or change["cause"] == "identity"
        found = verify(s, deep=True)
        assert found["ok"], found["checks"]
        # Nobody is counted twice: whoever is part of another holds nothing.
        number = vocabulary.number(s.store, "segmentation", "value")
        held = set(projections.memberships(s.store, number)["user"])
        assert held.isdisjoint(s.identity().at(s.as_of())["user"])


@pytest.fixture
def bought(shop):
    """Two customers, of whom ann's web visits are another's so far; scored each day by the starter rule."""
    shop.at(10.5)
    give(shop, [("web-7", 8.0, "purchase", 90.0, None), ("ann", 9.0, "purchase", 20.0, None)])
    give(shop, [("zoe", 9.5, "purchase", 50.0, None), ("web-7", 9.7, "view", None, None)])
    with shop.open() as s:
        rescore(s)
    return shop


def held(shop):
    with shop.open() as s:
        return shop.held(s, None)


def moves(shop):
    with shop.open() as s:
        found = changes(s, first=True)
        return [(each["user"], each["from"], each["to"], each["cause"], each["reason"]) for each in found]


def test_a_merged_user_leaves_and_the_person_is_decided_by_all_they_did(bought):
    assert held(bought) == {"web-7": "high", "ann": "medium", "zoe": "medium"}
    before = set(moves(bought))
    bought.at(12.5)
    give(bought, [("ann", 12.0, "alias", None, "web-7")])
    with bought.open() as s:
        told = rescore(s)
        assert told["by_cause"] == {"identity": 1}
        # The smaller number stands for both: it was there first.
        who = user(s, "ann")
        assert who["user"] == user(s, "web-7")["user"] == "web-7"
        assert (who["features"]["orders"], who["features"]["spend"]) == (2, 11_000)
        assert {each["user"] for each in members(s, "value=high")["members"]} == {"web-7"}
    assert held(bought) == {"web-7": "high", "zoe": "medium"}
    (gone,) = set(moves(bought)) - before
    assert gone[:4] == ("ann", "medium", None, "identity")
    assert "the same person" in gone[4]


def test_an_undone_merge_gives_a_first_label_again_and_equals_never_merged(bought):
    bought.at(12.5)
    give(bought, [("ann", 12.0, "alias", None, "web-7")])
    with bought.open() as s:
        rescore(s)
    bought.at(15.5)
    give(bought, [("ann", 15.0, "unalias", None, "web-7")])
    with bought.open() as s:
        assert rescore(s)["by_cause"] == {"identity": 1}
        assert verify(s, deep=True)["ok"]
    assert ("ann", None, "medium", "identity") in [each[:4] for each in moves(bought)]
    assert held(bought) == {"web-7": "high", "ann": "medium", "zoe": "medium"}
    # What was recorded while they were one person stays.
    with bought.open() as s:
        assert bought.held(s, s.ticks.end_holding(bought.instant(13))) == {"web-7": "high", "zoe": "medium"}


def test_a_merge_of_long_ago_that_is_told_late_counts_from_now_on(bought):
    bought.at(20.5)
    with bought.open() as s:
        rescore(s)
    give(bought, [("ann", 5.0, "alias", None, "web-7")])
    with bought.open() as s:
        assert rescore(s)["by_cause"] == {"identity": 1}
        assert bought.held(s, s.ticks.end_holding(bought.instant(11))) == {
            "web-7": "high", "ann": "medium", "zoe": "medium",
        }  # fmt: skip
        # Going over the past again, they were one person all along.
        for _ in rescore_range(s, from_=bought.instant(9), to=s.as_of()):
            pass
        assert bought.held(s, s.ticks.end_holding(bought.instant(11))) == {"web-7": "high", "zoe": "medium"}
        assert verify(s, deep=True)["ok"]


def test_a_person_may_be_known_first_by_an_id_that_did_nothing(bought):
    bought.at(12.5)
    give(bought, [("early", 11.0, "alias", None, "later"), ("later", 12.0, "purchase", 30.0, None)])
    with bought.open() as s:
        rescore(s)
        assert user(s, "later")["features"]["orders"] == 1
        assert verify(s, deep=True)["ok"]
    assert len(held(bought)) == 4


def test_who_was_silent_for_long_is_decided_anew_once_on_their_own(shop):
    shop.at(1)
    give(shop, [("old", 0.5, "purchase", 80.0, None), ("zoe", 0.6, "purchase", 10.0, None)])
    shop.at(400.5)
    give(shop, [("new", 399.0, "purchase", 80.0, None), ("new", 399.5, "alias", None, "old")])
    with shop.open() as s:
        rescore(s)
    assert held(shop) == {"old": "medium", "zoe": "low"}
    shop.at(402.5)
    give(shop, [("new", 402.0, "unalias", None, "old")])
    with shop.open() as s:
        assert rescore(s)["by_cause"] == {"identity": 2}
        assert rescore(s, full=True)["changed"] == 0
    assert held(shop) == {"old": "low", "new": "medium", "zoe": "low"}


def test_a_list_keeps_a_person_whichever_of_the_ids_was_on_it(bought, tmp_path):
    names = tmp_path / "vips.txt"
    names.write_text("ann\n")
    with bought.open() as s:
        from_file(s, "vip", names)
    bought.at(12.5)
    give(bought, [("ann", 12.0, "alias", None, "web-7")])
    with bought.open() as s:
        rescore(s)
        assert [each["user"] for each in members(s, "vip")["members"]] == ["web-7"]
        assert rescore(s, full=True)["changed"] == 0
        # A file may name the person by either id.
        names.write_text("zoe\nann\n")
        from_file(s, "vip", names)
        assert [each["user"] for each in members(s, "vip")["members"]] == ["web-7", "zoe"]
        assert verify(s, deep=True)["ok"]


def test_a_model_learns_and_scores_persons(bought):
    bought.at(12.5)
    give(bought, [("ann", 12.0, "alias", None, "web-7")])
    with bought.open() as s:
        evidence = Evidence(s.events(), s.identity(), s.attributes())
        spec = FeatureSpec()
        then, now = (evidence.features(bought.instant(day), spec) for day in (12, 13))
        assert (then.height, now.height) == (3, 2)
        assert then["spend"].sum() == now["spend"].sum() == 16_000
        some = now["user"].to_numpy()[:1]
        assert evidence.only(some).features(bought.instant(13), spec).equals(now.head(1))
