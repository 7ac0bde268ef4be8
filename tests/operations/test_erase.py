"""Forgetting persons: nothing of them is left, nobody else is touched, and they do not come back."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from db import forgetting, log, projections, vocabulary
from db.backup import backup
from db.content import content_digest
from db.copies import kept_before
from db.erasures import Erasures, erasures_path
from db.errors import StoreDamaged, StoreError
from db.store import Store
from segtui.operations.changes import changes
from segtui.operations.erase import erase, lift
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.key import rotate
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.restore import restore
from segtui.operations.retain import retain
from segtui.operations.session import Session, open_session
from segtui.operations.verify import verify

START = datetime(2026, 1, 5, tzinfo=UTC)
EMAIL = "zoe.planted@example.org"
WHO = "customer-Zoe-77"
DAYS = 6


def purchase(user: str, day: float, amount: float, **more: Any) -> dict[str, Any]:
    at = (START + timedelta(days=day)).isoformat()
    return {"user": user, "time": at, "kind": "purchase", "amount": amount, "currency": "EUR", **more}


def events() -> list[dict[str, Any]]:
    """A purchase a day of some customers, one of whom is WHO."""
    names = [*(f"customer-{number}" for number in range(11)), WHO]
    return [
        purchase(name, day + 0.01 * at, 5 + at * (day + 1), id=f"{name}-{day}", order=f"o-{at}-{day}")
        for at, name in enumerate(names)
        for day in range(DAYS)
    ]


BAD = [
    {"user": WHO, "time": "when?", "kind": "view", "note": f"write to {EMAIL}"},
    {"user": "customer-1", "time": "when?", "kind": "view"},
]


@pytest.fixture
def write(tmp_path_factory):
    """write(rows) -> a file of event lines, outside the store's folder."""
    folder = tmp_path_factory.mktemp("files")

    def writing(rows, name="rows.ndjson") -> Path:
        path = folder / name
        path.write_text(rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows))
        return path

    return writing


@pytest.fixture
def first(write) -> Path:
    """The file everyone came with."""
    return write(events() + BAD, "first.ndjson")


@pytest.fixture
def peopled(shop, first):
    """A scored shop with WHO in it, one of whose rows is in quarantine with an e-mail in it."""
    shop.at(7.5)
    with shop.open() as s:
        import_files(s, [first], format="events")
        rescore(s)
    return shop


def sound(s: Session) -> None:
    assert [check for check in verify(s, deep=True)["checks"] if not check["ok"]] == []


def holders(s) -> pl.DataFrame:
    number = vocabulary.number(s.store, "segmentation", "value")
    return projections.memberships(s.store, number).select("user", "label", "since", "seq")


def found(folder: Path, *texts: bytes) -> list[bytes]:
    """Which of these byte strings some file below the folder holds."""
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return [text for text in texts if any(text in content for content in contents)]


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


@pytest.mark.parametrize("purge", [False, True])
def test_a_restore_of_an_older_backup_does_not_bring_them_back(peopled, tmp_path: Path, purge: bool) -> None:
    with peopled.open() as s:
        gone = s.user(WHO)
        others = pl.col("user") != gone
        lookup, sealed = s.store.rows("SELECT lookup, ciphertext FROM vault WHERE user = ?", (gone,))[0]
        before = holders(s)
        older = backup(s.store, tmp_path / "older.db")
        erase(s, [WHO], purge=purge)
    assert sealed in (tmp_path / "older.db").read_bytes()
    told = restore(tmp_path / "older.db", peopled.path)
    assert told["forgotten"] == 1
    assert told["position"] > older["position"]
    with peopled.open() as s:
        assert s.store.vault.surrogate(WHO) is None
        assert holders(s).equals(before.filter(others))
        assert log.behaviour(s.store).filter(~others).height == (0 if purge else DAYS)
        assert found(peopled.path.parent, lookup, sealed) == []
        sound(s)
        assert rescore(s, full=True)["changed"] == 0


