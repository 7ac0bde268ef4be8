"""External ids: found, sealed, and gone without the key."""

from __future__ import annotations

import base64
from pathlib import Path

import polars as pl
import pytest

from db.chain import verify
from db.errors import KeyMissing, KeyWrong, StoreDamaged
from db.store import Store

IDS = ["ann@example.org", "Zoë", "u-3"]


@pytest.fixture
def known(store: Store) -> Store:
    with store.transaction(actor="ann") as tx:
        assert tx.surrogates(pl.Series(IDS)).to_list() == [1, 2, 3]
    return store


def test_ids_get_surrogates_once(known: Store) -> None:
    with known.transaction(actor="ann") as tx:
        found = tx.surrogates(pl.Series("user", ["new", None, "Zoë", "new"]))
        assert found.to_list() == [4, None, 2, 4]
        assert (found.dtype, found.name) == (pl.Int64, "user")
        assert tx.surrogates(pl.Series([None], dtype=pl.String)).to_list() == [None]
        assert tx.surrogates(pl.Series(["Zoë"]), name="email").to_list() == [5]
    vault = known.vault
    assert vault.surrogate("u-3") == 3
    assert vault.surrogate("U-3") is None
    assert vault.surrogate("Zoë", "email") == 5
    assert vault.external_ids([3, 1, 99]) == {1: "ann@example.org", 3: "u-3"}
    assert vault.all_external().rows() == [(1, IDS[0]), (2, IDS[1]), (3, IDS[2]), (4, "new"), (5, "Zoë")]


def test_the_number_of_a_forgotten_user_is_not_given_again(known: Store) -> None:
    known.connection.execute("DELETE FROM vault WHERE user = 3")
    with known.transaction(actor="ann") as tx:
        assert tx.surrogates(pl.Series(["someone else"])).item() == 4


def test_of_very_many_users_each_is_told(known: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.identities.CHUNK", 1)
    assert known.vault.external_ids([1, 99, -1]) == {1: IDS[0]}
    assert pl.concat(known.vault.named([3, 2])).sort("user").rows() == [(2, "id", IDS[1]), (3, "id", IDS[2])]


def test_the_id_comes_before_other_names(known: Store) -> None:
    known.connection.executemany(
        "INSERT INTO vault VALUES (?, 2, ?, ?)",
        [
            (known.vault.lookups([text], name)[0], name, known.vault.encrypt([text], [2], name)[0])
            for name, text in (("email", "z@example.org"), ("phone", "12"))
        ],
    )
    assert known.vault.external_ids([2]) == {2: "Zoë"}
    assert known.vault.all_external()["external"].to_list()[1] == "Zoë"
    known.connection.execute("DELETE FROM vault WHERE user = 2 AND name = 'id'")
    assert known.vault.external_ids([2]) == {2: "z@example.org"}


def test_no_id_stands_in_the_files(known: Store) -> None:
    known.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    everything = b"".join(path.read_bytes() for path in known.path.parent.rglob("*") if path.is_file())
    for text in IDS:
        assert text.encode() not in everything


def test_the_same_id_is_sealed_differently_each_time(tmp_path: Path) -> None:
    sealed = set()
    for name in ("a", "b"):
        with Store.create(tmp_path / name, key=bytes(32)) as store:
            with store.transaction(actor="ann") as tx:
                tx.surrogates(pl.Series(["u"]))
            sealed.add(store.rows("SELECT ciphertext FROM vault")[0][0])
    assert len(sealed) == 2


def test_without_the_key_the_store_works_but_knows_nobody(known: Store) -> None:
    key = Path(f"{known.path}.key")
    key.rename(key.with_suffix(".away"))
    with Store.open(known.path) as store:
        assert not store.vault.available
        assert store.vault.external_ids([1]) == {}
        assert store.vault.all_external().is_empty()
        with pytest.raises(KeyMissing, match=r"put back .*shop\.db\.key or set SEGTUI_KEY"):
            store.vault.surrogate("u-3")
        with pytest.raises(KeyMissing), store.transaction(actor="ann") as tx:
            tx.surrogates(pl.Series(["u-3"]))
        with store.transaction(actor="ann") as tx:
            tx.append_decision("noted", {})
        assert [check for check in verify(store) if not check.ok] == []
        key.with_suffix(".away").rename(key)
        assert store.vault.available


def test_another_key_is_recognised(known: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGTUI_KEY", base64.b64encode(bytes(32)).decode())
    with Store.open(known.path) as store:
        with pytest.raises(KeyWrong, match="SEGTUI_KEY is not the one"):
            store.vault.external_ids([1])
        check = next(check for check in verify(store) if check.name == "vault")
        assert not check.ok
        assert "SEGTUI_KEY" in check.detail
    monkeypatch.setenv("SEGTUI_KEY", "hello")
    with Store.open(known.path) as store, pytest.raises(KeyWrong, match="32 bytes in base64 or hex"):
        store.vault.require()


@pytest.mark.parametrize("told", [bytes(range(32)).hex(), base64.b64encode(bytes(range(32))).decode() + "\n"])
def test_the_key_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("SEGTUI_KEY", told)
    with Store.create(tmp_path / "shop.db") as store:
        with store.transaction(actor="ann") as tx:
            tx.surrogates(pl.Series(["u"]))
        assert store.vault.surrogate("u") == 1
    assert not (tmp_path / "shop.db.key").exists()
    monkeypatch.delenv("SEGTUI_KEY")
    (tmp_path / "shop.db.key").write_text(told)
    with Store.open(tmp_path / "shop.db") as store:
        assert store.vault.external_ids([1]) == {1: "u"}


def test_a_changed_entry_does_not_open(known: Store) -> None:
    known.connection.execute("UPDATE vault SET ciphertext = zeroblob(length(ciphertext)) WHERE user = 2")
    with pytest.raises(StoreDamaged, match="damaged at user #2"):
        known.vault.external_ids([2])
    assert [check.name for check in verify(known) if not check.ok] == ["vault"]


def test_an_entry_moved_to_another_user_does_not_open(known: Store) -> None:
    known.connection.execute("UPDATE vault SET user = 1 WHERE user = 3")
    with pytest.raises(StoreDamaged):
        known.vault.external_ids([1])


def test_an_entry_under_another_ids_hash_is_found(known: Store) -> None:
    known.connection.execute("UPDATE vault SET lookup = zeroblob(16) WHERE user = 3")
    assert [check.detail for check in verify(known) if not check.ok] == [
        "1 of 3 entries stand under another id's look-up hash"
    ]
