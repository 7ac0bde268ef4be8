"""Transitions, overlap and models: their numbers are those of the operations, their drills lead to users."""

from __future__ import annotations

import pytest

from segtui.operations.check import check
from segtui.operations.members import members
from segtui.operations.overlap import overlap
from segtui.operations.session import open_session
from segtui.operations.transitions import moved, transitions
from segtui.tui.data import Data
from segtui.tui.screens.checks import ORDER
from segtui.tui.screens.model_words import compared, judged, losses, metrics
from segtui.tui.screens.rules import _about
from segtui.tui.screens.segments import _rows, share_cell
from tests.tui import small_shop

pytestmark = pytest.mark.usefixtures("network")


async def test_transitions_lead_to_the_users_of_a_cell(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "X")
        page = pilot.app.page
        with open_session(shop) as s:
            end = s.require_as_of()
            told = transitions(s, s.ticks.days_before(end, 30), end)
        row, column = page.matrix.place
        assert row != column
        count = told["matrix"][row][column]
        assert count == page.rows.total > 0
        assert count == max(told["matrix"][r][c] for r in range(3) for c in range(4) if r != c)
        user = page.rows.row(0)["user"]
        await press(pilot, "enter", "enter")
        assert (pilot.app.page.PAGE, pilot.app.page.user) == ("user", user)
        await press(pilot, "escape")
        assert pilot.app.page is page


async def test_the_cells_of_the_matrix_are_walked(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "X", *"kkkhhh")
        page = pilot.app.page
        assert page.matrix.place == (0, 0)
        await press(pilot, "l", "j")
        assert page.matrix.place == (1, 1)
        assert page.rows.total == page.matrix.counts[1][1]
        before = page.query_one("#filters").render().plain
        await press(pilot, "T")
        assert page.days == 90
        assert page.query_one("#filters").render().plain != before


def test_cells_add_up_to_the_matrix(shop):
    with open_session(shop) as s:
        end = s.require_as_of()
        start = s.ticks.days_before(end, 10)
        told = transitions(s, start, end)
        for row, left in enumerate(told["labels"]):
            for column, came in enumerate(told["labels"]):
                found = moved(s, start, end, left, came, limit=None)
                assert found["total"] == len(found["users"])
                assert found["total"] == told["matrix"][row][column]


async def test_overlap_is_what_members_say_and_leads_to_them(ruled, app_of, settle, press):
    with open_session(ruled) as s:
        told = overlap(s)
        low = {each["user"] for each in members(s, "value=low", limit=None)["members"]}
        own = {each["user"] for each in members(s, "lapsing", limit=None)["members"]}
        both = members(s, "value=low", where="lapsing", limit=None)["members"]
    pair = next(each for each in told["pairs"] if (each["one"], each["other"]) == ("value=low", "lapsing"))
    assert pair["users"] == len(low & own) > 0
    assert {each["user"] for each in both} == low & own
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "O", "G", "tab", "enter")
        page = pilot.app.page
        assert page.PAGE == "members"
        assert page.segment == "lapsing"
        assert page.filter == "value = 'low'"
        assert page.total == len(low & own)


async def test_overlap_leads_to_a_label_with_an_apostrophe(tmp_path, monkeypatch, app_of, settle, press):
    monkeypatch.setattr(small_shop, "LABELS", ("high", "medium", "o'low"))
    path = small_shop.written(tmp_path / "shop.db")
    path = small_shop.with_rule(path, [small_shop.external(n) for n in range(4, 24)], "value = 'o''low'")
    async with app_of(path).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "O", "G", "tab", "enter")
        assert (pilot.app.page.PAGE, pilot.app.page.filter) == ("members", "value = 'o''low'")
        assert pilot.app.page.total > 0


class Taught(Data):
    """A store whose training is two epochs of fixed losses."""

    def train(self, wanted, progress, cancelled, heard):
        self.wanted = wanted
        heard(0.9, 1.0)
        heard(0.7, 0.8)
        self.during()
        return {"name": "mlp-new", "promoted": False, "why": "worse"}


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ((), {"kind": "mlp"}),
        (("'seed=3",), {"kind": "mlp", "seed": "3"}),
        (("'logistic seed=3",), {"kind": "logistic", "seed": "3"}),
    ],
)
async def test_a_training_is_of_an_mlp_unless_told(shop, app_of, settle, press, shown, typed, wanted):
    data = Taught(shop)
    data.during = lambda: None
    app = app_of(shop, data=data)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "M", "n")
        assert "mlp unless told" in shown(app)
        await press(pilot, *typed, "enter")
        assert data.wanted == wanted


async def test_a_training_is_asked_for_and_its_losses_are_heard(shop, app_of, settle, press):
    data, seen = Taught(shop), []
    app = app_of(shop, data=data)
    data.during = lambda: seen.append(list(app.epochs))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "M", "n", "' seed=3 x", "enter")
        assert "is no setting" in app.screen.query_one("#prompt-error").render().plain
        await press(pilot, "backspace", "backspace", "enter")
        assert data.wanted == {"kind": "mlp", "seed": "3"}
        assert seen == [[(0.9, 1.0), (0.7, 0.8)]]
        assert app.notices[-1].text == "mlp-new: kept aside, worse."
        assert (app.page.training, app.epochs) == ([], [])


