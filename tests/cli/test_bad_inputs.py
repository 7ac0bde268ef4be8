"""What can be wrong with files and stores: one sentence, exit code 1, and the store as it was."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from db.store import Store

Cli = Callable[..., Any]


def refused(ended: Any, *words: str) -> None:
    """One sentence on stderr that names what it is about, and nothing else."""
    assert ended.code == 1, ended.err
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert ended.err.rstrip().endswith(".")
    assert "defect" not in ended.err, ended.err
    for word in words:
        assert word in ended.err


@pytest.fixture
def untouched(shop: Path) -> Any:
    """The store; after the test its file must hold the same bytes."""
    before = hashlib.sha256(shop.read_bytes()).hexdigest()
    yield shop
    assert hashlib.sha256(shop.read_bytes()).hexdigest() == before


def bad_file(kind: str, folder: Path, history: Path) -> Path:
    """A file that cannot be imported."""
    lines = history.read_bytes().splitlines(keepends=True)[:2_000]
    if kind == "missing":
        return folder / "missing.ndjson"
    if kind == "folder":
        (folder / "orders").mkdir()
        return folder / "orders"
    path = folder / f"{kind}.ndjson"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 16)
    elif kind == "unknown":
        path.write_text("dear diary\ntoday it rained\n")
    elif kind == "truncated":
        path = folder / "truncated.ndjson.gz"
        path.write_bytes(gzip.compress(b"".join(lines))[:-200])
    elif kind == "damaged":
        path = folder / "damaged.ndjson.gz"
        packed = bytearray(gzip.compress(b"".join(lines)))
        packed[len(packed) // 2] ^= 0xFF
        path.write_bytes(packed)
    return path


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "binary", "unknown", "truncated", "damaged"])
def test_files_that_cannot_be_read(
    kind: str, cli: Cli, untouched: Path, tmp_path: Path, history: Path
) -> None:
    path = bad_file(kind, tmp_path, history)
    refused(cli("import", path, "--store", untouched), path.name)


def test_a_good_file_beside_a_bad_one_is_not_imported_either(
    cli: Cli, untouched: Path, tmp_path: Path
) -> None:
    good = tmp_path / "good.ndjson"
    good.write_text('{"user": "new", "time": "2026-01-05T10:00:00Z", "kind": "view"}\n')
    refused(cli("import", good, tmp_path / "missing.ndjson", "--store", untouched), "missing.ndjson")


def test_a_missing_column_is_named(cli: Cli, untouched: Path, tmp_path: Path) -> None:
    path = tmp_path / "online.csv"
    path.write_text(
        "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,Country\n1,2,3,2010-12-01,1.5,France\n"
    )
    refused(cli("import", path, "--format", "online-retail", "--store", untouched), "Customer")


def test_an_unknown_format(cli: Cli, untouched: Path, history: Path) -> None:
    refused(cli("import", history, "--format", "punchcards", "--store", untouched), "punchcards", "cdnow")


def test_no_store(cli: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    refused(cli("status", "--store", missing), "missing.db", "segtui init")
    assert not missing.exists()


@pytest.mark.parametrize(
    "content", [b"dear diary", b"", bytes(range(256)) * 40], ids=["text", "empty", "binary"]
)
def test_a_file_that_is_no_store(content: bytes, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "diary.db"
    path.write_bytes(content)
    refused(cli("segments", "--store", path), "diary.db")
    assert path.read_bytes() == content


def test_another_programs_database(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    refused(cli("segments", "--store", path), "other.db")


def test_a_store_of_a_newer_version(cli: Cli, shop: Path) -> None:
    connection = sqlite3.connect(shop)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    refused(cli("status", "--store", shop), "newer")


def test_a_second_init(cli: Cli, untouched: Path) -> None:
    refused(cli("init", "--store", untouched), untouched.name)


def test_a_store_that_another_process_writes_to(
    cli: Cli, untouched: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # waiting the full ten seconds for the holder would prove nothing more
    monkeypatch.setitem(Store.transaction.__wrapped__.__kwdefaults__, "wait", 0.1)
    with FileLock(f"{untouched}.lock"):
        refused(cli("import", history, "--store", untouched), "holds the store")
        assert cli("segments", "--store", untouched).code == 0


def test_a_lost_key_stops_imports_and_not_looking(cli: Cli, shop: Path, history: Path) -> None:
    Path(f"{shop}.key").unlink()
    refused(cli("import", history, "--store", shop), "key")
    refused(cli("export", "value=high", "--out", "x.csv", "--identified", "--store", shop), "key")
    assert not Path("x.csv").exists()
    shown = cli("members", "value=high", "--limit", 3, "--store", shop, "--json")
    assert shown.code == 0
    assert all(each["user"].startswith("#") for each in shown.document["members"])


def test_another_stores_key(cli: Cli, shop: Path, history: Path, tmp_path: Path) -> None:
    assert cli("init", "--store", tmp_path / "other.db").code == 0
    Path(f"{tmp_path / 'other.db'}.key").replace(f"{shop}.key")
    refused(cli("import", history, "--store", shop), "key")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["members", "value=gold"], "gold"),
        (["members", "colour=red"], "colour"),
        (["members", "value=high", "--where", "ordrs_90d > 1"], "ordrs_90d"),
        (["features", "recensy_days"], "recency_days"),
        (["members", "value=high", "--where", "probability >"], ""),
        (["members", "value=high", "--order", "shoe_size"], "shoe_size"),
        (["user", "nobody"], "nobody"),
        (["changes", "--segment", "value=gold"], "gold"),
        (["promote", "mlp-none"], "mlp-none"),
        (["decide", "value", "--margin", "1e400"], "1e400"),
        (["decide", "value", "--min", "high=1e999999"], "1e999999"),
        (["decide", "value", "--cost", "high:low=1e400"], "1e400"),
        (["promote", "--previous"], "value"),
        (["promote", "--previous", "--segmentation", "colour"], "colour"),
        (["evaluate", "--model", "mlp-none"], "mlp-none"),
        (["train", "--model", "oracle"], "oracle"),
        (["train", "--cutoff", "now"], "cutoff"),
        (["train", "--label", "mood"], "mood"),
        (["train", "--set", "colour=3"], "colour"),
        (["train", "--set", "epochs=many"], "epochs"),
        (["rescore", "--at", "2999-01-01"], "2999"),
        (["rescore", "--from", "2999-01-01"], ""),
        (["replay", "--from", "2999-01-01"], ""),
        (["export", "value=high", "--out", "high.docx"], "high.docx"),
        (["export", "value=high", "--out", "no/such/folder.csv"], "no/such"),
        (["export", "value=high", "--out", "h.csv", "--columns", "shoe_size"], "shoe_size"),
        (["transitions", "--from", "-1d", "--to", "now", "--segmentation", "colour"], "colour"),
    ],
)
def test_what_is_not_there(arguments: list[str], word: str, cli: Cli, untouched: Path) -> None:
    refused(cli(*arguments, "--store", untouched), word)


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "-7", "7d"])
def test_a_time_that_is_none(text: str, cli: Cli, untouched: Path) -> None:
    ended = cli("segments", "--at", text, "--store", untouched)
    assert (ended.code, ended.out) == (2, "")
    assert repr(text) in ended.err


def test_an_empty_store_says_what_to_do(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "new.db"
    assert cli("init", "--store", store).code == 0
    assert "segtui import" in cli("status", "--store", store).err
    for command in (["train"], ["replay"], ["score"], ["evaluate"]):
        refused(cli(*command, "--store", store), "segtui")
    assert cli("segments", "--store", store, "--json").code == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    refused(cli("init", "--store", folder / "shop.db"), "closed")
