"""Delimited text: records, quotes, delimiters."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtui.sources import SourceError, delimited, files

cell = st.text(st.sampled_from("ab \",;\n'é1"), max_size=8)
rows = st.lists(st.lists(cell, min_size=3, max_size=3), min_size=1, max_size=8)


def records(
    path: Path, text: str, delimiter: str = ","
) -> tuple[list[int], list[tuple[str, ...]], list[int]]:
    """Lines and cells of the good records, lines of the broken ones."""
    path.write_text("a,b,c\n".replace(",", delimiter) + text, newline="")
    chunks = list(delimited.read(path, delimited.Shape(["a", "b", "c"], delimiter)))
    return (
        [line for chunk in chunks for line in chunk.lines],
        [row for chunk in chunks for row in chunk.rows.fill_null("").rows()],
        [line for chunk in chunks for line in chunk.broken["line"]],
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("delimited") / "rows.csv"


@settings(max_examples=150, deadline=None)
@given(rows=rows, delimiter=st.sampled_from(delimited.DELIMITERS), quoting=st.sampled_from([0, 1]))
def test_what_a_csv_writer_writes_is_read_back(
    path: Path, rows: list[list[str]], delimiter: str, quoting: int
) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(rows)
    lines, cells, broken = records(path, written.getvalue(), delimiter)
    assert cells == [tuple(row) for row in rows]
    assert broken == []
    starts, line = [], 2
    for row in rows:
        starts.append(line)
        line += 1 + sum(value.count("\n") for value in row)
    assert lines == starts


@settings(max_examples=60, deadline=None)
@given(rows=rows, size=st.integers(1, 60))
def test_a_record_may_lie_across_chunks(path: Path, rows: list[list[str]], size: int) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    whole = records(path, written.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "CHUNK_BYTES", size)
        assert records(path, written.getvalue()) == whole


@pytest.mark.parametrize(
    ("text", "cells", "broken"),
    [
        pytest.param('1,5" nail,3\n4,5,6\n', [("1", '5" nail', "3"), ("4", "5", "6")], [], id="inch mark"),
        pytest.param('1,"two"x,3\n', [("1", "twox", "3")], [], id="text after a closing quote"),
        pytest.param('"1,2,3\n4,5,6\n', [("4", "5", "6")], [2], id="quote never closed"),
        pytest.param("1,2\n1,2,3,4\n1,2,3\n", [("1", "2", "3")], [2, 3], id="too few and too many"),
        pytest.param(
            '1,"a\n\nb",3\n4,5,6\n', [("1", "a\n\nb", "3"), ("4", "5", "6")], [], id="blank line inside"
        ),
        pytest.param('"1","2"\n"a,b","c","d"\n', [("a,b", "c", "d")], [2], id="quoted and too few"),
    ],
)
def test_odd_records(path: Path, text: str, cells: list[tuple[str, ...]], broken: list[int]) -> None:
    _, found, wrong = records(path, text)
    assert found == cells
    assert wrong == broken


def test_a_quote_left_open_swallows_no_more_than_its_line(path: Path) -> None:
    many = "".join(f"{n},x,y\n" for n in range(delimited.MULTILINE + 50))
    lines, _, broken = records(path, '"open,1,2\n' + many + '9,"closed",9\n')
    assert broken == [2]
    assert len(lines) == delimited.MULTILINE + 51


def test_a_cell_too_long_for_the_reader_is_broken(path: Path) -> None:
    _, cells, broken = records(path, f'1,"{"x" * 200_000}"y,3\n4,5,6\n')
    assert cells == [("4", "5", "6")]
    assert broken == [2]


@pytest.mark.parametrize(
    ("header", "names", "delimiter"),
    [
        ("a,b,c", ["a", "b", "c"], ","),
        ("a;b,x;c", ["a", "b,x", "c"], ";"),
        ("a\tb", ["a", "b"], "\t"),
        ("a|b|c", ["a", "b", "c"], "|"),
        ('"a, b",c', ["a, b", "c"], ","),
        (",b", ["column 1", "b"], ","),
    ],
)
def test_headers(path: Path, header: str, names: list[str], delimiter: str) -> None:
    path.write_text(header + "\n1\n")
    assert delimited.shape_of(path) == delimited.Shape(names, delimiter)


def test_a_column_named_twice_is_refused(path: Path) -> None:
    path.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(SourceError, match="line 1: column 'a' stands twice"):
        delimited.shape_of(path)