def test_a_copy_kept_aside_can_be_restored_after_it_was_made_to_forget(peopled) -> None:
    with peopled.open() as s:
        others = pl.col("user") != s.user(WHO)
        before = holders(s)
        backup(s.store, Path(f"{peopled.path}.before-version-2-20260101T000000"))
        erase(s, [WHO])
    (aside,) = kept_before(peopled.path)
    assert restore(aside, peopled.path)["forgotten"] == 1
    with peopled.open() as s:
        assert holders(s).equals(before.filter(others))
        sound(s)


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


@pytest.mark.parametrize("purge", [False, True])
def test_tonights_import_does_not_bring_them_back(peopled, first, write, purge: bool) -> None:
    more = [purchase(WHO, 6.5, 9, id="new"), purchase("customer-1", 6.5, 9, id="new-1")]
    with peopled.open() as s:
        users = s.store.vault.next_user()
        erase(s, [WHO], purge=purge)
        told = import_files(s, [first, write(more)], format="events")
        # six events and a row in quarantine, then one more event
        assert (told["suppressed"], told["accepted"], told["quarantined"]) == (8, 1, 1)
        counts = ("accepted", "duplicates", "changed", "suppressed", "quarantined")
        assert told["rows"] == sum(told[name] for name in counts)
        assert s.store.vault.next_user() == users
        assert found(peopled.path.parent, WHO.encode(), EMAIL.encode()) == []
        rescore(s)
        sound(s)


def test_no_import_without_the_list_of_the_erased(peopled, first) -> None:
    with peopled.open() as s:
        erase(s, [WHO])
        erasures_path(peopled.path).rename(peopled.path.with_name("elsewhere"))
        with pytest.raises(StoreError, match=r"is missing.* put it back from the newest backup"):
            import_files(s, [first], format="events")
        peopled.path.with_name("elsewhere").rename(erasures_path(peopled.path))
        assert import_files(s, [first], format="events")["accepted"] == 0


def test_words_of_suppressed_rows_stay_out_of_the_vocabulary(shop, write) -> None:
    with shop.open() as s:
        import_files(s, [write("customer_id,age\nc-1,30\nc-2,40\n")], format="table")
        erase(s, ["c-2"])
        again = write("customer_id,age,note\nc-1,30,plain\nc-2,40,secret-note\n")
        told = import_files(s, [again], format="table")
        assert (told["accepted"], told["suppressed"]) == (1, 1)
        texts = {text for (text,) in s.store.rows("SELECT text FROM vocabulary")}
        assert "plain" in texts
        assert "secret-note" not in texts


def test_lifting_lets_them_in_again_under_a_new_number(peopled, write) -> None:
    more = write([purchase(WHO, 6.5, 9, id="new")])
    with peopled.open() as s:
        before = s.user(WHO)
        erase(s, [WHO], purge=True)
        assert import_files(s, [more], format="events")["suppressed"] == 1
        with pytest.raises(OperationError, match="nobody who was erased from"):
            lift(s, ["customer-1"])
        assert lift(s, [WHO])["persons"] == 1
        assert import_files(s, [more], format="events")["accepted"] == 1
        assert s.user(WHO) > before
        sound(s)
        erase(s, [WHO])
        assert import_files(s, [more], format="events")["suppressed"] == 1
        sound(s)


def test_lifting_lets_in_again_what_they_did_under_the_same_ids_once(peopled, first) -> None:
    with peopled.open() as s:
        erase(s, [WHO])
        lift(s, [WHO])
        assert import_files(s, [first], format="events")["accepted"] == DAYS
        assert s.events(users=[s.user(WHO)]).height == DAYS
        assert import_files(s, [first], format="events")["accepted"] == 0
        sound(s)


def test_a_rotation_leaves_the_list_as_true_as_it_was(peopled, first) -> None:
    def sealed() -> set[str]:
        return {line for line in erasures_path(peopled.path).read_text().splitlines() if "sealed" in line}

    with peopled.open() as s:
        erase(s, [WHO])
        before = sealed()
        rotate(s)
        assert len(sealed()) == 1
        assert sealed() != before
    with peopled.open() as s:
        assert import_files(s, [first], format="events")["suppressed"] == 7
        assert Erasures(s.store).states([WHO, "customer-1"]) == {WHO: "erased"}


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


