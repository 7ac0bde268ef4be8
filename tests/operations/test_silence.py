"""Who leaves if silent: what is told beforehand is what then happens, to the tick and the label."""

import subprocess
import sys

import pytest

from segtui.operations.changes import changes
from segtui.operations.decide import decide
from segtui.operations.errors import OperationError
from segtui.operations.members import members
from segtui.operations.policies import Wish
from segtui.operations.rescore import rescore
from segtui.operations.segment import define, from_file
from segtui.operations.segments import segments
from segtui.operations.user import user

DAYS = 60
SHOPPERS = [
    (f"u{n:02}", d + n / 100, "purchase", 10.0 + 7 * n) for n in range(24) for d in range(n % 5, 20, 5)
]


@pytest.fixture
def decided(lived_through, give_model, tmp_path):
    """Two dozen customers under a model, a rule that reads it, a rule that reads that, and a list."""

    def story(shop):
        shop.at(20.5)
        shop.events(SHOPPERS)
        listed = tmp_path / "list.txt"
        listed.write_text("u03\nu07\n")
        with shop.open() as s:
            give_model(s)
            define(s, "fading", "value = 'high' AND recency_days > 6")
            define(s, "awake", "NOT fading AND recency_days < 20")
            from_file(s, "asked", listed)

    return lived_through(story)


def everyone(s, **how):
    """Leaving by (segment, user) of every member there is."""
    told = {}
    for segmentation in segments(s)["segmentations"]:
        for label in segmentation["labels"]:
            name = f"{segmentation['name']}={label['label']}"
            for each in members(s, name, limit=None, **how)["members"]:
                told[segmentation["name"], each["user"]] = each["leaves"]
    return told


def silent(shop, s, day):
    """Lets time pass until a day; the first move of everyone since, by (segmentation, user)."""
    start = s.as_of()
    shop.at(day)
    rescore(s)
    moves = {}
    for change in changes(s, from_=start, limit=None):
        moves.setdefault(
            (change["segmentation"], change["user"]), {"as_of": change["as_of"], "to": change["to"]}
        )
    return moves


def test_what_is_told_is_what_silence_then_does(decided):
    with decided.open() as s:
        told = everyone(s, leaves=True)
        moved = silent(decided, s, 20.5 + DAYS)
    assert {key: leaving for key, leaving in told.items() if leaving is not None} == moved
    # All of them have something to tell: the model's label, the rule over it, the rule over that.
    assert {name for name, _ in moved} == {"value", "fading", "awake"}
    assert len(moved) < len(told)


def test_a_minimum_stay_and_a_wide_margin_are_kept_to(decided):
    with decided.open() as s:
        plain = everyone(s, leaves=True)
        decide(s, "value", Wish(margin=200_000, min_stay="25d"))
        told = everyone(s, leaves=True)
        assert told != plain
        assert any(leaving for (name, _), leaving in told.items() if name == "value")
        moved = silent(decided, s, 20.5 + DAYS)
    assert {key: leaving for key, leaving in told.items() if leaving is not None} == moved


def test_before_a_model_the_starter_rule_is_asked(shop):
    shop.at(20.5)
    shop.events(SHOPPERS)
    # The rule lets go of whoever ordered nothing for 90 days.
    shop.at(60.5)
    with shop.open() as s:
        rescore(s)
        told = everyone(s, leaves=True)
        assert user(s, "u03")["leaves"] == told["value", "u03"]
        moved = silent(shop, s, 60.5 + DAYS)
    assert {key: leaving for key, leaving in told.items() if leaving is not None} == moved
    assert moved


def test_a_user_is_told_the_same_as_among_the_members(decided):
    with decided.open() as s:
        told = everyone(s, leaves=True)
        for name in ("u03", "u11", "u23"):
            alone = user(s, name)
            for segmentation, held in alone["labels"].items():
                assert held["leaves"] == told[segmentation, name]
            assert alone["leaves"] == alone["labels"]["value"]["leaves"]


def test_a_past_moment_is_asked_without_what_came_after_it(decided):
    with decided.open() as s:
        at = s.as_of()
        told = everyone(s, leaves=True)
    decided.at(24.5)
    decided.events([(f"u{n:02}", 23.2, "purchase", 900.0) for n in range(24)])
    with decided.open() as s:
        rescore(s)
        assert everyone(s, leaves=True) != told
        assert everyone(s, at=at, leaves=True) == told


def test_only_who_leaves_in_time_is_kept_and_sorted(decided):
    with decided.open() as s:
        label = "value=high"
        told = {
            each["user"]: each["leaves"] for each in members(s, label, limit=None, leaves=True)["members"]
        }
        soon = members(s, label, limit=None, leaving_within=15)
        last = s.ticks.shift(s.as_of(), 15)
        expected = {
            name: each for name, each in told.items() if each is not None and each["as_of"] <= s.iso(last)
        }
        assert 0 < len(expected) < len(told)
        assert soon["total"] == len(expected)
        assert {each["user"]: each["leaves"] for each in soon["members"]} == expected
        for order, sign in (("leaves", 1), ("-leaves", -1)):
            ranked = members(s, label, limit=None, order=order)["members"]
            at = [each["leaves"]["as_of"] for each in ranked if each["leaves"] is not None]
            assert at == sorted(at)[::sign]
            assert all(each["leaves"] is None for each in ranked[len(at) :])
        page = members(s, label, limit=2, offset=1, leaving_within=15, order="-margin")
        assert page["total"] == len(expected)
        assert len(page["members"]) == min(2, len(expected) - 1)


def test_nobody_is_asked_about_unless_it_is_wanted(decided):
    with decided.open() as s:
        assert {each["leaves"] for each in members(s, "value=high")["members"]} == {None}
        with pytest.raises(OperationError, match=r"cannot be ordered by 'leave'.*leaves"):
            members(s, "value=high", order="leave")


def test_a_rule_is_looked_ahead_without_jax(shop):
    shop.at(20.5)
    shop.events(SHOPPERS)
    with shop.open() as s:
        define(s, "recent", "recency_days < 9")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from segtui.operations.session import open_session\n"
        "from segtui.operations.members import members\n"
        f"with open_session(Path({str(shop.path)!r})) as s:\n"
        "    assert members(s, 'recent', leaves=True, limit=None)['members'][0]['leaves'] is not None\n"
        "assert 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
