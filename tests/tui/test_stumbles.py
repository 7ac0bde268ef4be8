"""Where a newcomer stumbled: whose label a list means, whose page it is, what a sign stands for."""

from __future__ import annotations

import threading

import polars as pl
import pytest

from db import log, lookups
from db.store import Store
from segtui.operations.session import open_session
from segtui.operations.why import why
from segtui.tui import words
from segtui.tui.data import Data
from segtui.tui.decided import body
from segtui.tui.screens.change_words import summary
from segtui.tui.widgets.header import AsOf
from segtui.tui.widgets.key_bar import KeyBar
from tests.tui.small_shop import MODELS, TICKS, micro, with_rule, written

pytestmark = pytest.mark.usefixtures("network")
LAPSING = ("c-10400", "c-10437", "c-10474")


@pytest.fixture
def nested(shop):
    """The shop with a rule of its own, by which three users moved after everybody had a first label."""
    return with_rule(shop, LAPSING, "recency_days > 60")


@pytest.fixture
def renamed(shop):
    """The shop with `high` called `top` since the last tick."""
    digest, now = "5e" * 32, micro(TICKS[-1])
    labels = ["top", "medium", "low"]
    with Store.open(shop) as store, store.transaction(actor="tests", source="label") as tx:
        body = {"model": digest, "name": "mlp-5e5e", "segmentation": "value", "kind": "mlp", "labels": labels}
        horizon = {
            "thresholds": {"high_above": 5495},
            "known_from": "2025-12-01T00:00:00+01:00",
            "horizon": "90d",
            "metrics": {},
        }
        tx.append_decision("model_trained", body | horizon)
        edit = {"edit": "rename", "label": "high", "into": "top", "became": {"high": "top"}}
        about = {"segmentation": "value", "model": digest, "previous": MODELS[1], "labels": labels}
        edited = tx.append_decision("label_edited", about | edit | {"as_of": now})
        span = {"from": now, "as_of": now, "position": edited, "pass": 1, "model": digest}
        tx.append_decision(
            "rescored", {"segmentation": "value", "backfilled": False, "hindsight": False} | span
        )
        number, old, new = (
            tx.number("segmentation", "value"),
            tx.number("label", "high"),
            tx.number("label", "top"),
        )
        held = lookups.member_page(store, number, old)
        rows = held.select(
            "user",
            pl.lit(number).alias("segmentation"),
            pl.lit(old).alias("from_label"),
            pl.lit(new).alias("to_label"),
            "probability",
            pl.lit(now).alias("as_of"),
            pl.lit(1).alias("pass"),
            pl.lit("label").alias("cause"),
            pl.lit(edited).alias("cause_seq"),
            pl.lit(tx.number("reason", "renamed")).alias("reason"),
            pl.lit(tx.number("model", digest)).alias("model"),
            pl.lit(0).alias("backfilled"),
            pl.lit(0).alias("hindsight"),
        )
        tx.append_changes(
            rows.select(name for name in log.CHANGES if name != "seq").cast({"model": pl.Int64})
        )
        scores = pl.lit(b"", dtype=pl.Binary).alias("scores")
        moved = held.select(
            "user", pl.lit(new).alias("label"), "probability", "margin", scores, "since", change_seq="seq"
        )
        tx.save_members(number, moved)
        sizes = {"label": [new, old], "users": [held.height, 0], "expected": [12_000_000, None]}
        tx.save_sizes(
            pl.DataFrame(sizes).select(
                pl.lit(number).alias("segmentation"),
                pl.lit(1).alias("pass"),
                pl.lit(now).alias("as_of"),
                pl.all(),
            )
        )
    return shop


async def test_a_renamed_label_is_one_row_that_nobody_entered_or_left(
    shop, renamed, app_of, settle, press, shown, tmp_path
):
    before = Data(written(tmp_path / "before.db")).segment_moves("value=high", 30, None)
    async with app_of(renamed).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        page = pilot.app.page
        assert [page.rows.row(n)["label"] for n in range(page.rows.total)] == [None, "top", "medium", "low"]
        row = page.rows.row(1)
        assert (row["users"], row["change_30d"], len(set(row["trend"]))) == (12, 4, 6)
        told = text_of(pilot, "#reasons-text")
        assert told.startswith(f"▲ {before.into} in   ▼ {before.out} out")
        assert "renamed" not in shown(pilot.app)
        assert "medium > top" in text_of(pilot, "#latest-text")
        await press(pilot, "i")
        assert "the limit is 54.95 EUR: learnt" in shown(pilot.app)
        await press(pilot, "escape")
        await press(pilot, "5", "slash", "'value=top", "enter")
        page = pilot.app.page
        assert (page._moves.into, page._moves.out) == (before.into, before.out)
        assert page.rows.total == before.total
        assert "renamed" not in text_of(pilot, "#totals-text")
        await press(pilot, "o")
        assert (page.wanted.way, page.rows.total) == ("out", before.out)
        assert {page.rows.row(n)["from"] for n in range(page.rows.total)} == {"high"}


