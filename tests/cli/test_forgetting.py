"""`erase` and `key`: what they print and ask, and that no id is ever among it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
WHO = "person-0815@example.org"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store with WHO in it; copied before it is written to."""
    from segtui.cli import run

    folder = tmp_path_factory.mktemp("forgetting")
    lines = [
        {"user": user, "time": f"2026-01-0{day}", "kind": "purchase", "amount": 5, "currency": "EUR"}
        for user in ("u1", "u2", WHO)
        for day in (1, 2)
    ]
    events = folder / "events.ndjson"
    events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = folder / "shop.db"
    for arguments in (["init", "--clock", "data"], ["import", str(events)], ["rescore"]):
        assert run([*arguments, "--store", str(path), "--quiet"]) == 0
    return path


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "shop.db"
    for suffix in ("", ".key"):
        shutil.copy(f"{made}{suffix}", f"{copy}{suffix}")
    return copy


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """typed(text, terminal=False): what stands on stdin."""

    def put(text: str, *, terminal: bool = False) -> None:
        stdin = io.StringIO(text)
        monkeypatch.setattr(stdin, "isatty", lambda: terminal, raising=False)
        monkeypatch.setattr("sys.stdin", stdin)

    return put


def test_erase_tells_how_much_and_not_whom(cli: Cli, store: Path, tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    ended = cli("erase", WHO, "--purge", "--yes", "--json", "--receipt", receipt, "--store", store)
    assert ended.code == 0
    told = ended.document
    assert told.keys() >= {"persons", "identities", "events", "purged", "seq"}
    assert (told["persons"], told["identities"], told["events"], told["purged"]) == (1, 1, 2, 2)
    assert WHO not in ended.out + ended.err + receipt.read_text()
    assert cli("verify", "--deep", "--store", store).code == 0
    assert cli("erase", WHO, "--yes", "--json", "--store", store).document["already"] == 1


@pytest.mark.parametrize("arguments", [(), ("u1", "--stdin"), ("u1", "--lift", "--purge")])
def test_misuse_is_told(cli: Cli, store: Path, arguments: tuple[str, ...]) -> None:
    ended = cli("erase", *arguments, "--store", store)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)


def test_a_stranger_is_refused_without_being_named(cli: Cli, store: Path) -> None:
    ended = cli("erase", "somebody-else", "--store", store)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "somebody-else" not in ended.err


def test_ids_may_come_from_stdin(cli: Cli, store: Path, typed: Callable[..., None]) -> None:
    typed(f"u1\n\n{WHO}\n")
    ended = cli("erase", "--stdin", "--json", "--store", store)
    assert ended.document["persons"] == 2
    typed("u1\nnobody-known\n")
    ended = cli("erase", "--stdin", "--json", "--store", store)
    assert ended.code == 1
    assert "Line 2 names nobody" in ended.err
    typed(f"{WHO}\n")
    assert cli("erase", "--stdin", "--lift", "--json", "--store", store).document["persons"] == 1


@pytest.mark.parametrize(("answer", "code", "persons"), [("y\n", 0, 0), ("n\n", 130, 1), ("\n", 130, 1)])
def test_a_terminal_is_asked(
    cli: Cli, store: Path, typed: Callable[..., None], answer: str, code: int, persons: int
) -> None:
    typed(answer, terminal=True)
    ended = cli("erase", WHO, "--store", store)
    assert ended.code == code
    assert "Forget 1 person with 2 events, for good?" in ended.out + ended.err
    assert WHO not in ended.out + ended.err
    left = cli("erase", WHO, "--dry-run", "--json", "--store", store)
    assert left.document["persons"] == persons


def test_yes_and_a_dry_run_ask_nothing(cli: Cli, store: Path, typed: Callable[..., None]) -> None:
    typed("", terminal=True)
    assert cli("erase", WHO, "--dry-run", "--store", store).code == 0
    assert cli("erase", WHO, "--yes", "--store", store).code == 0


def test_nobody_who_waits_for_the_store_learns_whom_another_process_erases(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from db.lock import holder_path, writer_lock

    monkeypatch.setattr("sys.argv", ["segtui", "erase", WHO])
    with writer_lock(store, wait=0):
        told = holder_path(store).read_text()
    assert "segtui erase" in told
    assert WHO not in told


def test_key_rotate(cli: Cli, store: Path) -> None:
    ended = cli("key", "rotate", "--json", "--store", store)
    assert ended.document.keys() == {"store", "entries", "key", "old_key", "seq"}
    assert Path(ended.document["old_key"]).exists()
    assert "delete it when the last of them is gone" in ended.err
    assert cli("user", "u1", "--json", "--store", store).document["user"] == "u1"
    assert cli("key", "turn", "--store", store).code == 2


def test_a_store_without_a_vault_says_so(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "clear.db"
    made = cli("init", "--no-vault", "--json", "--store", store)
    assert (made.document["vault"], made.document["key"]) == (False, None)
    assert "in clear" in made.err
    assert not Path(f"{store}.key").exists()
    assert cli("status", "--json", "--store", store).document["ids"] == "in clear: there is no vault"
    assert cli("key", "rotate", "--store", store).code == 1
    refused = cli("init", "--no-vault", "--keyring", "--store", tmp_path / "other.db")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