def test_a_purge_by_number_is_remembered_by_a_restore(peopled, tmp_path: Path) -> None:
    aside = Path(f"{peopled.path}.before-version-2-20260101T000000")
    with peopled.open() as s:
        gone, other = s.user(WHO), s.user("customer-1")
        backup(s.store, tmp_path / "older.db")
        backup(s.store, aside)
        what = s.store.rows("SELECT source_id FROM behaviour WHERE user = ? LIMIT 1", (gone,))[0]
        erase(s, [WHO])
        assert found(peopled.path.parent, *what) == [*what]
        assert erase(s, [f"#{gone}"], purge=True)["removed"] == [str(aside)]
        assert found(peopled.path.parent, *what) == []
        rows = log.behaviour(s.store)
    assert restore(tmp_path / "older.db", peopled.path)["forgotten"] == 1
    with peopled.open() as s:
        assert log.behaviour(s.store, users=[gone]).is_empty()
        assert log.behaviour(s.store).equals(rows)
        assert log.behaviour(s.store, users=[other]).height == DAYS
        sound(s)


def test_a_number_of_another_history_is_somebody_else(peopled, write, make_shop) -> None:
    """After a restore the same number may be given to another person."""
    more = [write([purchase(who, 6.5, 3)], f"{who}.ndjson") for who in ("hers", "his")]
    with peopled.open() as s:
        backup(s.store, peopled.path.with_name("older.db"))
        import_files(s, [more[0]], format="events")
        number = s.user("hers")
        erase(s, ["hers"])
        erase(s, [f"#{number}"], purge=True)
    restore(peopled.path.with_name("older.db"), peopled.path)
    with peopled.open() as s:
        import_files(s, [more[1]], format="events")
        assert s.user("his") == number
        backup(s.store, peopled.path.with_name("newer.db"))
    assert restore(peopled.path.with_name("newer.db"), peopled.path)["forgotten"] == 0
    with peopled.open() as s:
        assert log.behaviour(s.store, users=[number]).height == 1


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


def test_what_comes_in_before_they_are_forgotten_is_forgotten_too(shop, write) -> None:
    rows = write([purchase("c-1", 0, 1), {"user": "c-2", "time": "when?", "kind": "view"}])
    late = write([purchase("c-2", 1, 1)], "late.ndjson")

    def arrives(*_: Any) -> None:
        with shop.open() as other:
            import_files(other, [late], format="events")

    with shop.open() as s:
        import_files(s, [rows], format="events")
        told = erase(s, ["c-2"], progress=arrives)
        assert (told["persons"], told["identities"], told["events"]) == (1, 1, 1)
        assert s.store.vault.surrogate("c-2") is None
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


def test_a_copy_kept_aside_is_searched_with_its_own_key(peopled) -> None:
    with peopled.open() as s:
        backup(s.store, Path(f"{peopled.path}.before-version-2-20260101T000000"))
        rotate(s)
        erase(s, [WHO])
    (aside,) = kept_before(peopled.path)
    with Store.open(aside, beside=peopled.path) as copy:
        assert copy.vault.surrogate(WHO) is None
        assert copy.vault.surrogate("customer-1") is not None


def test_what_sqlite_keeps_beside_a_copy_is_part_of_it(peopled) -> None:
    aside = Path(f"{peopled.path}.before-restore-20260101T000000")
    with peopled.open() as s:
        gone = s.user(WHO)
        sealed = s.store.rows("SELECT ciphertext FROM vault WHERE user = ?", (gone,))[0][0]
        # As they stand while someone writes: a file, and its write-ahead log with the newest commit.
        for suffix in ("", "-wal"):
            shutil.copy(f"{peopled.path}{suffix}", f"{aside}{suffix}")
        erase(s, [WHO])
    assert found(peopled.path.parent, sealed) == []
    assert restore(aside, peopled.path)["forgotten"] == 1
    with peopled.open() as s:
        sound(s)


def test_nobody_is_erased_while_a_copy_cannot_be_searched(peopled) -> None:
    aside = Path(f"{peopled.path}.before-restore-20260101T000000")
    aside.write_bytes(b"not a database at all" * 500)
    with peopled.open() as s:
        with pytest.raises(StoreDamaged, match="cannot be read, so nobody can be forgotten in it"):
            erase(s, [WHO])
        assert s.user(WHO)
        aside.unlink()
        assert erase(s, [WHO])["persons"] == 1
