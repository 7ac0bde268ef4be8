"""An id that looks like a surrogate never names another person than the one meant."""

import pytest

from db import forgetting
from segtui.operations.changes import changes
from segtui.operations.erase import erase
from segtui.operations.errors import OperationError
from segtui.operations.facts import Facts
from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.rescore import rescore
from segtui.operations.segment import from_file
from segtui.operations.user import user
from segtui.sources.judging import Judge
from tests.operations.conftest import line

WHO = "#1"


@pytest.fixture
def older(shop, monkeypatch):
    """A shop of before such ids were refused: its user 5 has the id `#1`, its user 1 the id `1`."""
    shop.at(3)
    with monkeypatch.context() as patch:
        patch.setattr(Judge, "_no_surrogate", lambda *_: None)
        shop.events([(name, 1, "purchase", 5.0) for name in ("1", "2", "3", "4", WHO)])
    with shop.open() as s:
        rescore(s)
    return shop


def test_such_ids_are_quarantined(shop):
    shop.at(3)
    told = shop.events([("#5", 1, "view"), ("#", 1, "view"), ("#5a", 1, "view"), ("u5", 1, "view")])
    assert (told["accepted"], told["quarantined"]) == (3, 1)
    with shop.open() as s:
        path = shop.path.with_name("alias.ndjson")
        path.write_text(str(line("u5", 1, "alias", previous="#7")).replace("'", '"'))
        assert import_files(s, [path], format="events")["quarantined"] == 1


def test_every_look_up_says_that_it_may_mean_two(older):
    path = older.path.with_name("list.txt")
    path.write_text("2\n#1\n")
    with older.open() as s:
        for ask in (
            lambda: user(s, WHO),
            lambda: list(changes(s, user=WHO)),
            lambda: from_file(s, "them", path),
        ):
            with pytest.raises(OperationError, match=r"'#1' is read as .* write #01 for .*, #05 for "):
                ask()
        assert (s.user("#01"), s.user("1"), s.user("#05"), s.user("#5")) == (1, 1, 5, 5)
        assert user(s, "#05")["user"] == WHO


def test_erasing_refuses_it_and_never_says_it(older):
    with older.open() as s:
        for ids in ([WHO], ["2", WHO]):
            with pytest.raises(OperationError, match="both a user's number and somebody else's id") as told:
                erase(s, ids)
            assert WHO not in str(told.value)
        assert forgetting.erased(s.store) == []
        erase(s, ["#05"])
        assert forgetting.erased(s.store) == [5]
        # Told again, it still is the id of somebody on the list, and no reason to forget another.
        with pytest.raises(OperationError, match="both a user's number"):
            erase(s, [WHO])
        erase(s, ["#01"])
        assert forgetting.erased(s.store) == [1, 5]


def test_erasing_refuses_a_number_that_a_quarantined_row_has_for_an_id(shop):
    shop.at(3)
    shop.events([("u1", 1, "view"), ("u2", 1, "view"), ("#2", 1, "view"), (1, -9999, "view")])
    with shop.open() as s:
        with pytest.raises(OperationError, match="both a user's number"):
            erase(s, ["#2"])
        assert erase(s, ["#1"])["quarantined"] == 0
        assert forgetting.erased(s.store) == [1]


def test_what_a_list_names_leads_back_to_whom_it_named(older):
    with older.open() as s:
        segment = next(
            each for each in ("value=high", "value=medium", "value=low") if members(s, each)["total"]
        )
        names = [each["user"] for each in members(s, segment)["members"]]
        assert WHO in names
        assert s.vault_numbers([WHO, "1"]) == {WHO: 5, "1": 1}
        assert Facts(s).features(s, segment, [WHO], ["orders_90d"], None)[WHO] == {"orders_90d": 1}


def test_without_the_key_a_number_is_a_number(older):
    older.path.with_name("shop.db.key").unlink()
    with older.open() as s:
        assert s.user(WHO) == 1
        assert s.surrogates([WHO]) == {WHO: 1}


@pytest.mark.parametrize("text", ["#0", "#6", "#999999999999999999"])
def test_a_number_nobody_has_is_no_user(older, text):
    with older.open() as s, pytest.raises(OperationError, match=f"No user '{text}' in "):
        user(s, text)


def test_blanks_around_an_id_are_nothing(older):
    with older.open() as s:
        assert s.user("  2 ") == 2
