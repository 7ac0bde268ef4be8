"""The main job on CDNOW: train, rescore what the next week brings, tamper, go over the past, replay."""

import shutil
import sqlite3

import pytest

from segtui.operations.changes import changes
from segtui.operations.ingest import import_files
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.segments import segments
from segtui.operations.session import open_session
from segtui.operations.verify import verify

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("cdnow-trained")]


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the trained store to write to."""
    copy = tmp_path / "shop"
    shutil.copytree(trained, copy)
    return copy


def test_the_next_week_rescored_equals_everyone_rescored(folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    digests = []
    for where, full in ((folder, False), (other, True)):
        with open_session(where / "shop.db") as s:
            import_files(s, [where / "week.txt"])
            told = rescore(s, full=full)
            digests.append(told["state_digest"])
            assert told["as_of"][:10] == "1998-02-08"
            if full:
                assert told["evaluated"] == 8 * 23_570
            else:
                assert told["due"] == told["evaluated"] < 8 * 23_570
            assert told["changed"] > 0
            assert verify(s)["ok"]
    assert digests[0] == digests[1]


def test_one_changed_cell_is_found(folder):
    connection = sqlite3.connect(folder / "shop.db")
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("UPDATE behaviour SET amount = amount + 1 WHERE seq = 500")
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()
    with open_session(folder / "shop.db") as s:
        told = verify(s)
    chain = next(check for check in told["checks"] if check["name"] == "chain")
    assert not told["ok"]
    assert not chain["ok"]
    assert "behaviour" in chain["detail"]


@pytest.mark.parametrize(
    ("first", "count"), [("1997-12-01", 62), pytest.param("1997-07-01", 215, marks=pytest.mark.soak)], ids=str
)
def test_a_backfilled_range_replays_to_the_sizes_that_segments_shows(folder, first, count):
    with open_session(folder / "shop.db") as s:
        start, end = s.instant(first), s.instant("1998-02-01")
        ticks = list(rescore_range(s, start, end))
        assert len(ticks) == count
        frames = list(replay(s, from_=start, to=end))
        assert [frame["as_of"] for frame in frames] == [tick["as_of"] for tick in ticks]
        assert [frame["state_digest"] for frame in frames] == [tick["state_digest"] for tick in ticks]
        labels = segments(s, at=end)["segmentations"][0]["labels"]
        assert frames[-1]["sizes"]["value"] == {each["label"]: each["users"] for each in labels}
        hindsight = {frame["as_of"][:10]: frame["hindsight"] for frame in frames}
        assert hindsight["1997-12-29"]
        assert not hindsight["1997-12-30"]
        told = list(changes(s, from_=start, to=end, first=True))
        assert all(change["cause"] and change["reason"] for change in told)
        assert all(change["backfilled"] for change in told)
        assert verify(s)["ok"]
