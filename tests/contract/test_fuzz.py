"""Spoilt files: whatever stands in them, no reader ends in a traceback and no row is lost.

SEGTUI_FUZZ_SECONDS makes each test go on for so long; otherwise a few examples are tried.
"""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from segtui import sources
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.sources.mapping import BOUGHT, COALESCED, CONSTANTS, DURATIONS, FIGURES, SIGNS
from segtui.sources.schema import PARSED, REJECTED

SECONDS = float(os.environ.get("SEGTUI_FUZZ_SECONDS", "0"))
NASTY = "\"',;|{}[]\\/%$-+.:0 9eEx\tTZé€漢𝄞\u200f\x00\x07"
LARGEST = 10**15  # of amounts in minor units, quantities and durations

Outcome = list[sources.Batch] | str


def go_on(examples: int, strategies: dict[str, st.SearchStrategy[Any]], check: Callable[..., None]) -> None:
    """Checks some examples, and more of them as long as there is time."""
    # Where CI is set examples would be the same in every run, and ten minutes of them no more than the first.
    asked = settings(max_examples=examples, deadline=None, database=None, derandomize=False)
    run = asked(given(**strategies)(check))
    ends = time.monotonic() + SECONDS
    run()
    while time.monotonic() < ends:
        run()


def test_every_format_has_a_sample(all_samples: list[Any]) -> None:
    assert {sample.format for sample in all_samples} == {*sources.FORMATS, "auto"}


def outcome(reading: Callable[[], list[sources.Batch]]) -> Outcome:
    """What was read, or the sentence that tells why nothing was."""
    try:
        return reading()
    except sources.SourceError as error:
        text = str(error)
    assert text.endswith((".", "?"))
    assert "\n" not in text
    return text


