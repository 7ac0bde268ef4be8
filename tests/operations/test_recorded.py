"""A pass over past ticks reads lists as they were, also where the rescore before it is what moves them."""

import json

import pytest

from segtui.operations import segment
from segtui.operations.erase import erase
from segtui.operations.from_scores import from_scores
from segtui.operations.ingest import import_files
from segtui.operations.members import members
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.retain import retain
from segtui.operations.verify import verify
from tests.operations.conftest import line

DAYS, USERS = 90, "abcdef"
WITH_SCORES = "listed = 'x'"


def erased(s, _path):
    """Whose number comes just before that of somebody listed."""
    erase(s, ["a"])


def cut(s, _path):
    """The first of all is forgotten."""
    retain(s, "60d")


def linked(s, path):
    path.write_text(json.dumps(line("a", DAYS - 3, "alias", previous="b")))
    import_files(s, [path], format="events")


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize(
    ("pending", "start", "held"),
    [(erased, 5, {"b", "d"}), (cut, 5, {"b", "d"}), (linked, 5, {"a", "d"}), (linked, 0, {"a", "d"})],
)
def test_a_rule_over_a_list_agrees_with_it_after_a_range(shop, tmp_path, scores, pending, start, held):
    shop.at(DAYS + 0.5)
    shop.events([("old", 3, "purchase", 10.0)])
    shop.events([(user, DAYS - day, "purchase", 10.0) for user in USERS for day in range(9, 0, -1)])
    listed = tmp_path / "listed.txt"
    with shop.open() as s:
        rescore(s)
        if scores:
            listed.write_text("user,label\na,y\nb,x\nc,y\nd,x\ne,y\n")
            from_scores(s, "listed", listed)
        else:
            listed.write_text("b\nd\n")
            segment.from_file(s, "listed", listed)
        segment.define(s, "both", f"{'listed' if not scores else WITH_SCORES} AND orders > 0")
    shop.at(DAYS + 1.5)
    with shop.open() as s:
        pending(s, tmp_path / "late.ndjson")
        rescore_range(s, shop.instant(DAYS - start))
        for name in ("listed=x" if scores else "listed", "both"):
            assert {each["user"] for each in members(s, name, limit=9)["members"]} == held, name
        assert [each for each in verify(s, deep=True)["checks"] if not each["ok"]] == []
        assert rescore(s)["changed"] == 0


@pytest.mark.parametrize("visitors", ["cf", "a", "f"])
def test_links_of_others_leave_a_list_alone_where_few_are_rescored(shop, tmp_path, visitors):
    """Whoever has no news inside the tick is not read, nor are those they are one person with."""
    shop.at(9.5)
    shop.events([(user, 3, "purchase", 10.0) for user in USERS])
    (tmp_path / "listed.txt").write_text("f\n")
    (tmp_path / "linked.ndjson").write_text(json.dumps(line("b", 4, "alias", previous="d")))
    with shop.open() as s:
        import_files(s, [tmp_path / "linked.ndjson"], format="events")
        rescore(s)
        segment.from_file(s, "listed", tmp_path / "listed.txt")
        rescore(s)
    shop.events([(user, 9.2, "view", None) for user in visitors])
    with shop.open() as s:
        rescore(s)
        assert [each["user"] for each in members(s, "listed", limit=9)["members"]] == ["f"]
        assert [each for each in verify(s, deep=True)["checks"] if not each["ok"]] == []
