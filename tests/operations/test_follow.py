"""Streams of event lines: every line once, wherever the file was cut or moved; the place is in the commit."""

import json
import os
import threading
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import content, log
from segtui.operations import feeds
from segtui.operations.errors import OperationError
from segtui.operations.feeds import Batches, Lines, Place
from segtui.operations.follow import ingest, total
from segtui.operations.ingest import import_files
from segtui.operations.verify import verify

STORES = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def line(number, **more):
    """An event line of one of seven users."""
    at = f"2026-01-{1 + number % 4:02}T{number % 24:02}:00:00Z"
    told = {"user": f"u{number % 7}", "time": at, "kind": "purchase", "amount": 1.0 + number % 5}
    return json.dumps(told | {"currency": "EUR"} | more)


@pytest.fixture
def open_shop(make_shop):
    """Opens a new shop, at a day all lines are before."""

    def opened():
        shop = make_shop()
        shop.at(20)
        return shop.open()

    return opened


def taken(s, *files, **options):
    """The sums of what `ingest` did with files, one after the other."""
    return [total(s, ingest(s, file, **options)) for file in files]


class Fed:
    """A feed of pieces; None in between is a file that begins anew."""

    name = "pieces"
    left = None

    def __init__(self, pieces):
        self._pieces, self._anew = list(pieces), False

    def read(self, _seconds):
        if not self._pieces:
            return None
        piece = self._pieces.pop(0)
        self._anew = piece is None
        return piece or b""

    def begins_anew(self):
        anew, self._anew = self._anew, False
        return anew


