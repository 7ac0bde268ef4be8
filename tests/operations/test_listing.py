"""A listing tells what `members` tells, page by page, whatever is asked about it in turn."""

import itertools
import threading
import time

import polars as pl
import pyarrow as pa
import pytest

from engine.errors import EngineError
from segtui.operations.erase import erase
from segtui.operations.errors import OperationError
from segtui.operations.like import Ids, Narrowing
from segtui.operations.listing import Listing
from segtui.operations.members import members
from segtui.operations.progress import Stopped
from segtui.operations.segment import define
from tests.operations.conftest import two_dozen

WHERES = (
    None,
    "margin < 0.2",
    "probability > 0.1 AND orders_90d >= 2",
    "orders_90d >= 2 AND keen",
    "NOT date",
    "recency_days < 3",
)
ORDERS = ("user", "-user", "margin", "-margin", "since", "-cause")


@pytest.fixture
def lived(lived_through, give_model):
    """Two dozen customers under a model, with a segment of their own, some of them back on the last day."""

    def story(shop):
        shop.at(20.5)
        shop.events(two_dozen())
        with shop.open() as s:
            give_model(s)
            define(s, "keen", "recency_days < 4")
            # A word that rules are not made of, unless something is called so.
            define(s, "date", "recency_days < 4")

    return lived_through(story)


def segment_of_most(s):
    found = {name: members(s, f"value={name}")["total"] for name in ("high", "medium", "low")}
    return f"value={max(found, key=found.get)}"


def test_every_page_is_that_of_members(lived):
    with lived.open() as s:
        segment = segment_of_most(s)
        listing = Listing(s, segment, None)
        seen = set()
        for where, order in itertools.product(WHERES, ORDERS):
            for offset in (0, 2, 5):
                how = {"where": where, "order": order, "offset": offset, "limit": 3}
                page = listing.page(s, **how)
                assert page == members(s, segment, **how)
            seen.add(page["total"])
        assert len(seen) > 2


def test_pages_from_either_end_are_slices_of_everyone(lived):
    with lived.open() as s:
        segment = segment_of_most(s)
        for order in ("user", "-user"):
            everyone = members(s, segment, order=order, limit=None)["members"]
            assert len(everyone) > 6
            for offset, limit in itertools.product(range(len(everyone) + 2), (1, 3, 50)):
                page = members(s, segment, order=order, offset=offset, limit=limit)
                assert page["members"] == everyone[offset : offset + limit]
                assert page["total"] == len(everyone)


def test_a_past_moment_has_no_margins_to_ask_for(lived):
    lived.at(25.5)
    lived.events([("u01", 25.1, "purchase", 90.0)])
    with lived.open() as s:
        from segtui.operations.rescore import rescore

        rescore(s)
        at = lived.instant(21)
        segment = segment_of_most(s)
        listing = Listing(s, segment, at)
        how = {"where": "recency_days < 3", "order": "since", "offset": 0, "limit": 9}
        assert listing.page(s, **how) == members(s, segment, at=at, **how)
        for refused in ({"where": "margin < 1", "order": None}, {"where": None, "order": "margin"}):
            with pytest.raises(OperationError, match="No margin is recorded"):
                listing.page(s, offset=0, limit=9, **refused)


def test_it_is_current_until_the_log_moves_on(lived):
    with lived.open() as s:
        segment = segment_of_most(s)
        listing = Listing(s, segment, None)
        assert listing.current(s, segment, None)
        assert not listing.current(s, "value=medium", None)
        define(s, "late", "recency_days > 9")
        assert not listing.current(s, segment, None)
        with pytest.raises(EngineError, match="margni"):
            listing.page(s, "margni < 1", None, 0, 9)


def test_a_fault_that_no_name_could_mend_is_told_without_reading_the_log(lived, monkeypatch):
    with lived.open() as s:
        listing = Listing(s, segment_of_most(s), None)
        monkeypatch.setattr(s, "events", lambda **_: pytest.fail("the log was read"))
        for where in ("margin <", "probability > 0.1 AND", "margin", "(margin < 0.1"):
            with pytest.raises(EngineError):
                listing.page(s, where, None, 0, 9)
        assert listing.page(s, "margin < 2", None, 0, 9)["total"] > 0


@pytest.mark.parametrize(
    "texts", [("u", "u0", "!u0", "u01", "1", "!1", "u", ""), ("3", "!x", "x", "3", "13")]
)
def test_what_a_text_keeps_does_not_depend_on_those_before(texts):
    told = [f"u{n:02}" for n in range(24)]
    ids = Narrowing(pa.array(told, pa.large_string()))
    for text in texts:
        part = text.removeprefix("!")
        expected = [(part in each) is not text.startswith("!") for each in told]
        assert ids.like(text).to_list() == expected, text


def test_ids_are_told_once_for_all_listings_until_somebody_is_forgotten(lived, monkeypatch):
    ids = Ids()
    with lived.open() as s:
        segments = [f"value={name}" for name in ("high", "medium", "low")]
        pages = [Listing(s, segment, None, ids).page(s, None, None, 0, 99, "U0") for segment in segments]
        named = [row["user"] for page in pages for row in page["members"]]
        assert sorted(named) == [f"u0{n}" for n in range(10)]
        with monkeypatch.context() as patch:
            patch.setattr(s.store.vault, "named", lambda _: pytest.fail("the vault was read"))
            users = pl.Series([s.user("u07"), s.user("u03"), s.user("u07")])
            assert ids.of(s, users).tolist() == ["u07", "u03", "u07"]
        erase(s, ["u07"])
        assert ids.of(s, users).tolist() == [f"#{users[0]}", "u03", f"#{users[0]}"]
        assert "u07" not in str(ids._known["external"].to_list())


def test_ids_are_read_on_for_whoever_still_asks(lived, monkeypatch):
    monkeypatch.setattr("db.store.FETCHED_ROWS", 5)
    ids, given_up, later = Ids(), threading.Event(), []

    def ask():
        with lived.open() as s:
            later.append(ids.of(s, everyone).tolist())

    second = threading.Thread(target=ask)

    def progress(_what, share):
        if share > 0.5 and not second.ident:
            second.start()
            while len(ids._asking) < 2:
                time.sleep(0.001)
            given_up.set()

    with lived.open() as s:
        everyone = pl.Series(sorted(s.vault_numbers([f"u{n:02}" for n in range(24)]).values()))
        first = ids.of(s, everyone, progress, given_up.is_set).tolist()
        second.join()
        assert later == [first]
        with pytest.raises(Stopped):
            Ids().of(s, everyone, cancelled=lambda: True)


@pytest.mark.parametrize("where", ["user = 'u03'", "'u03' = user AND orders_90d >= 2", "user IN ('u03')"])
def test_an_id_in_an_expression_is_told_how_to_be_looked_for(lived, where):
    with (
        lived.open() as s,
        pytest.raises(EngineError, match="user is a number, the 12 of #12: look for an id"),
    ):
        members(s, segment_of_most(s), where=where)
