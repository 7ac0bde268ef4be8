"""Deep verification: every change from zero, every label decided again."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from db import log, vocabulary
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.verify import verify

PEOPLE = 24
KINDS = ("view", "purchase", "purchase")


def bought(days: range, offset: int = 0) -> list[tuple[Any, ...]]:
    return [
        (
            f"u{(day * 7 + n * 3 + offset) % PEOPLE}",
            day + n / 10,
            "purchase" if (day + n) % 3 else "view",
            15.0 * n,
        )
        for day in days
        for n in range(1, 5)
    ]


@pytest.fixture
def lived(lived_through: Any, give_model: Any) -> Any:
    """A shop with a starter rule, a model, late events, rescores within a tick, and a second pass."""

    def story(shop: Any) -> None:
        shop.at(12.5)
        shop.events(bought(range(12)))
        with shop.open() as s:
            rescore(s)
        shop.at(15.2)
        shop.events(bought(range(12, 15), 1))
        with shop.open() as s:
            rescore(s)
            give_model(s)
        shop.at(16.3)
        shop.events(bought(range(9, 11), 2))
        with shop.open() as s:
            rescore(s)
        shop.at(16.6)
        shop.events(bought(range(16, 17), 3)[:1])
        with shop.open() as s:
            rescore(s)
            list(rescore_range(s, s.instant("-5d")))
        shop.at(19.1)
        shop.events(bought(range(17, 19), 4))
        with shop.open() as s:
            rescore(s)
            rescore(s, full=True)

    return lived_through(story)


def deep(shop: Any) -> dict[str, str]:
    """What deep verification finds wrong."""
    with shop.open() as s:
        return {each["name"]: each["detail"] for each in verify(s, deep=True)["checks"] if not each["ok"]}


def test_a_lived_in_store_is_decided_the_same_again(lived: Any) -> None:
    with lived.open() as s:
        assert s.store.rows("SELECT count(*) FROM behaviour WHERE late = 1")[0][0] > 0
        told = {each["name"]: each for each in verify(s, deep=True)["checks"]}
        assert all(each["ok"] for each in told.values()), told
        recorded = [each.body["model"] for each in log.decisions(s.store, kinds=("rescored",))]
        assert {None} < set(recorded)
        assert f"of {len(recorded)} rescores are decided the same again" in told["labels"]["detail"]


def forge(shop: Any, user: int, *, cause: str = "clock", **more: Any) -> int:
    """Appends a change of one user's label through the store's own door, as a defect would; its seq."""
    with shop.open() as s:
        number = vocabulary.number(s.store, "segmentation", "value")
        newest = log.changes(s.store, segmentation=number, users=[user]).tail(1)
        labels = [vocabulary.number(s.store, "label", text) for text in ("high", "low")]
        held = newest["to_label"][0]
        row = {
            "from_label": held,
            "to_label": labels[held == labels[0]],
            "cause": cause,
            "cause_seq": None,
            "as_of": s.require_as_of(),
            **more,
        }
        frame = newest.drop("seq").with_columns(
            pl.lit(value, dtype=newest.schema[name]).alias(name) for name, value in row.items()
        )
        with s.store.transaction(actor="ann") as tx:
            (seq, _) = tx.append_changes(frame)
            unknown = {"margin": pl.Int64, "scores": pl.Binary}
            tx.save_members(
                number,
                frame.select("user", pl.col("to_label").alias("label"), "probability").with_columns(
                    *(pl.lit(None, dtype).alias(name) for name, dtype in unknown.items()),
                    pl.lit(row["as_of"], pl.Int64).alias("since"),
                    pl.lit(seq, pl.Int64).alias("change_seq"),
                ),
            )
    return seq


def test_a_change_that_no_rescore_decided_is_found(lived: Any) -> None:
    seq = forge(lived, 3)
    assert deep(lived)["labels"] == f"change {seq}: no rescore decided it"


def test_a_label_that_is_decided_otherwise_is_found(lived: Any) -> None:
    """Told as a manual move, which needs no rescore; the next rescore does not put it right."""
    forge(lived, 3, cause="manual", cause_seq=1)
    with lived.open() as s, s.store.transaction(actor="ann") as tx:
        (body,) = (
            each.body for each in log.decisions(s.store, kinds=("rescored",), newest_first=True, limit=1)
        )
        tx.append_decision("rescored", body | {"changed": 0, "due": 0, "evaluated": 0, "sizes": []})
    assert "user #3 holds" in deep(lived)["labels"]


def test_a_change_from_a_label_not_held_is_found(lived: Any) -> None:
    seq = forge(lived, 3, from_label=None)
    assert f"change {seq} of value moves user #3 from a label not held" in deep(lived)["continuity"]


@pytest.mark.parametrize(
    "wrong", [{"cause": "event", "cause_seq": 10**6}, {"cause": "clock", "cause_seq": 1}]
)
def test_a_cause_that_is_not_in_the_log_is_found(lived: Any, wrong: dict[str, Any]) -> None:
    seq = forge(lived, 3, **wrong)
    assert deep(lived)["causes"].startswith(f"change {seq}: ")