def checked(batches: list[sources.Batch]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accepted and rejected rows, each as it must be."""
    good = pl.concat([batch.accepted for batch in batches])
    bad = pl.concat([batch.rejected for batch in batches])
    assert dict(good.schema) == PARSED
    assert dict(bad.schema) == REJECTED
    assert bad["reason"].null_count() == 0
    assert all(isinstance(json.loads(row), dict) for row in bad["row"])
    assert good.select("line", "user", "time", "kind").null_count().row(0) == (0, 0, 0, 0)
    assert good["kind"].str.contains("^[a-z][a-z0-9_]*$").all()
    assert (good["time"] >= 631_152_000_000_000).all()
    assert good["rating"].is_between(0, 500).fill_null(True).all()
    assert (good["duration"].fill_null(1) > 0).all()
    assert (good["quantity"].fill_null(0) >= 0).all()
    for name in ("amount", "quantity", "duration"):
        assert (good[name].fill_null(0).abs() <= LARGEST).all()
    back = good.filter(pl.col("refunded").is_not_null())
    assert ((back["refunded"] > 0) & (back["refunded"] <= back["amount"])).all()
    refunds = good["kind"] == "refund"
    assert (good["amount"].filter(refunds).fill_null(0) <= 0).all()
    assert (good["amount"].filter(~refunds).fill_null(0) >= 0).all()
    return good, bad


EDITS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.integers(0, 700),
        st.sampled_from(["insert", "replace", "delete", "cut", "double", "blank"]),
        st.text(st.sampled_from(NASTY), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=12,
)


def garbled(text: str, header: bool, changes: list[tuple[int, int, str, str]]) -> str:
    """The text with its lines changed, the header left as it is."""
    lines = text.removesuffix("\n").split("\n")
    lines += lines[header:] * 2
    for row, column, kind, new in changes:
        place = header + row % (len(lines) - header)
        line = lines[place]
        at = column % (len(line) + 1)
        lines[place] = {
            "insert": line[:at] + new + line[at:],
            "replace": line[:at] + new + line[at + len(new) :],
            "delete": line[:at] + line[at + len(new) :],
            "cut": line[:at],
            "double": line + line,
            "blank": " " * len(new),
        }[kind]
    return "\n".join(lines)


def test_garbled_rows_are_rejected_and_never_lost(folder: Path, sample: Any) -> None:
    clean = sample.text.removesuffix("\n").split("\n")
    alone = pl.concat([batch.accepted for batch in sample.read(folder, sample.text.encode(), "clean")])
    assert alone["line"].to_list() == sample.starts
    behaviour = pl.col("kind") != "identify"  # an id is joined once in a file, where it first stands

    def untouched_lines_read_as_ever(lines: list[str], good: pl.DataFrame) -> None:
        """Each line of JSON stands for itself, with all its items, whatever the others hold."""
        places = [(at + 1, at % len(clean) + 1) for at in range(len(lines))]
        same = [(line, of) for line, of in places if lines[line - 1] == clean[of - 1]]
        told = pl.DataFrame(same, schema={"line": pl.Int64, "of": pl.Int64}, orient="row")
        wanted = told.join(
            alone.filter(behaviour).rename({"line": "of"}), on="of", maintain_order="left_right"
        )
        found = good.filter(behaviour).join(told, on="line", how="semi", maintain_order="left")
        assert found.equals(wanted.select(found.columns))

    def check(changes: list[tuple[int, int, str, str]]) -> None:
        text = garbled(sample.text, sample.header, changes)
        batches = outcome(lambda: sample.read(folder, text.encode(), "garbled"))
        if isinstance(batches, str):
            assert "line 1" in batches or text.split("\n")[sample.header].strip() == ""
            return
        good, bad = checked(batches)
        numbers = sorted(good["line"].to_list() + bad["line"].to_list())
        if not sample.header:
            numbers = sorted(set(numbers))
        lines = text.split("\n")
        if sample.text.startswith("{"):
            untouched_lines_read_as_ever(lines, good)
        there = [number for number, line in enumerate(lines, 1) if re.search(r"\S", line)][sample.header :]
        if sample.separator is None or '"' not in text:
            assert numbers == there
            return
        assert len(set(numbers)) == len(numbers)
        assert numbers[:1] == there[:1]
        for start, following in pairwise([*numbers, len(lines) + 1]):
            within = [number for number in there if start < number < following]
            assert not within or '"' in lines[start - 1]

    go_on(10, {"changes": EDITS}, check)


def test_no_bytes_end_in_a_traceback(folder: Path, sample: Any) -> None:
    def check(raw: bytes, at: int) -> None:
        content = sample.text.encode()
        content = content[:at] + raw + content[at:]
        batches = outcome(lambda: sample.read(folder, content, "bytes"))
        if not isinstance(batches, str):
            checked(batches)

    go_on(8, {"raw": st.binary(max_size=300), "at": st.integers(0, 3_000)}, check)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**22), 10**22),
    st.floats(),
    st.text(st.sampled_from(NASTY), max_size=8),
    st.sampled_from(["0", "-1", "1e9", "NaN", "2026-01-05", "1e400", "0.0000000001", "9" * 40, "(not set)"]),
    st.sampled_from([[], {}, [None], [[]], {"": 1}, [{}], "x" * 300]),
)


def members(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each member of a JSON value, at any depth."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [way for key, one in inside for way in members(one, (*path, key))]


def test_json_of_any_shape_is_accepted_or_rejected(folder: Path, json_sample: Any) -> None:
    sample = json_sample
    objects = [json.loads(line) for line in sample.text.splitlines()]

    def check(data: st.DataObject) -> None:
        changed = json.loads(json.dumps(objects))
        for _ in range(data.draw(st.integers(1, 4))):
            row = data.draw(st.integers(0, len(changed) - 1))
            ways = members(changed[row])
            if not ways:
                continue
            *outer, last = data.draw(st.sampled_from(ways))
            place = changed[row]
            for key in outer:
                place = place[key]
            place[last] = deepcopy(data.draw(LEAVES))  # drawn lists are shared, and may be changed next
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in changed)
        batches = outcome(lambda: sample.read(folder, text.encode(), "shapes"))
        if isinstance(batches, str):
            assert "line 1" in batches
            return
        good, bad = checked(batches)
        numbers = set(good["line"].to_list() + bad["line"].to_list())
        assert numbers == set(range(1, len(changed) + 1))

    go_on(15, {"data": st.data()}, check)


def test_spoilt_parquet_is_told_in_a_sentence(folder: Path, table_sample: Any) -> None:
    sample = table_sample
    frame = pl.read_csv(sample.text.encode(), separator=sample.separator, infer_schema=False)
    written = io.BytesIO()
    frame.write_parquet(written)
    raw = written.getvalue()

    def check(at: int, new: bytes) -> None:
        spoilt = raw[: at % len(raw)] + new + raw[at % len(raw) + len(new) :]
        batches = outcome(lambda: sample.read(folder, spoilt, "spoilt"))
        if not isinstance(batches, str):
            checked(batches)
            assert sum(batch.rows for batch in batches) <= frame.height

    go_on(5, {"at": st.integers(0, 30_000), "new": st.binary(min_size=1, max_size=8)}, check)


NAMES = ["a", "b", "c", "d", "e"]
CELLS = st.one_of(
    st.text(st.sampled_from(NASTY), max_size=6),
    st.sampled_from(["", "1", "-2", "1,5", "1.234,50", "12.50", "a@b.c", "purchase", "refund", "view"]),
    st.sampled_from(["2026-01-05", "05.01.2026", "1767571200", "0", "1e400", "9" * 30]),
)
COLUMN = st.sampled_from(NAMES)
MAPPINGS = st.fixed_dictionaries(
    {
        "columns": st.fixed_dictionaries(
            {"user": COLUMN, "time": COLUMN},
            optional=dict.fromkeys(COALESCED[1:], st.lists(COLUMN, min_size=1, max_size=2))
            | dict.fromkeys(FIGURES, COLUMN),
        )
    },
    optional={
        "names": st.just(NAMES),
        "optional": st.lists(COLUMN, min_size=1),
        "fill_down": st.lists(COLUMN, min_size=1),
        "nobody": st.lists(st.sampled_from(["0", "1"]), min_size=1),
        "purchase_only": st.lists(st.sampled_from(BOUGHT), min_size=1),
        "constants": st.dictionaries(
            st.sampled_from(CONSTANTS), st.sampled_from(["EUR", "1", "view", "purchase"])
        ),
        "time": st.fixed_dictionaries(
            {"format": st.lists(st.sampled_from(["iso", "seconds", "%d.%m.%Y"]), min_size=1)}
        ),
        "kinds": st.dictionaries(
            st.sampled_from(["1", "*", "*e*", "view"]), st.sampled_from(["view", "purchase", "refund"])
        ),
        "numbers": st.fixed_dictionaries(
            {},
            optional={
                "decimal": st.just(","),
                "thousands": st.sampled_from([".", " "]),
                "stars": st.integers(1, 100),
                "duration": st.sampled_from(list(DURATIONS)),
            },
        ),
        "negative": st.fixed_dictionaries(
            {"amount": st.sampled_from(SIGNS), "quantity": st.sampled_from(SIGNS)}
        ),
        "order": st.fixed_dictionaries(
            {"known_by_place": st.just(True)},
            optional={
                "by": COLUMN,
                "subtotal": COLUMN,
                "total": COLUMN,
                "refunded": COLUMN,
                "unpaid": st.just(["view"]),
                "all_refunded": st.just(["1"]),
            },
        ),
    },
)


def toml(told: dict[str, Any]) -> str:
    """A mapping as TOML, whose plain values come before its sections."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in told.items() if not isinstance(value, dict)]
    for name, section in told.items():
        if isinstance(section, dict):
            plain += [
                f"[{name}]",
                *(f"{json.dumps(key)} = {json.dumps(one)}" for key, one in section.items()),
            ]
    return "\n".join(plain) + "\n"


def test_any_mapping_reads_any_rows(folder: Path, options: sources.Options) -> None:
    path, mapping = folder / "rows.csv", folder / "any.toml"

    def check(told: dict[str, Any], rows: list[list[str]]) -> None:
        mapping.write_text(toml(told))
        lines = [";".join(cell.replace(";", "") for cell in row).replace('"', "") for row in rows]
        path.write_text("\n".join([";".join(NAMES), *lines]) + "\n")
        batches = outcome(lambda: list(sources.read(path, "auto", options, mapping)))
        if not isinstance(batches, str):
            good, bad = checked(batches)
            assert sorted(good["line"].to_list() + bad["line"].to_list()) == list(range(2, len(rows) + 2))

    rows = st.lists(st.lists(CELLS, min_size=5, max_size=5), max_size=6)
    go_on(40, {"told": MAPPINGS, "rows": rows}, check)


def test_the_row_equation_holds_for_any_file(tmp_path: Path, sample: Any) -> None:
    def check(changes: list[tuple[int, int, str, str]]) -> None:
        path = sample.written(tmp_path, garbled(sample.text, sample.header, changes).encode(), "import")
        read = outcome(lambda: sample.batches(path))
        store = tmp_path / f"{time.time_ns()}.db"
        init(store)
        with open_session(store) as s:
            for again in (False, True):
                try:
                    told = import_files(
                        s, [path], format=sample.format, mapping=sample.mapping_file(tmp_path)
                    )
                except (sources.SourceError, OperationError):
                    assert isinstance(read, str)
                    return
                parts = ("accepted", "duplicates", "changed", "suppressed", "quarantined")
                assert told["rows"] == sum(told[part] for part in parts)
                assert told["rows"] == sum(batch.rows for batch in read)
                assert not again or told["accepted"] + told["changed"] == 0

    go_on(1, {"changes": EDITS}, check)
