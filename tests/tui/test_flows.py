"""The five pages by keys, as an operator walks through them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from db import log
from db.store import Store
from segtui.operations.changes import change_frame, totals
from segtui.operations.errors import OperationError
from segtui.operations.session import open_session
from segtui.tui import words
from segtui.tui.data import _flows
from segtui.tui.exporting import shortened
from segtui.tui.questions import Filter

pytestmark = pytest.mark.usefixtures("network")


def text_of(pilot, selector: str) -> str:
    return str(pilot.app.screen.query_one(selector).render())


# The five questions


async def test_who_is_in_high_value(pilot, press):
    await press(pilot, "enter")
    page = pilot.app.page
    assert (page.PAGE, page.segment, page.total) == ("members", "value=high", 12)
    assert page.rows.item["user"].startswith("c-")


async def test_who_just_left_high_value(pilot, press):
    await press(pilot, "c", "o")
    page = pilot.app.page
    assert page.PAGE == "changes"
    assert page.wanted == Filter(segment="value=high", way="out")
    assert page.rows.total == 8
    assert {page.rows.row(n)["from"] for n in range(8)} == {"high"}
    newest_first = [page.rows.row(n)["as_of"] for n in range(8)]
    assert newest_first == sorted(newest_first, reverse=True)


async def test_why_this_user_moved(pilot, press, shown):
    await press(pilot, "c", "j", "w")
    row = pilot.app.page.rows.item
    told = text_of(pilot, "#totals-text")
    assert f"{row['from']} > {row['to']}" in " ".join(told.split())
    assert row["reason"] in told
    # the event itself, not its number
    assert row["cause"] == "event"
    assert "purchase  sku-" in told
    assert "EUR" in told


async def test_the_list_as_a_file(pilot, press, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await press(pilot, "x", "enter")
    with (tmp_path / "value-high.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert all(row["user"].startswith("#") for row in rows)
    told = pilot.app.notices[-1].text
    assert told.startswith("12 rows by numbers in ")
    assert told.endswith(f"{tmp_path.name}/value-high.csv.")


async def test_the_list_by_real_ids(pilot, press, shown, shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await press(pilot, "x")
    assert "users as numbers, as in #3: only this store knows who they are" in shown(pilot.app)
    await press(pilot, "ctrl+r")
    assert "users by their real ids: whoever has the file knows who they are" in shown(pilot.app)
    await press(pilot, "ctrl+r", "ctrl+r", "enter")
    with (tmp_path / "value-high.csv").open() as file:
        assert all(row["user"].startswith("c-") for row in csv.DictReader(file))
    assert pilot.app.notices[-1].text.startswith("12 rows by real ids in ")
    with open_session(shop) as s:
        assert log.decisions(s.store, kinds=("exported",))[-1].body["identified"]


async def test_real_ids_want_the_key(pilot, press, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await press(pilot, "x", "ctrl+r")
    monkeypatch.delenv("SEGTUI_KEY")
    await press(pilot, "enter")
    assert "is missing: put back" in shown(pilot.app)
    assert not (tmp_path / "value-high.csv").exists()
    await press(pilot, "ctrl+r", "enter")
    assert (tmp_path / "value-high.csv").exists()


def test_a_long_path_keeps_its_end():
    path = Path("/home/somebody/projects/shop/exports/of/this/spring/value-high.csv")
    assert shortened(path) == "…/projects/shop/exports/of/this/spring/value-high.csv"
    assert shortened(Path("/tmp/value-high.csv")) == "/tmp/value-high.csv"


def test_reasons_and_moves_that_are_as_frequent_stay_in_their_order(shop):
    with open_session(shop) as s:
        frame = change_frame(s).unique(["cause", "reason", "from_label", "to_label"], maintain_order=True)
        for told in (totals, _flows):
            assert all(told(s, frame.sample(fraction=1, shuffle=True)) == told(s, frame) for _ in range(9))


# Getting about


async def test_digits_go_to_pages_and_esc_comes_back(pilot, press):
    for digit, page in zip("2345", ("members", "user", "replay", "changes"), strict=True):
        await press(pilot, digit)
        assert page == pilot.app.page.PAGE
    seen = []
    for _ in range(6):
        await press(pilot, "escape")
        seen.append(pilot.app.page.PAGE)
    assert seen == ["replay", "user", "members", "segments", "segments", "segments"]
    assert pilot.app.is_running


async def test_esc_brings_back_what_was_shown(pilot, press):
    await press(pilot, "enter", "j", "j")
    members = pilot.app.page
    user = members.rows.item["user"]
    await press(pilot, "enter")
    assert pilot.app.page.user == user
    await press(pilot, "escape")
    assert pilot.app.page is members
    assert members.rows.item["user"] == user
    await press(pilot, "escape", "j", "enter")
    assert pilot.app.page.segment == "value=medium"
    await press(pilot, "escape", "escape")
    assert pilot.app.page.PAGE == "segments"


async def test_q_quits(pilot, press):
    await pilot.press("q")
    await pilot.pause()
    assert not pilot.app.is_running


async def test_help_is_about_the_page_and_esc_closes_it(pilot, press, shown):
    await press(pilot, "5", "question_mark")
    assert "Who moved from where to where" in shown(pilot.app)
    await press(pilot, "escape")
    assert pilot.app.page.PAGE == "changes"
    assert pilot.app.screen is pilot.app.page


async def test_a_user_that_is_not_there_is_a_sentence(pilot, press, shown):
    await press(pilot, "colon", "'nobody")
    await pilot.pause(0.3)
    await press(pilot, "enter")
    assert "No user 'nobody'" in shown(pilot.app)
    await press(pilot, "escape", "exclamation_mark")
    assert "No user 'nobody'" in shown(pilot.app)


# Members


async def test_members_are_filtered_by_an_expression(pilot, press, shown):
    await press(pilot, "enter", "slash", "'margin < 0.3", "enter")
    page = pilot.app.page
    assert page.filter == "margin < 0.3"
    assert 0 < page.total < 12
    assert all(page.rows.row(n)["margin"] < 0.3 for n in range(page.total))
    await press(pilot, "slash", "ctrl+u", "enter")
    assert (page.filter, page.total) == ("", 12)


async def test_an_expression_for_nobody_says_what_to_do(pilot, press, shown):
    await press(pilot, "enter", "slash", "'margin > 5", "enter")
    assert pilot.app.page.total == 0
    assert "press / and change the filter" in shown(pilot.app)


async def test_members_are_sorted_and_reversed(pilot, press):
    await press(pilot, "enter", "s")
    page = pilot.app.page
    rising = [page.rows.row(n)["probability"] for n in range(page.total)]
    assert rising == sorted(rising)
    await press(pilot, "S")
    assert [page.rows.row(n)["probability"] for n in range(page.total)] == sorted(rising, reverse=True)


# User


async def test_a_past_moment_is_not_sorted_by_what_was_not_recorded(pilot, press, shown):
    await press(pilot, "2", "s")
    page = pilot.app.page
    assert page.order == "probability"
    await press(pilot, "t", "'2026-02-10", "enter")
    assert page.total > 0
    assert "sorted by first import" in shown(pilot.app)
    orders = []
    for _ in range(3):
        await press(pilot, "s")
        orders.append(page.sorting)
    assert orders == ["since", "cause", "leaves"]
    await press(pilot, "t", "'now", "enter", "s", "s")
    assert page.sorting == "probability"


async def test_a_user_is_shown_with_cause_and_events(pilot, press, shown):
    await press(pilot, "enter", "enter")
    screen = shown(pilot.app)
    assert "why high, not low" in screen
    assert "typical high user" in screen
    assert "log-odds high : low" in screen
    assert "CHANGE" in screen
    assert "purchase" in screen
    await press(pilot, "f")
    rows = [pilot.app.page.rows.row(n) for n in range(pilot.app.page.rows.total)]
    assert {row.get("kind") for row in rows} <= {"purchase", "refund"}
    await press(pilot, "f")
    assert all(pilot.app.page.rows.row(n)["change"] for n in range(pilot.app.page.rows.total))


async def test_comma_and_dot_walk_through_the_list_one_came_from(pilot, press):
    await press(pilot, "enter")
    users = [pilot.app.page.rows.row(n)["user"] for n in range(3)]
    await press(pilot, "enter", "full_stop")
    assert pilot.app.page.user == users[1]
    await press(pilot, "full_stop", "comma", "comma", "comma")
    assert pilot.app.page.user == users[0]
    assert pilot.app.notices[-1].text == "No other user in the list there."


async def test_the_user_page_without_a_user_says_how_to_choose(pilot, press, shown):
    await press(pilot, "3")
    assert "No user chosen" in shown(pilot.app)


# Changes


async def test_changes_by_cause_and_period(pilot, press, shown):
    await press(pilot, "5")
    page = pilot.app.page
    everything = page.rows.total
    await press(pilot, "f")
    assert (page.wanted.cause, page.rows.total) == ("model", 4)
    await press(pilot, *"f" * 11)
    assert page.wanted.cause is None
    await press(pilot, "T", "T", "T")
    assert page.wanted.days == 1
    assert 0 < page.rows.total < everything
    await press(pilot, "A")
    assert page.wanted.first


async def test_totals_add_up_by_reason_cause_and_move(pilot, press):
    await press(pilot, "5")
    page = pilot.app.page
    for by in ("reason", "cause", "move"):
        assert by in page.query_one("#totals").border_title
        counts = [int(line.split()[0]) for line in text_of(pilot, "#totals-text").splitlines()]
        assert sum(counts) == page.rows.total
        await press(pilot, "b")


async def test_no_changes_says_how_to_widen(pilot, press, shown):
    await press(pilot, "5", *"ff")
    assert pilot.app.page.wanted.cause == "definition"
    assert "T widens the period" in shown(pilot.app)


async def test_in_and_out_wants_a_segment(pilot, press):
    await press(pilot, "5", "o")
    assert "In or out of which segment?" in pilot.app.notices[-1].text
    await press(pilot, "slash", "'value=low", "enter", "o")
    assert pilot.app.page.wanted == Filter(segment="value=low", way="out")


async def test_a_segment_that_is_not_there_is_told_in_the_line(pilot, press):
    await press(pilot, "5", "slash", "'value=hgih", "enter")
    assert "no segment 'value=hgih'" in text_of(pilot, "#filter-said")


# Time


async def test_time_travel_holds_on_every_page(pilot, press, shown):
    await press(pilot, "t", "'2026-02-10", "enter")
    app = pilot.app
    assert "TIME TRAVEL" in shown(app)
    assert "Tue 2026-02-10 00:00 CET" in shown(app)
    with open_session(app.data.path) as s:
        then = app.data.segments(app.at)
        assert s.ticks.at_or_after(app.at) == app.at
    sizes = {label["label"]: label["users"] for label in then["segmentations"][0]["labels"]}
    await press(pilot, "enter")
    assert pilot.app.page.total == sizes["high"] != 12
    assert "TIME TRAVEL" in shown(app)
    await press(pilot, "5")
    assert "TIME TRAVEL" in shown(app)
    assert app.page.rows.item["as_of"][:10] <= "2026-02-10"
    await press(pilot, "t", "'now", "enter")
    assert app.at is None
    assert "TIME TRAVEL" not in shown(app)
    await press(pilot, "2")
    assert pilot.app.page.total == 12


async def test_a_time_that_is_none_is_told_in_the_prompt(pilot, press):
    await press(pilot, "t", "'soon", "enter")
    assert "'soon' is not a time" in text_of(pilot, "#prompt-error")
    await press(pilot, "escape")
    assert pilot.app.at is None


async def test_a_time_that_nothing_is_known_of_is_told_in_the_prompt(pilot, press):
    await press(pilot, "t", "'2031-01-01", "enter")
    there = "there is 2026-01-30 to 2026-03-01, and now."
    assert text_of(pilot, "#prompt-error") == f"2031-01-01 is yet to come: {there}"
    await press(pilot, "ctrl+u", "'2020-01-01", "enter")
    assert text_of(pilot, "#prompt-error") == f"2020-01-01 is before all that is recorded: {there}"


async def test_the_first_and_the_last_moment_are_there(pilot, press):
    await press(pilot, "t", "'2026-01-30", "enter")
    assert pilot.app.at == words.microseconds("2026-01-30T00:00:00+01:00")
    await press(pilot, "t", "'2026-03-01", "enter")
    assert pilot.app.screen is pilot.app.page
    assert pilot.app.at is None


# Live


async def test_another_process_commits_and_the_cursor_stays(pilot, press, settle, shop):
    await press(pilot, "enter", "G")
    page = pilot.app.page
    user, index = page.rows.item["user"], page.rows.cursor
    assert index == 11
    with Store.open(shop) as store, store.transaction(actor="another process") as tx:
        number, label = tx.number("segmentation", "value"), tx.number("label", "low")
        first = store.vault.surrogate(page.rows.row(0)["user"])
        moved = {"user": [first], "label": [label], "probability": [1], "margin": [1], "scores": [b""]}
        import polars as pl

        tx.save_members(number, pl.DataFrame(moved | {"since": [0], "change_seq": [None]}))
        tx.append_decision("exported", {})
    for _ in range(100):
        await settle(pilot)
        if page.rows.total == 11:
            break
    assert page.rows.total == 11
    assert page.rows.item["user"] == user
    assert page.rows.cursor == 10


async def test_copying_the_command_line(pilot, press):
    await press(pilot, "enter", "slash", "'margin < 0.3", "enter", "s", "Y")
    assert pilot.app.clipboard.startswith("segtui --store ")
    assert pilot.app.clipboard.endswith("members value=high --where 'margin < 0.3' --order=probability")


async def test_tabs_can_be_clicked(pilot, settle, shown):
    top = shown(pilot.app).splitlines()[0]
    await pilot.click("Tabs", offset=(top.index("5 Changes") + 2, 0))
    await settle(pilot)
    assert pilot.app.page.PAGE == "changes"


async def test_a_person_is_forgotten_once_the_word_is_typed(pilot, press, shown, settle, shop):
    await press(pilot, "enter", "enter")
    app = pilot.app
    user = app.page.user
    with open_session(shop) as s:
        number = s.user(user)
    await press(pilot, "E", *"eras", "enter")
    assert "Type erase or purge in full" in text_of(pilot, "#prompt-error")
    await press(pilot, "e", "enter")
    await settle(pilot)
    told = [notice.text for notice in app.notices]
    assert any(text.startswith("Forgotten, with") for text in told)
    assert not any(user in text for text in told)
    assert app.page.user is None
    with open_session(shop) as s, pytest.raises(OperationError, match="was erased"):
        s.user(f"#{number}")
    await press(pilot, "5", "A")
    rows = [app.page.rows.row(at) for at in range(app.page.rows.total)]
    own = [row for row in rows if row is not None and row["user"] == f"#{number}"]
    assert own
    assert {words.who(row) for row in own} == {"(erased)"}
