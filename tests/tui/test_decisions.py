"""How a segmentation is decided: told beside its labels, tried with i, saved once its movers were seen."""

import pytest

from segtui.operations.policies import wish
from segtui.tui.data import Data

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


async def test_a_decision_is_tried_then_saved(shop, app_of, settle, press, shown, asked):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        assert "likeliest label; margin 0.05" in shown(pilot.app)
        await press(pilot, "i")
        line = pilot.app.screen.query_one("Input")
        assert line.value.startswith("--share high=0.2")
        await press(pilot, "backspace", "backspace", "backspace", "'3", "enter")
        told = shown(pilot.app)
        for part in ("high for 30.0 % of users", "3 users would move", "low", "11 expected", "gets 31.2 %"):
            assert part in told, part
        assert asked == [("value", wish(shares=["high=0.3"]), True)]
        await press(pilot, "y")
        assert asked[1:] == [("value", wish(shares=["high=0.3"]), False)]
        assert "value: high for 30.0 % of users; margin 0.05; 3 users moved." in pilot.app.notices[-1].text


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