def text_of(pilot, selector):
    return str(pilot.app.screen.query_one(selector).render())


async def test_why_explains_the_segmentation_that_a_user_was_listed_for(nested, app_of, settle, press, shown):
    async with app_of(nested).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app, user = pilot.app, LAPSING[2]
        app.visit("user", user=user, member_of="value=high")
        await settle(pilot)
        assert "lapsing: (new) > out" in shown(app)
        assert "lapsing" in app.page.rows.row(0)["text"](40).plain, (
            "the newest change is of another segmentation"
        )
        await press(pilot, "w")
        page = app.page
        moved = [page.rows.row(n) for n in range(page.rows.total)]
        assert page.rows.item == next(each for each in moved if each["segmentation"] == "value")
        assert page.rows.item["from"] is not None
        assert page.query_one("#totals").border_title.startswith(f"why {user} moved in value")


async def test_why_explains_the_change_that_was_chosen_and_else_no_first_label(nested, app_of, settle, press):
    async with app_of(nested).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app = pilot.app
        app.visit("user", user=LAPSING[2])
        await settle(pilot)
        await press(pilot, "f", "f", "w")
        assert app.page.rows.item["from"] is not None
        await press(pilot, "escape", "G")
        chosen = app.page.rows.item["seq"]
        await press(pilot, "w")
        assert app.page.rows.item["seq"] == chosen
        assert app.page.rows.item["from"] is None


async def test_labels_say_whose_they_are_where_there_are_several_segmentations(
    nested, app_of, settle, press, shown
):
    async with app_of(nested).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        told = shown(pilot.app)
        assert "OF       FROM" in told
        assert "lapsing  out    > in" in told
        await press(pilot, "b", "b")
        assert "lapsing: out > in" in text_of(pilot, "#totals-text")
        # as of one that was retired since
        pilot.app.known_segments = ["value=high"]
        pilot.app.page.reload()
        await settle(pilot)
        assert "lapsing  out    > in" in shown(pilot.app)
        pilot.app.known_segments = ["value=high", "lapsing=in"]
        await press(pilot, "slash", "'lapsing", "enter")
        assert "OF       FROM" not in shown(pilot.app), "all are of one"
        await press(pilot, "escape", "4", "N", "N", *["greater_than_sign"] * 5)
        assert "lapsing  out    > in" in shown(pilot.app)


class SlowData(Data):
    """A store that tells of a user when it may."""

    def __init__(self, path):
        super().__init__(path)
        self.go_on = threading.Event()
        self.go_on.set()

    def user(self, user, at, history):
        assert self.go_on.wait(10)
        return super().user(user, at, history)


async def test_nobody_is_shown_under_anothers_id(shop, app_of, settle, press, shown):
    data = SlowData(shop)
    async with app_of(shop, data=data).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        page, first = pilot.app.page, pilot.app.page.user
        assert "CHANGE" in shown(pilot.app)
        data.go_on.clear()
        await pilot.press("full_stop")
        await pilot.pause()
        await pilot.pause()
        told = shown(pilot.app)
        data.go_on.set()
        assert page.user != first
        assert f"00:00 CET │ {page.user}" in told
        assert f"looking up {page.user} …" in told
        assert first not in told
        assert not {"CHANGE", "typical", "purchase", "P(high)"} & set(told.split())
        await settle(pilot)
        assert "CHANGE" in shown(pilot.app)
        pilot.app.visit("user", user="nobody")
        await settle(pilot)
        told = shown(pilot.app)
        assert "No user 'nobody'" in told
        assert "│ nobody" in told
        assert page.user not in told.replace("nobody", "")


async def test_a_replay_opens_on_the_segmentation_one_came_from(nested, app_of, settle, press):
    async with app_of(nested).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        page = pilot.app.get_screen("replay")
        await press(pilot, "j", "4")
        assert page.query_one("#sizes").border_title == "size: value"
        assert page.query_one("#chart").border_title == "size over time: medium (l)"
        await press(pilot, "escape", "G", "enter", "4", *["greater_than_sign"] * 5)
        assert page.query_one("#sizes").border_title == "size: lapsing"
        assert page.query_one("#chart").border_title == "size over time: in (l)"
        await press(pilot, "l")
        assert page.query_one("#chart").border_title == "size over time: out (l)"
        await press(pilot, "l")
        assert page.query_one("#sizes").border_title == "size: value"


