"""How a segmentation is decided: told beside its labels, tried with i, saved once its movers were seen."""

import pytest

from segtui.operations.policies import wish
from segtui.tui.data import Data
from tests.tui import small_shop
from tests.tui.small_shop import written

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
def asked(monkeypatch):
    """What deciding is asked for: (segmentation, wish, preview) of each call; it finds three movers."""
    calls = []

    def decide(_self, name, wanted, preview, _progress, _cancelled):
        calls.append((name, wanted, preview))
        return {
            "segmentation": name,
            "decision": {"rule": "share", "margin": 0.05, "min_stay": 0, "shares": {"high": 0.3}},
            "flows": [["low", "high", 3]],
            "sizes": {"high": 15, "medium": 22, "low": 11},
            "expected": {"high": 11.0, "medium": 24.0, "low": 12.5},
            "changed": 3,
            "missed": {"high": 0.3125},
            "preview": preview,
        }

    monkeypatch.setattr(Data, "decide", decide)
    return calls


def framed(screen):
    """What stands within the dialog, its lines joined."""
    return " ".join(
        " ".join(line.split("│")[1] for line in screen.splitlines() if line.count("│") > 1).split()
    )


async def test_a_decision_is_tried_then_saved(shop, app_of, settle, press, shown, asked):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        assert "likeliest label; margin 0.05" in shown(pilot.app)
        await press(pilot, "i", "ctrl+u", "'--share high=0.3", "enter")
        told = shown(pilot.app)
        for part in ("high for 30.0 % of users", "3 users would move", "low", "11 expected", "gets 31.2 %"):
            assert part in told, part
        assert "15 high" in told
        assert "12 now" in told
        assert asked == [("value", wish(shares=["high=0.3"]), True)]
        await press(pilot, "enter")
        assert asked[1:] == [], "enter only looks"
        await press(pilot, "y")
        assert asked[1:] == [("value", wish(shares=["high=0.3"]), False)]
        assert "value: high for 30.0 % of users; margin 0.05; 3 users moved." in pilot.app.notices[-1].text


async def test_a_label_with_a_blank_is_offered_as_it_is_read(
    tmp_path, monkeypatch, app_of, settle, press, shown, asked
):
    monkeypatch.setattr(small_shop, "LABELS", ("high value", "medium", "low value"))
    async with app_of(written(tmp_path / "blank.db")).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "i", "plus")
        line = pilot.app.screen.query_one("Input")
        assert line.value == "--min 'high value'=0.55"
        assert "--cost 'high value:medium'=4" in shown(pilot.app)
        await press(pilot, "enter")
        assert asked == [("value", wish(minimum=["high value=0.55"]), True)]
        await press(pilot, "escape", "escape", "l")
        assert pilot.app.screen.query_one("Input").value == "rename 'high value' "


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_a_long_refusal_leaves_the_keys_on_the_screen(shop, app_of, settle, press, shown, asked, size):
    async with app_of(shop).run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        pilot.app.screen.query_one("Input").value = "--share " + "wo\u200dman " * 30 + "=0.1"
        await press(pilot, "enter")
        told = framed(shown(pilot.app))
        assert not asked
        assert "=0.1' has" in told
        assert "as in 'value --share" in told
        assert "u200d" not in told
        assert "lower it" in told
        assert "esc leave" in told
        pilot.app.screen.query_one("Input").value = "--min high=0.5"
        await press(pilot, "enter")
        told = framed(shown(pilot.app))
        assert "y decide so from now on esc n change it; nothing is written" in told


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_higher_threshold_is_one_key_away(shop, app_of, settle, press, shown, asked, size):
    async with app_of(shop).run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        told = shown(pilot.app)
        for part in (
            "12 users high (25.0 %), 11 expected",
            "--share high=0.1      that share of the users, the likeliest",
            "high is over 54.95 EUR: learnt, so another limit is another model",
            "enter only look   + ↑ raise the number   ↓ lower it   esc leave",
        ):
            assert part in told, part
        await press(pilot, "plus", "enter")
        assert asked == [("value", wish(minimum=["high=0.55"]), True)]
        assert "y decide so from now on   esc n change it; nothing is written" in shown(pilot.app)
        await press(pilot, "escape")
        assert pilot.app.screen.query_one("Input").value == "--min high=0.55"
        await press(pilot, "escape")
        assert pilot.app.screen is pilot.app.page
        assert len(asked) == 1


NUMBERS = [
    ("--min high=0.5", "plus", "--min high=0.55"),
    ("--min high=0.5", "up", "--min high=0.55"),
    ("--share low=30% --margin 0.05", "down", "--share low=30% --margin 0.04"),
    ("--share=low2=30%", "plus", "--share=low2=31%"),
    ("--margin 0.1 --min-stay 7d", "plus", "--margin 0.1 --min-stay 8d"),
    ("--cost a1:b2=4", "down", "--cost a1:b2=3"),
    ("--margin 0", "down", "--margin 0"),
    ("--argmax", "plus", "--argmax"),
]


async def test_a_key_changes_the_last_number(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        line = pilot.app.screen.query_one("Input")
        for typed, key, becomes in NUMBERS:
            line.value = typed
            await pilot.press(key)
            assert line.value == becomes


async def test_words_that_say_nothing_are_refused_where_they_are_typed(
    shop, app_of, settle, press, shown, asked
):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "i", "'x", "enter")
        assert "holds no number" in shown(pilot.app)
        await press(pilot, "escape")
        assert asked == []


async def test_the_past_is_not_decided(shop, app_of, settle, press, asked):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "t", "'-7d", "enter", "i")
        assert "t now first" in pilot.app.notices[-1].text
        assert asked == []
