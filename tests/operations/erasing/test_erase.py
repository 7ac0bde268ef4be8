"""Forgetting persons: nothing of them is left, and nobody else is touched."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import polars as pl
import pytest

from db import forgetting, log, projections, vocabulary
from db.backup import backup
from db.content import content_digest
from db.erasures import Erasures, erasures_path
from segtui.operations.changes import changes
from segtui.operations.erase import erase, lift
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.key import rotate
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.retain import retain
from segtui.operations.session import open_session
from segtui.operations.verify import verify
from tests.operations.erasing.conftest import DAYS, EMAIL, START, WHO, events, found, holders, purchase, sound


@pytest.mark.parametrize("purge", [False, True])
def test_nothing_of_them_is_left_in_the_folder_or_in_a_new_backup(
    peopled, tmp_path: Path, purge: bool
) -> None:
    folder, aside = peopled.path.parent, Path(f"{peopled.path}.before-version-2-20260101T000000")
    with peopled.open() as s:
        gone = s.user(WHO)
        lookup, sealed = s.store.rows("SELECT lookup, ciphertext FROM vault WHERE user = ?", (gone,))[0]
        who = [EMAIL.encode(), WHO.encode(), lookup, sealed]
        what = s.store.rows("SELECT source_id FROM behaviour WHERE user = ? LIMIT 1", (gone,))[0]
        backup(s.store, aside)
        assert found(folder, *who, *what) == [*who, *what]
        told = erase(s, [WHO], purge=purge)
        # While the store is open: its write-ahead log counts as well.
        assert found(folder, *who) == []
        assert found(folder, *what) == ([] if purge else list(what))
        backup(s.store, tmp_path / "new.db")
        assert found(tmp_path, *who) == []
        sound(s)
    assert (told["persons"], told["identities"], told["events"], told["purged"]) == (1, 1, 6, 6 * purge)
    assert (told["quarantined"], told["pending"]) == (1, False)
    assert told["removed"] == ([str(aside)] if purge else [])
    assert not [value for value in told.values() if WHO in str(value) or EMAIL in str(value)]
    (left,) = (folder / "shop.db.quarantine").iterdir()
    assert "customer-1" in left.read_text()


def test_words_that_only_they_used_go_with_a_purge(peopled, write, tmp_path: Path) -> None:
    table = "customer_id,tier,motto\n" + f"customer-1,gold,carpe diem\n{WHO},gold,per aspera ad Zoe\n"
    more = [
        purchase(WHO, 6.1, 3, order="order-of-hers-1", item="portrait of Zoe", region="north"),
        purchase(WHO, 6.2, 3, order="order-of-both-2", item="lamp", region="north"),
        purchase("customer-1", 6.3, 3, order="order-of-both-2", item="lamp", region="north"),
    ]
    hers = [b"order-of-hers-1", b"portrait of Zoe", b"per aspera ad Zoe", b"o-11-3"]
    shared = [b"order-of-both-2", b"lamp", b"north", b"gold", b"carpe diem", b"o-1-3"]
    with peopled.open() as s:
        import_files(s, [write(more)], format="events")
        import_files(s, [write(table, "table.csv")], format="table")
        head = s.store.chain_digest().hex()
        assert found(peopled.path.parent, *hers, *shared) == [*hers, *shared]
        others = log.behaviour(s.store).filter(pl.col("user") != s.user(WHO))
        told = erase(s, [WHO], purge=True, dry_run=True)
        assert told["words"] == 3 + DAYS
        assert erase(s, [WHO], purge=True)["words"] == told["words"]
        assert found(peopled.path.parent, *hers) == []
        backup(s.store, tmp_path / "new.db")
        assert found(tmp_path, *hers) == []
        assert found(tmp_path, *shared) == shared
        assert log.behaviour(s.store).equals(others)
        assert verify(s, head=head)["ok"]
        sound(s)
        lift(s, [WHO])
        assert import_files(s, [write(more)], format="events")["accepted"] == 2
        retain(s, "2d")
        assert found(peopled.path.parent, b"o-1-3", b"order-of-both-2") == [b"order-of-both-2"]
        sound(s)


@pytest.mark.parametrize("purge", [False, True])
def test_nobody_else_is_touched(peopled, purge: bool) -> None:
    with peopled.open() as s:
        others = pl.col("user") != s.user(WHO)
        before, rows = holders(s), log.behaviour(s.store)
        erase(s, [WHO], purge=purge)
        assert holders(s).equals(before.filter(others))
        assert rescore(s, full=True)["changed"] == 0
        assert holders(s).equals(before.filter(others))
        assert log.behaviour(s.store).equals(rows.filter(others) if purge else rows)
        sound(s)


def test_causes_that_point_to_purged_events_say_so(peopled) -> None:
    with peopled.open() as s:
        gone = s.user(WHO)
        before = list(changes(s, first=True))
        assert {each["cause"] for each in before} == {"event"}
        assert not any(each["redacted"] for each in before)
        erase(s, [WHO], purge=True)
        (own,) = (each for each in changes(s, first=True) if each["redacted"])
        assert (own["user"], own["cause"]) == (f"#{gone}", "event")
        assert own["cause_seq"] in [each["cause_seq"] for each in before]


def test_a_membership_ends_with_the_decision_that_names_nobody(peopled) -> None:
    with peopled.open() as s:
        gone = s.user(WHO)
        told = erase(s, [WHO])
        (decision,) = log.decisions(s.store, kinds=("users_erased",))
        assert decision.seq == told["seq"]
        nothing = {"purged": 0, "rest": [], "words": 0, "rest_words": []}
        assert decision.body == {"persons": 1, "identities": 1, "events": 6} | nothing
        (change,) = changes(s, cause="erasure")
        assert (change["user"], change["to"], change["cause_seq"]) == (f"#{gone}", None, told["seq"])
        assert change["reason"] == "forgotten on request"
        with pytest.raises(OperationError, match="was erased"):
            s.user(f"#{gone}")


def test_the_content_is_that_of_a_store_that_never_knew_them(peopled, make_shop, write) -> None:
    with peopled.open() as s:
        erase(s, [WHO])
        digest = content_digest(s.store)
    with make_shop().open() as s:
        rest = write([row for row in events() if row["user"] != WHO])
        assert import_files(s, [rest], format="events")["content_digest"] == digest


def test_who_is_asked_for_is_never_told(peopled) -> None:
    with peopled.open() as s:
        head = s.store.head()
        with pytest.raises(OperationError) as refused:
            erase(s, ["customer-1", "a-stranger"])
        assert str(refused.value).startswith("Line 2 names nobody known in")
        assert "stranger" not in str(refused.value)
        with pytest.raises(OperationError, match="This is nobody known in"):
            erase(s, ["a-stranger"])
        with pytest.raises(OperationError, match="Nobody to forget"):
            erase(s, ["", " "])
        assert s.store.head() == head
    assert not erasures_path(peopled.path).exists()


@pytest.mark.parametrize("odd", ["#²", "#٣", "#" + "9" * 30, "caf\udce9"])
def test_an_odd_id_is_nobodys_and_no_failure(peopled, odd: str) -> None:
    with peopled.open() as s:
        for ask in (lambda: erase(s, [odd]), lambda: lift(s, [odd]), lambda: s.user(odd)):
            with pytest.raises(OperationError, match=r"This is nobody|No user"):
                ask()
        assert s.surrogates([odd, WHO]) == {WHO: s.user(WHO)}


def test_several_at_once_however_they_are_named(peopled) -> None:
    with peopled.open() as s:
        number = s.user("customer-3")
        told = erase(s, ["customer-2", f"#{number}", "customer-3", "", " customer-2 "], purge=True)
        assert (told["persons"], told["purged"]) == (2, 2 * DAYS)
        assert erase(s, ["customer-2", "customer-3"])["already"] == 2
        assert [each.seq for each in log.decisions(s.store, kinds=("users_erased",))] == [told["seq"]]
        sound(s)


def test_all_aliases_of_a_person_are_forgotten(peopled, write) -> None:
    alias = {"user": "customer-1", "previous": "customer-4", "kind": "alias", "time": START.isoformat()}
    with peopled.open() as s:
        one, two = s.user("customer-1"), s.user("customer-4")
        import_files(s, [write([alias])], format="events")
        told = erase(s, ["customer-4"], purge=True, dry_run=True)
        assert (told["persons"], told["identities"], told["events"]) == (1, 2, 2 * DAYS + 1)
        assert erase(s, ["customer-4"], purge=True)["persons"] == 1
        assert forgetting.erased(s.store) == [one, two]
        assert Erasures(s.store).states(["customer-1"]) == {"customer-1": "purged"}


@pytest.mark.parametrize("vault", [True, False])
def test_a_view_over_the_identities_stays_what_it_is(tmp_path: Path, write, vault: bool) -> None:
    path = tmp_path / "shop.db"
    init(path, currency="EUR", clock="wall", vault=vault)
    with open_session(path) as s:
        import_files(s, [write([purchase(name, 0, 5) for name in "abc"])], format="events")
        table = s.store.vault.table
        s.store.connection.execute(f"CREATE VIEW who AS SELECT user FROM {table}")
        for gone, left in (("a", 2), ("b", 1)):
            erase(s, [gone])
            assert s.store.rows("SELECT count(*) FROM who") == [(left,)]
        if vault:
            rotate(s)
            assert s.store.rows("SELECT count(*) FROM who") == [(1,)]


def test_what_they_did_can_be_purged_by_number_later(peopled) -> None:
    with peopled.open() as s:
        gone = s.user(WHO)
        erase(s, [WHO])
        told = erase(s, [f"#{gone}"], purge=True)
        assert (told["identities"], told["purged"]) == (0, DAYS)
        assert log.behaviour(s.store, users=[gone]).is_empty()
        sound(s)


def test_an_email_is_found_in_any_case(shop, write) -> None:
    mapping = write('[columns]\nemail = "mail"\ntime = "at"\n[constants]\nkind = "view"\n', "map.toml")
    rows = write("mail,at\nAnn@Example.org,2026-01-05\nbob@example.org,2026-01-05\n")
    with shop.open() as s:
        import_files(s, [rows], mapping=mapping)
        assert erase(s, ["ANN@example.ORG"])["persons"] == 1
        assert import_files(s, [rows], mapping=mapping)["suppressed"] == 1


def test_somebody_who_is_only_in_quarantine_is_forgotten_too(shop, write) -> None:
    rows = write([purchase("c-1", 0, 1), {"user": "c-2", "time": "when?", "kind": "view"}])
    with shop.open() as s:
        file = Path(import_files(s, [rows], format="events")["quarantine_file"])
        told = erase(s, ["c-2"])
        assert (told["persons"], told["identities"], told["quarantined"]) == (1, 0, 1)
        assert not file.exists()
        assert import_files(s, [rows], format="events")["suppressed"] == 1
        sound(s)


def test_a_rerun_ends_and_tells_what_a_reader_held_up(peopled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.sqlite.BUSY_SECONDS", 0.1)
    with peopled.open() as s, peopled.open() as other:
        with other.store.reading():
            other.store.rows("SELECT count(*) FROM vault")
            assert erase(s, [WHO])["pending"]
            told = erase(s, [WHO])
            assert (told["already"], told["pending"]) == (1, True)
        assert not erase(s, [WHO])["pending"]
        assert not forgetting.to_wipe(s.store)


def test_a_dry_run_tells_and_changes_nothing(peopled) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in peopled.path.parent.rglob("*.ndjson")}

    with peopled.open() as s:
        before = s.store.head(), files()
        tried = erase(s, [WHO], purge=True, dry_run=True)
        assert (s.store.head(), files()) == before
        done = erase(s, [WHO], purge=True)
    assert {**tried, "seq": done["seq"]} == done | {"dry_run": True}


def test_the_receipt_tells_what_was_done_and_not_to_whom(peopled, tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    with peopled.open() as s:
        told = erase(s, [WHO], receipt=receipt)
        content = json.loads(receipt.read_text())
        assert (content["seq"], content["chain_digest"]) == (told["seq"], s.store.chain_digest().hex())
        assert stat.S_IMODE(receipt.stat().st_mode) == 0o600
        assert WHO not in receipt.read_text()
        head = s.store.head()
        for wrong, words in ((receipt, "there already"), (tmp_path / "nowhere" / "r.json", "cannot be made")):
            with pytest.raises(OperationError, match=words):
                erase(s, ["customer-1"], receipt=wrong)
        assert s.store.head() == head


def test_the_models_that_learnt_from_them_are_named(peopled, give_model, write) -> None:
    with peopled.open() as s:
        give_model(s)
        import_files(s, [write([purchase("later", 6.9, 3)])], format="events")
        assert erase(s, ["customer-4"], dry_run=True)["models"] == ["small"]


def test_going_over_the_past_again_ends_what_they_held(peopled) -> None:
    with peopled.open() as s:
        gone = s.user(WHO)
        peopled.at(9.5)
        rescore(s)
        number = vocabulary.number(s.store, "segmentation", "value")
        erase(s, [WHO])
        start = s.instant("2026-01-13")
        assert gone in projections.memberships(s.store, number, as_of=start)["user"].to_list()
        list(rescore_range(s, start))
        assert gone not in holders(s)["user"].to_list()
        newest = projections.history(s.store, gone).sort("seq").row(-1, named=True)
        assert (newest["cause"], newest["to_label"], newest["pass"]) == ("erasure", None, 2)
        sound(s)
        assert rescore(s, full=True)["changed"] == 0


def test_going_over_ticks_at_which_others_moved_ends_it_too(peopled, write) -> None:
    with peopled.open() as s:
        for day in (8.5, 9.5, 10.5, 11.5):
            peopled.at(day)
            more = [purchase(f"customer-{at}", day - 1, 90 * (at + day)) for at in range(int(day) % 4, 11, 4)]
            import_files(s, [write(more)], format="events")
            rescore(s)
        gone = s.user(WHO)
        erase(s, [WHO])
        steps = list(rescore_range(s, s.instant("2026-01-13")))
        assert sum(step["changed"] > 0 for step in steps) > 1
        assert gone not in holders(s)["user"].to_list()
        sound(s)


def test_going_over_the_past_ends_what_they_held_under_another_id(peopled, write) -> None:
    """Before it turned out to be theirs: when they were forgotten, that id held nothing any more."""
    with peopled.open() as s:
        peopled.at(9.5)
        rescore(s)
        other = max(s.user("customer-3"), s.user(WHO))
        linked = {"user": WHO, "previous": "customer-3", "time": "2026-01-14T00:00:00Z", "kind": "alias"}
        import_files(s, [write([linked])], format="events")
        rescore(s)
        assert other not in holders(s)["user"].to_list()
        theirs = erase(s, [WHO])["seq"]
        erase(s, ["customer-5"])
        list(rescore_range(s, s.instant("2026-01-13")))
        newest = projections.history(s.store, other).sort("seq").row(-1, named=True)
        assert (newest["cause"], newest["to_label"], newest["pass"]) == ("erasure", None, 2)
        assert newest["cause_seq"] == theirs, "their own erasure, and not the newest"
        assert other not in holders(s)["user"].to_list()
        sound(s)
        assert rescore(s, full=True)["changed"] == 0


def test_erasing_works_in_a_store_without_a_vault(tmp_path: Path, write) -> None:
    init(tmp_path / "clear.db", vault=False, currency="EUR", clock="data")
    first = write(events())
    with open_session(tmp_path / "clear.db") as s:
        import_files(s, [first], format="events")
        rescore(s)
        assert found(tmp_path, WHO.encode()) == [WHO.encode()]
        erase(s, [WHO], purge=True)
        assert found(tmp_path, WHO.encode()) == []
        assert import_files(s, [first], format="events")["suppressed"] == DAYS
        sound(s)