async def test_losses_are_drawn_while_a_training_runs(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "M")
        page = pilot.app.page
        page.heard([(0.9, 1.0), (0.7, 0.8)])
        assert page.query_one("#losses").border_title == "losses over 2 epochs, training now"
        assert "least 0.800 at epoch 2" in page.query_one("#losses-text").render().plain


async def test_the_model_that_decides_is_neither_promoted_nor_compared(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "M")
        assert pilot.app.page.rows.item["promoted"]
        await press(pilot, "P")
        assert "decides value already" in pilot.app.notices[-1].text
        await press(pilot, "w")
        assert "that does not decide now" in pilot.app.notices[-1].text


def test_the_best_of_each_line_of_metrics_is_marked():
    own, beside = {"log_loss": 0.5, "auc": 0.6}, {"majority": {"log_loss": 0.4, "auc": 0.5}}
    lines = metrics({"metrics": {"test": own, "baselines": beside}, "users": 10}).plain.splitlines()
    assert "0.400*" in lines[1]
    assert "0.600*" in lines[2]


def test_a_judgement_and_a_comparison_in_words():
    window = {"cutoff": "2026-01-01T00:00", "until": "2026-03-01T00:00", "users": 9, "newcomers": 2}
    told = judged(
        {
            "window": window,
            "metrics": {"log_loss": 0.5},
            "baselines": {},
            "baselines_why": "There is nothing to fit baselines on: events were cut.",
            "confusion": {"labels": ["高", "低"], "matrix": [[4, 1], [2, 2]]},
            "calibration": {"高": [{"users": 5, "predicted": 0.72, "observed": 0.8}]},
        }
    ).plain
    assert "said 0.72  came 0.80" in told
    assert "nothing to fit baselines on" in told
    assert "9 users, 2 of them new since" in told
    apart = {"difference": -0.1, "low": -0.2, "high": -0.05, "winner": "two"}
    told = compared(
        {
            "window": window,
            "name": "one",
            "metrics": {"log_loss": 0.5},
            "other": {"name": "two", "metrics": {"log_loss": 0.4}},
            "differences": {"log_loss": apart},
        }
    ).plain
    assert "-0.1000 [-0.2000, -0.0500]  two wins" in told


def test_losses_are_drawn_within_their_room():
    drawn = losses([(0.9, 1.0), (0.7, 0.8), (0.6, 0.85)], 44, 10)
    assert "least 0.800 at epoch 2" in drawn.plain
    assert all(len(line) <= 44 for line in drawn.plain.splitlines())
    assert len(drawn.plain.splitlines()) <= 10


async def test_a_cell_that_nobody_is_in_keeps_the_focus(shop, app_of, settle, press):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "X")
        page = pilot.app.page
        none = next(
            (row, column)
            for row, line in enumerate(page._known["matrix"])
            for column, users in enumerate(line)
            if not users and row != column
        )
        page.matrix.place = none
        await press(pilot, "enter")
        assert page.matrix.has_focus
        assert "Nobody moved from " in pilot.app.notices[-1].text


@pytest.mark.usefixtures("steady")
async def test_checks_that_know_nothing_yet_are_not_within_their_limits(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "H")
        states = [pilot.app.page.rows.row(n)["state"] for n in range(pilot.app.page.rows.total)]
        ok, unknown = states.count("ok"), states.count("unknown")
        assert unknown
        told = f" {len(states)} checks, {ok} within their limits, {unknown} unknown "
        assert told in shown(pilot.app).splitlines()[1]


def test_nobody_is_no_share_and_one_tick_is_one():
    label = {"label": "high", "users": 0, "share": None, "change_1d": None, "change_30d": None, "trend": [0]}
    segmentation = {"name": "value", "kind": "model", "decided_by": "model", "labels": [label]}
    whole, _ = _rows(segmentation)
    assert share_cell(whole, 7).plain == "·"
    (held,) = _rows(segmentation | {"labels": [label | {"users": 3, "share": 1.0}]})[:1]
    assert share_cell(held, 7).plain == "100.0 %"
    rule = {"name": "r", "by": "rule", "where": "x > 1", "users": 1, "share": 1.0, "trend": [1]}
    assert "last 1 tick" in _about(rule).plain.splitlines()[-1]


async def test_checks_stand_in_the_order_of_their_state(ruled, app_of, settle, press, shown):
    async with app_of(ruled).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "H")
        page = pilot.app.page
        states = [page.rows.row(n)["state"] for n in range(page.rows.total)]
        assert states == sorted(states, key=ORDER.index)
        with open_session(ruled) as s:
            told = {each["name"]: each["hint"] for each in check(s, record=False)["checks"]}
        assert {page.rows.row(n)["name"] for n in range(page.rows.total)} == set(told)
        row = page.rows.item
        assert " ".join(row["hint"].split())[:40] in " ".join(shown(pilot.app).split())
