"""What is folded from the log can be dropped, and folded again to the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.rebuild import rebuild
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.verify import verify

BROKEN = [
    "DELETE FROM members",
    "UPDATE members SET label = 0, since = 1",
    "UPDATE members SET margin = 1",
    "DELETE FROM member_counts",
    "UPDATE sizes SET users = users + 1, expected = 3",
    "DELETE FROM sizes",
    "UPDATE rescores SET position = 0",
    "DELETE FROM rescores",
    "UPDATE snapshots SET payload = x'7b7d'",
    "DELETE FROM snapshots WHERE name = 'summary'",
    "INSERT INTO snapshots VALUES ('other', 1, x'00')",
    "DROP TRIGGER behaviour_no_delete",
    "DROP INDEX behaviour_by_user",
    "DROP VIEW log",
]


@pytest.fixture
def busy(lived_through: Any, give_model: Any) -> Any:
    """A shop with two passes, the first under the starter rule, then under a model."""

    def story(shop: Any) -> None:
        shop.at(20)
        shop.events([(f"u{n}", 10 + n % 7, "purchase", 30.0 * (n % 4)) for n in range(20)])
        with shop.open() as s:
            rescore(s)
            give_model(s)
        shop.at(24)
        shop.events([(f"u{n}", 22, "view") for n in range(5)])
        with shop.open() as s:
            list(rescore_range(s, s.instant("-6d")))
            rescore(s, full=True)

    return lived_through(story)


def failed(s: Any) -> set[str]:
    return {check["name"] for check in verify(s)["checks"] if not check["ok"]}


@pytest.mark.parametrize("statement", BROKEN)
def test_a_broken_projection_is_found_and_rebuilt(busy: Any, statement: str) -> None:
    with busy.open() as s:
        before = verify(s)
        assert before["ok"], before
        sizes = s.store.rows("SELECT * FROM sizes ORDER BY 1, 2, 3, 4")
        scored = s.store.rows("SELECT * FROM members ORDER BY 1, 2")
    with closing(sqlite3.connect(busy.path)) as connection:
        connection.execute(statement)
        connection.commit()
    with busy.open() as s:
        told = verify(s)
        wrong = [check for check in told["checks"] if not check["ok"]]
        assert wrong
        assert all(
            "run 'segtui rebuild'" in check["detail"] for check in wrong if "cannot" not in check["detail"]
        )
        rebuild(s)
        assert failed(s) == set()
        assert verify(s)["state_digest"] == before["state_digest"]
        assert s.store.rows("SELECT * FROM sizes ORDER BY 1, 2, 3, 4") == sizes
        assert s.store.chain_digest().hex() == before["chain_digest"]
        rescore(s, full=True)
        assert s.store.rows("SELECT * FROM members ORDER BY 1, 2") == scored


def test_a_broken_log_is_not_rebuilt(busy: Any) -> None:
    with closing(sqlite3.connect(busy.path)) as connection:
        connection.execute("DROP TRIGGER membership_changes_no_update")
        connection.execute("UPDATE membership_changes SET to_label = from_label")
        connection.commit()
    with busy.open() as s, pytest.raises(OperationError, match=r"chain: commit .* restore a backup"):
        rebuild(s)


UNREADABLE = [
    "UPDATE decisions SET body = 'no json'",
    "UPDATE decisions SET body = '[]'",
    "UPDATE decisions SET body = CAST(x'ff' AS TEXT)",
    "UPDATE commits SET recorded_at = 9223372036854775807",
    "UPDATE commits SET actor = CAST(x'ff' AS TEXT)",
    "UPDATE membership_changes SET cause = 'é'",
    "UPDATE behaviour SET kind = 9999",
    "UPDATE vocabulary SET kind = 'nothing'",
    "UPDATE models SET spec = 'no json'",
    "UPDATE members SET scores = x'00'",
    "DELETE FROM meta",
]


@pytest.mark.parametrize("statement", UNREADABLE)
def test_what_cannot_be_read_is_a_check_that_does_not_hold(busy: Any, statement: str) -> None:
    with closing(sqlite3.connect(busy.path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        connection.commit()
    with busy.open() as s:
        told = verify(s)
    assert not told["ok"]
    assert {check["name"] for check in told["checks"] if not check["ok"]} > {"triggers"}


def test_a_head_kept_elsewhere_is_found_in_the_log_it_grew_into(busy: Any) -> None:
    with busy.open() as s:
        told = verify(s, head=s.store.chain_digest().hex())
        assert {"name": "head", "ok": True, "detail": "the newest commit"} in told["checks"]
        first = s.store.rows("SELECT lower(hex(digest)) FROM commits WHERE id = 1")[0][0]
        assert verify(s, head=first.upper())["ok"]
        assert not verify(s, head="0" * 63 + "1")["ok"]
        with pytest.raises(OperationError, match="64 hex digits"):
            verify(s, head="abc")