async def test_members_say_what_the_titles_of_the_columns_are_short_for(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        assert "sorted by first import" in shown(pilot.app)
        told = text_of(pilot, "#legend")
        assert told == "P chance of the label   MARGIN its lead over the next   LEAVES when, if silent"
        pilot.app.page.segtui.prefer_and_keep("columns", "since")
        pilot.app.page._columns_chosen(["since", "margin"])
        assert text_of(pilot, "#legend") == "MARGIN its lead over the next"


async def test_why_of_a_segment_begins_with_its_size_then_and_now(shop, app_of, settle, press, shown):
    with open_session(shop) as s:
        told = why(s, "value=high", from_=s.ticks.days_before(s.require_as_of(), 30))
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        assert pilot.app.page.query_one("#totals").border_title == "value=high then and now (b: totals)"
        first = text_of(pilot, "#totals-text").splitlines()[0]
        sizes = f"{told['before']}   ▲ {told['in']} in   ▼ {told['out']} out   2026-03-01 {told['after']}"
        assert first == f"2026-01-30 {sizes}"
        assert told["before"] + told["in"] - told["out"] == told["after"]
        await press(pilot, "b")
        assert "totals by" in pilot.app.page.query_one("#totals").border_title
        await press(pilot, "escape", "k", "w")
        assert "totals by" in pilot.app.page.query_one("#totals").border_title, "all labels have one size"


def test_a_summary_counts_every_reason():
    told = {"from": "2026-01-30", "to": "2026-03-01", "before": 9, "after": 8, "in": 1, "out": 2}
    told |= {"by_customers": -1, "by_edits": 0, "by_reason": [["no order for 60 d", 2], ["a new order", 1]]}
    lines = summary(told).plain.splitlines()
    assert lines[1] == "net ▼ 1 by what customers did or let be, 0 by edits and models"
    assert [line.split()[:2] for line in lines[2:]] == [["2", "67%"], ["1", "33%"]]


async def test_a_filter_for_nothing_says_so_and_esc_shows_all(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "slash", "'hgih", "enter")
        told = shown(pilot.app)
        assert "Nothing matches hgih; esc shows all." in told
        assert "0 of 4 lines" in told
        assert not {"decided", "users"} & set(told.split())
        await press(pilot, "escape")
        assert pilot.app.page.rows.total == 4
        assert "48 users" in shown(pilot.app)
        assert "decided by mlp" in shown(pilot.app)


async def test_a_users_page_says_what_its_numbers_are(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "enter")
        told = shown(pilot.app)
        assert "+ speaks for high, - for low (log-odds)" in told
        assert "h hindsight" in told


def test_a_decision_in_words_leaves_out_what_says_nothing():
    told = {
        "as_of": 1_772_406_000_000_000,
        "identified": False,
        "position": 578_602,
        "refers": {},
        "where": None,
    }
    told |= {"labels": ["in", "out"], "features": {"kinds": ["purchase"], "windows": [7, 28], "fields": []}}
    assert body({"body": told}, "Europe/Paris") == [
        ("as of", "2026-03-02 00:00"),
        ("identified", "no"),
        ("position", "578,602"),
        ("labels", "in, out"),
        ("features", "kinds purchase; windows 7, 28"),
    ]


async def test_undo_is_offered_where_there_is_something_to_take_back(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "L")
        page = pilot.app.page
        keys = page.query_one(KeyBar)
        assert page.rows.item["undo"]
        assert "z undo" in keys.render().plain
        await press(pilot, "G")
        assert "z undo" not in keys.render().plain


@pytest.mark.parametrize(
    ("keys", "words_"),
    [
        ((), "w why|c changes|x export|i what if|t time|/ filter"),
        (("enter",), "w why|c changes|x export|/ filter|t time|space mark"),
        (("5",), "w why|o in/out|/ filter|b totals|t time"),
    ],
)
async def test_the_keys_most_used_are_shown_at_80_columns(shop, app_of, settle, press, shown, keys, words_):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, *keys)
        line = shown(pilot.app).splitlines()[-1]
        assert all(f" {each}  " in f"{line}  " for each in [*words_.split("|"), "? help"])


async def test_the_line_on_top_is_shortened_by_words_and_names_the_store(shop, app_of, settle, press, shown):
    async with app_of(shop).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        assert "  P CAUSE" in shown(pilot.app)
        line = pilot.app.page.query_one(AsOf)
        for subject, end in (("x" * 20, "up to date"), ("x" * 40, "up to date"), ("x" * 50, "x")):
            line.subject = words.Content(subject)
            assert line.render().plain.rstrip().endswith(f" {end}" if end != "x" else "x" * 50)
        await press(pilot, "X")
        assert shown(pilot.app).splitlines()[0].startswith(" shop.db ")


def test_words_are_cut_whole():
    assert words.cut("an order left the 90 d window", 29) == "an order left the 90 d window"
    assert words.cut("an order left the 90 d window", 28) == "an order left the 90 d…"
    assert words.cut("an order left the 90 d window", 10) == "an order…"
