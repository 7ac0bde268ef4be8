"""Who was forgotten does not come back with an import, unless that is lifted."""

from __future__ import annotations

from typing import Any

import pytest

from db.erasures import Erasures, erasures_path
from db.errors import StoreError
from segtui.operations.erase import erase, lift
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.key import rotate
from segtui.operations.rescore import rescore
from tests.operations.erasing.conftest import DAYS, EMAIL, WHO, found, purchase, sound


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
