"""Where results go and in which form: JSON, a drawn table, or tab-separated exact values."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest

from segtui.cli import shown
from segtui.cli.output import Column, Output, dumps
from segtui.operations import words

COLUMNS = (Column("user", width=8), Column("users", words.count, right=True, width=6))
ROWS = [{"user": "a\tb", "users": 1234}, {"user": "c", "users": None}]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Takes stdout for the moment; a fixture would lose it again to pytest's own capture."""
    with redirect_stdout(Terminal()) as stream:
        yield stream


def output(*, json: bool = False, quiet: bool = False, named: bool = False) -> Output:
    return Output(Path("shop.db"), json=json, quiet=quiet, named=named)


def test_a_pipe_gets_exact_values_one_row_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output().stream(iter(ROWS), COLUMNS)
    output().table(COLUMNS, [[row["user"], row["users"]] for row in ROWS], title="not for scripts")
    table = "user\tusers\na b\t1234\nc\t\n"
    assert capsys.readouterr().out == table + table


def test_a_pipe_gets_no_list_of_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    trend = (Column("users"), Column("trend", lambda sizes: f"{len(sizes)} sizes", drawn=True))
    output().table(trend, [[7, [1, 2]], [8, None]])
    assert capsys.readouterr().out == "users\ttrend\n7\t2 sizes\n8\t\n"


def test_a_terminal_gets_human_numbers_in_columns() -> None:
    with terminal() as stream:
        output().stream(iter(ROWS), COLUMNS)
    assert stream.getvalue().splitlines() == ["USER       USERS", "a�b        1,234", "c              -"]


def test_a_terminal_gets_a_drawn_table() -> None:
    with terminal() as stream:
        output().table(COLUMNS, [["[red]x", 1234]], title="sizes")
    text = stream.getvalue()
    assert "sizes" in text
    assert "1,234" in text
    # what users wrote is no markup
    assert "[red]x" in text


def test_json_stays_json_on_a_terminal() -> None:
    with terminal() as stream:
        output(json=True).stream(iter(ROWS), COLUMNS)
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == ROWS


def test_what_a_file_told_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    wicked = "\x1b]0;owned\x07\x9b2J"
    with terminal() as stream:
        out = output()
        out.stream(iter([{"user": wicked, "users": 1}]), COLUMNS)
        out.table(COLUMNS, [[wicked, 1]])
        out.facts([("user", wicked)])
        out.message(wicked)
    for text in (stream.getvalue(), capsys.readouterr().err):
        # the table's own styles apart
        told = re.sub(r"\x1b\[\d*m", "", text)
        assert not set(told) & {"\x1b", "\x07", "\x9b"}
        assert "owned" in text


def test_a_number_that_is_none_becomes_null() -> None:
    assert json.loads(dumps({"auc": float("nan"), "rows": [[1.5, float("inf")]]})) == {
        "auc": None,
        "rows": [[1.5, None]],
    }


def test_facts(capsys: pytest.CaptureFixture[str]) -> None:
    output().facts([("events", 1), ("last import", None), ("detail", {"a": [1]})])
    assert capsys.readouterr().out == 'events\t1\nlast import\t\ndetail\t{"a": [1]}\n'
    with terminal() as stream:
        output().facts([("events", 1), ("last import", None)])
    assert stream.getvalue() == "events       1\nlast import  -\n"


def test_lists_are_fifty_rows_on_a_terminal_and_whole_in_a_pipe() -> None:
    assert output().limit(None) is None
    assert output().limit(3) == 3
    with terminal():
        assert output().limit(None) == 50
        assert output(json=True).limit(None) == 50
        assert output().limit(0) == 0


def test_a_list_cut_at_fifty_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    for rows, told in ((49, False), (50, True)):
        with terminal():
            out = output()
            assert out.limit(None) == 50
            out.stream(iter([ROWS[1]] * rows), COLUMNS)
        assert ("--limit" in capsys.readouterr().err) is told


def test_messages_go_to_stderr_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    output(quiet=True).message("hidden")
    output(quiet=True).next("segtui status")
    out = output()
    out.message("read")
    out.next("segtui status")
    out.next(None)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "read\nnext: segtui status\n"


def test_what_to_do_next_carries_a_store_that_was_named(capsys: pytest.CaptureFixture[str]) -> None:
    out = output(named=True)
    out.next("segtui train")
    out.next("segtui")
    out.next("segtui verify  # now and then")
    out.next("look at the quarantine file")
    assert capsys.readouterr().err == (
        "next: segtui train --store shop.db\n"
        "next: segtui --store shop.db\n"
        "next: segtui verify --store shop.db  # now and then\n"
        "next: look at the quarantine file\n"
    )


def test_a_store_is_named_as_a_shell_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    Output(Path("my shop.db"), json=False, quiet=False, named=True).next("segtui train")
    assert capsys.readouterr().err == "next: segtui train --store 'my shop.db'\n"


def test_no_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output().progress() as progress:
        progress("reading", 0.5)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_values_as_people_read_them() -> None:
    assert shown.when("2026-03-01T00:00:00+01:00") == "2026-03-01"
    assert shown.when("2026-03-01T06:30:00+01:00") == "2026-03-01 06:30"
    assert shown.counted({"clock": 1200, "event": 0}) == "clock 1,200"
    assert shown.counted({}) == "-"
    assert shown.sizes({"value": {"high": 1, "low": 20}}) == "value: high 1, low 20"
    assert [shown.value(each) for each in (1.23456, 7, "x")] == ["1.235", "7", "x"]


def test_a_trend_ends_with_the_newest_size() -> None:
    assert shown.trend([]) == ""
    assert shown.trend([5, 5]) == "▁▁"
    assert shown.trend([0, 7]) == "▁█"
    assert shown.trend([*range(30)]) == "▁▁▂▃▄▄▅▆▇█"
    assert shown.trend([0] * 29 + [1])[-1] == "█"