def cut(pieces, **bounds):
    """All lines that come of pieces, in batches, and what was left."""
    batches = Batches(Fed(pieces), Place(), b"", **{"rows": 3, "size": 50, "delay": 10.0} | bounds)
    found = []
    while (lines := batches.next(lambda: False)) is not None:
        found.append(lines)
    return [each for each in found if each.texts], batches.left


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"")), max_size=20),
    st.data(),
    st.integers(1, 5),
    st.integers(1, 60),
)
def test_lines_come_out_whole_in_order_and_the_place_is_where_they_end(texts, data, rows, size):
    raw = b"".join(text + b"\n" for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    found, left = cut(pieces, rows=rows, size=size)
    assert [text for each in found for text in each.texts] == [
        text.decode(errors="replace") for text in texts
    ]
    assert not left
    ends, number = 0, 1
    for each in found:
        assert each.first == number
        assert len(each.texts) <= rows
        ends += sum(len(text) + 1 for text in texts[number - 1 : number - 1 + len(each.texts)])
        number += len(each.texts)
        assert (each.place.offset, each.place.lines) == (ends, number - 1)


def test_a_last_line_without_an_end_waits_unless_it_is_whole():
    half, left = cut([b'{"a": 1}\n{"b"'])
    assert [each.texts for each in half] == [['{"a": 1}']]
    assert left
    whole, left = cut([b'{"a": 1}\n{"b": 2}'])
    assert whole[-1].texts[-1] == '{"b": 2}'
    assert (whole[-1].place.offset, left) == (17, False)


def test_what_stood_in_an_old_file_ends_with_it():
    found, _ = cut([b"one\ntwo", None, b"three\n"])
    assert found == [
        Lines(1, ["one", "two"], found[0].place, turns=True),
        Lines(1, ["three"], found[1].place),
    ]
    assert found[1].place.offset == 6


def test_a_line_that_never_ends_is_refused(monkeypatch):
    monkeypatch.setattr(feeds, "LONGEST_LINE", 10)
    with pytest.raises(OperationError, match="pieces, line 2 is longer"):
        cut([b"one\n", b"x" * 11], size=2)


@STORES
@given(st.lists(st.integers(0, 12), min_size=1, max_size=25), st.data())
def test_a_stream_cut_anywhere_brings_what_one_import_brings(open_shop, tmp_path_factory, numbers, data):
    """Rows may be alike, with an id or without; the file grows between reads, which are in any batches."""
    lines = [line(number, **({"id": f"e{number}"} if number % 3 == 0 else {})) for number in numbers]
    folder = tmp_path_factory.mktemp("files")
    whole, growing = folder / "whole.ndjson", folder / "growing.ndjson"
    text = "".join(f"{each}\n" for each in lines)
    whole.write_text(text)
    with open_shop() as s:
        import_files(s, [whole], format="events")
        wanted = content.content_digest(s.store)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
    with open_shop() as s:
        for end in [*cuts, len(text)]:
            growing.write_text(text[:end])
            taken(s, growing, rows=data.draw(st.integers(1, 9)))
        assert content.content_digest(s.store) == wanted
        assert import_files(s, [whole], format="events")["accepted"] == 0
        assert verify(s)["ok"], verify(s)["checks"]


def test_a_session_goes_on_in_the_next_batch(open_shop, tmp_path):
    file = tmp_path / "shop.log"
    names = ["a", "b", "a", None, "c", "b", "a"]
    rows = [line(7 * number, session=name) for number, name in enumerate(names)]
    file.write_text("".join(f"{row}\n" for row in rows))
    with open_shop() as s:
        assert taken(s, file, rows=2)[0]["accepted"] == len(names)
        assert log.behaviour(s.store)["session"].to_list() == [1, 2, 1, None, 3, 2, 1]


def test_another_file_of_the_source_brings_what_is_new_only(open_shop, tmp_path):
    first, second = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    first.write_text(f"{line(1)}\n{line(1)}\n")
    second.write_text(f"{line(1)}\n{line(1)}\n{line(1)}\n{line(2)}\n")
    with open_shop() as s:
        assert [each["accepted"] for each in taken(s, first, second, first)] == [2, 2, 0]
        assert [each["accepted"] for each in taken(s, first, source="other")] == [0]


def test_a_file_goes_on_where_its_last_commit_ended_or_from_its_beginning(open_shop, tmp_path):
    file, said = tmp_path / "shop.log", []
    file.write_text(f"{line(1)}\n")
    with open_shop() as s:
        taken(s, file)
        with file.open("a") as end:
            end.write(f"{line(2)}\n")
        assert taken(s, file, tell=said.append)[0]["rows"] == 1
        assert said == [f"{file} was read up to line 1: it goes on there."]
        file.write_text(f"{line(3)}\n")
        assert taken(s, file, tell=said.append)[0]["accepted"] == 1
        assert "was cut to" in said[-1]
        file.write_text(f"{line(4)}\n{line(3)}\n")
        (told,) = taken(s, file, tell=said.append)
        assert (told["accepted"], told["duplicates"]) == (1, 1)
        assert "is another file" in said[-1]
        followed = log.decisions(s.store, kinds=("imported",))[-1].body["followed"]
        assert (followed["offset"], followed["lines"]) == (file.stat().st_size, 2)


def test_a_followed_file_may_grow_be_moved_away_and_be_cut(open_shop, tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "GRACE", 0.1)
    file, said, stop = tmp_path / "shop.log", [], threading.Event()
    file.write_text(f"{line(1)}\n")

    def then(number):
        """What happens to the file after so many commits."""
        if number == 1:
            with file.open("a") as end:
                end.write(f"{line(2)}\n{line(5)[:20]}")
            file.rename(tmp_path / "shop.log.1")
            file.write_text(f"{line(3)}\n{line(3)}\n")
        elif number == 4:
            file.write_text(f"{line(4)}\n")
        elif number == 5:
            stop.set()

    with open_shop() as s:
        found = []
        for number, each in zip(
            count(1), ingest(s, file, follow=True, delay=0.02, tell=said.append, cancelled=stop.is_set)
        ):
            found.append((each["accepted"], each["quarantined"]))
            then(number)
        # The half line waits for its rest beside what the new file brings.
        assert found[:2] == [(1, 0), (1, 0)]
        assert sorted(found[2:4]) == [(0, 1), (2, 0)]
        assert found[4:] == [(1, 0)]
    assert ["is another file now" in each or "was cut" in each for each in said] == [True, True]


def followed(s, file, happens, **options):
    """The commits of a file that is followed until as many things have happened as there are, each after the
    commit before it."""
    stop, found = threading.Event(), []
    happens = iter(happens)
    for each in ingest(s, file, follow=True, delay=0.02, cancelled=stop.is_set, **options):
        found.append(each)
        next(happens, stop.set)()
    return found


def added(path, text):
    with path.open("a") as end:
        end.write(text)


def test_what_is_written_to_a_file_after_it_was_rotated_comes_too(open_shop, tmp_path):
    """The writer is told of a rotation when the new file is there, and ends a line in the old one."""
    file, old = tmp_path / "shop.log", tmp_path / "shop.log.1"
    file.write_text(f"{line(1)}\n")

    def rotate():
        added(file, f"{line(1)}\n{line(2)[:20]}")
        file.rename(old)
        file.write_text(f"{line(3)}\n")

    def go_on():
        added(old, f"{line(2)[20:]}\n{line(1)}\n")

    with open_shop() as s:
        found = followed(s, file, [rotate, lambda: None, go_on, lambda: added(file, f"{line(4)}\n")])
        told = [(each["accepted"], each["duplicates"], each["offset"]) for each in found]
        size = len(line(1)) + 1
        # In the old file a line stands as often as it stands there, as if nothing had happened between.
        assert told == [(1, 0, size), (1, 0, 2 * size), (1, 0, size), (2, 0, None), (1, 0, 2 * size)]
        assert not any(each["quarantined"] for each in found)
        # Started again, it goes on in the new file.
        added(file, f"{line(5)}\n")
        assert taken(s, file)[0]["rows"] == 1


def test_what_an_old_file_holds_is_taken_when_it_is_left_for_good(open_shop, tmp_path):
    """Called off, or rotated once more: its lines come first, and a half one is quarantined."""
    file, last = tmp_path / "shop.log", tmp_path / "shop.log.2"
    file.write_text(f"{line(1)}\n")

    def rotate(number):
        file.rename(tmp_path / f"shop.log.{number}")
        added(tmp_path / f"shop.log.{number}", f"{line(number)}\n{line(9)[:9]}")
        file.write_text(f"{line(4 + number)}\n")

    with open_shop() as s:
        moves = [lambda: rotate(1), lambda: None, lambda: rotate(2), *[lambda: None] * 3]
        found = followed(s, file, moves)
        assert last.exists()
        accepted, refused = (sum(each[name] for each in found) for name in ("accepted", "quarantined"))
        assert (accepted, refused) == (5, 2), found


def test_lines_that_are_no_events_are_quarantined_with_their_numbers(open_shop, tmp_path):
    file = tmp_path / "shop.log"
    bad = ["PK\x03\x04", "[1]", '{"user": "u1"}', "\x00", '{"user": "u1", "time": "soon", "kind": "view"}']
    file.write_bytes(b"\xff\xfe\n" + "\n".join([*bad[:2], "", line(1), *bad[2:], ""]).encode())
    with open_shop() as s:
        (told,) = taken(s, file, rows=2)
        assert (told["rows"], told["accepted"], told["quarantined"]) == (7, 1, 6)
        kept = Path(told["quarantine_file"])
        rows = [json.loads(each) for each in kept.read_text().splitlines()]
        assert [(each["file"], each["line"]) for each in rows] == [(str(file), n) for n in (1, 2, 3, 6, 7, 8)]
        assert oct(kept.stat().st_mode & 0o777) == "0o600"


def test_a_pipe_is_read_until_its_end(open_shop, monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(f"{line(1)}\n{line(2)}")
    monkeypatch.setattr(feeds.Pipe, "__init__", lambda self, _, name: _set(self, reading, name))
    with open_shop() as s:
        told = total(s, ingest(s, rows=1))
        assert (told["accepted"], told["users"], told["offset"]) == (2, 2, len(line(1)) + 1 + len(line(2)))


def _set(pipe, descriptor, name):
    pipe._descriptor, pipe.name = descriptor, name


def test_what_cannot_be_followed_is_said(open_shop, tmp_path):
    with open_shop() as s:
        for file, why in ((tmp_path / "none", "No such file"), (tmp_path, "no regular file")):
            with pytest.raises(OperationError, match=why):
                list(ingest(s, file))
