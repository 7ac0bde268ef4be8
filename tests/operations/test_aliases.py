"""Aliases in the log: kept with whom they name, once, and never two that contradict each other."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import carried, log, vocabulary
from db.content import content_digest
from db.erasures import Erasures
from segtui.operations.erase import erase
from segtui.operations.ingest import import_files
from segtui.operations.session import Session
from segtui.operations.verify import verify

START = datetime(2026, 1, 5, tzinfo=UTC)


def alias(user, previous, day, kind="alias"):
    at = (START + timedelta(days=day)).isoformat()
    return {"user": user, "previous": previous, "time": at, "kind": kind}


def told(s: Session):
    """(user, other, day, joins) of every link, by seq."""
    links = carried.links(s.store)
    names = s.external([*links["user"], *links["other"]])
    begin = int(START.timestamp()) * 1_000_000
    return [
        (names[row["user"]], names[row["other"]], (row["occurred_at"] - begin) / 86_400e6, row["joins"])
        for row in links.iter_rows(named=True)
    ]


@pytest.fixture
def give(shop):
    """Imports event lines as one file, given as dicts; returns what the import said."""
    shop.at(90)

    def run(*rows, name="aliases", **options):
        path = shop.path.with_name(f"{name}.ndjson")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with shop.open() as s:
            return import_files(s, [path], format="events", **options)

    return run


def quarantined(result):
    return [json.loads(line) for line in Path(result["quarantine_file"]).read_text().splitlines()]


def test_an_alias_is_kept_with_whom_it_names(shop, give):
    found = give(alias("ann", "anon-1", 1), alias("ann", "anon-2", 1), alias("ann", "anon-1", 5, "unalias"))
    assert (found["accepted"], found["users"]) == (3, 1)
    with shop.open() as s:
        assert told(s) == [
            ("ann", "anon-1", 1, True),
            ("ann", "anon-2", 1, True),
            ("ann", "anon-1", 5, False),
        ]
        assert s.attributes().is_empty()
        assert carried.links(s.store, position=found["first_seq"]).height == 1
        assert verify(s)["ok"]


def test_an_alias_told_again_adds_nothing(shop, give):
    rows = [alias("ann", "anon-1", 1), alias("ann", "anon-2", 1), alias("bob", "anon-3", 2)]
    assert give(rows[0])["accepted"] == 1
    for source in ("events", "other"):
        again = give(*rows, rows[2] | {"id": "x-1"}, name=source, source=source)
        assert again["rows"] == again["accepted"] + again["duplicates"] == 4
    with shop.open() as s:
        assert sorted(told(s)) == [
            ("ann", "anon-1", 1, True),
            ("ann", "anon-2", 1, True),
            ("bob", "anon-3", 2, True),
        ]


def test_an_identify_joins_whom_it_names_and_may_name_nobody(shop, give):
    rows = [
        alias("ann", "anon-1", 1, "identify"),
        alias("ann", "anon-1", 2, "identify"),
        {"user": "bob", "time": "2026-01-06", "kind": "identify"},
        alias("bob", "anon-1", 3, "identify"),
        alias("ann", "anon-1", 4, "unalias"),
    ]
    found = give(*rows)
    assert found["reasons"] == {"an alias gives an id to a second user": 1}
    assert give(*rows)["duplicates"] == 4
    with shop.open() as s:
        assert told(s) == [
            ("ann", "anon-1", 1, True),
            ("ann", "anon-1", 2, True),
            ("ann", "anon-1", 4, False),
        ]
        assert verify(s)["ok"]


def bought(user, device, order, minute):
    """A GA4 purchase of two items, which tells both ids of who bought."""
    at = int((START + timedelta(minutes=minute)).timestamp() * 1e6)
    items = [{"item_id": item, "price": 5, "quantity": 1} for item in ("mug", "pot")]
    told = {"event_name": "purchase", "user_id": user, "user_pseudo_id": device, "items": items}
    return {**told, "event_timestamp": at, "ecommerce": {"transaction_id": order}}


def test_a_line_that_joins_two_ids_keeps_its_other_rows(shop, tmp_path):
    shop.at(90)
    path = tmp_path / "ga4.ndjson"
    events = [bought("ann", "1.1", "A", 1), bought("ann", "1.1", "B", 2), bought("bob", "1.1", "C", 3)]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    with shop.open() as s:
        found = import_files(s, [path], format="ga4")
        assert (found["rows"], found["accepted"], found["quarantined"]) == (8, 7, 1)
        assert found["reasons"] == {"an alias gives an id to a second user": 1}
        assert [row[:2] for row in told(s)] == [("ann", "1.1")]
        kinds = vocabulary.texts(s.store, "kind")
        seen = [kinds[kind] for kind in log.behaviour(s.store)["kind"]]
        assert (seen.count("purchase"), seen.count("identify")) == (6, 1)
        assert import_files(s, [path], format="ga4")["duplicates"] == 7


def test_an_erased_device_takes_nothing_else_of_a_line_along(shop, tmp_path):
    shop.at(90)
    path = tmp_path / "ga4.ndjson"
    with shop.open() as s:
        path.write_text(json.dumps(bought(None, "1.1", "A", 1)) + "\n")
        assert import_files(s, [path], format="ga4")["accepted"] == 2
        erase(s, ["1.1"])
        path.write_text(json.dumps(bought("ann", "1.1", "B", 2)) + "\n")
        found = import_files(s, [path], format="ga4")
        assert (found["rows"], found["accepted"], found["suppressed"]) == (3, 2, 1)
        assert s.store.vault.surrogate("1.1") is None
        assert carried.links(s.store).is_empty()


def test_the_content_digest_knows_whom_an_alias_names_and_no_number(shop, give, tmp_path, make_shop):
    rows = [
        alias("ann", "anon-1", 1),
        alias("ann", "anon-2", 2),
        alias("zoe", None, 3, "view"),
    ]
    give(*rows)
    with shop.open() as s:
        kept, summed = content_digest(s.store), None
        with s.store.transaction(actor="test", source="test") as tx:
            s.store.connection.execute("DELETE FROM snapshots WHERE name = 'content'")
            tx.append_decision("noted", {})
        summed = content_digest(s.store)
    assert kept == summed
    for order, same in ((rows[::-1], True), ([rows[0], rows[2], alias("ann", "anon-9", 2)], False)):
        other = make_shop()
        other.at(90)
        for index, row in enumerate(order):
            path = tmp_path / f"{index}.ndjson"
            path.write_text(json.dumps(row) + "\n")
            with other.open() as s:
                import_files(s, [path], format="events")
        with other.open() as s:
            assert (content_digest(s.store) == kept) is same


def test_an_id_that_is_somebodys_cannot_become_anothers(give):
    found = give(alias("ann", "anon-1", 1), alias("bob", "anon-1", 2), alias("bob", "anon-2", 2))
    assert (found["accepted"], found["quarantined"]) == (2, 1)
    assert found["reasons"] == {"an alias gives an id to a second user": 1}
    (row,) = quarantined(found)
    both = json.loads(row["row"])
    assert row["line"] == 2
    assert json.loads(both["row"])["user"] == "bob"
    assert (both["contradicts"]["user"], both["contradicts"]["line"]) == ("ann", 1)


def test_aliases_cannot_go_round_in_a_circle(give):
    assert give(alias("bob", "ann", 1), alias("cat", "bob", 2))["accepted"] == 2
    found = give(alias("ann", "cat", 3), name="later")
    assert (found["accepted"], found["quarantined"]) == (0, 1)
    assert found["reasons"] == {"an alias leads back to where it began": 1}
    both = json.loads(quarantined(found)[0]["row"])
    assert both["contradicts"]["user"] in {"bob", "cat"}


def test_once_undone_an_id_may_become_anothers(shop, give):
    give(alias("ann", "anon-1", 1), alias("ann", "anon-1", 4, "unalias"))
    assert give(alias("bob", "anon-1", 3), name="too-early")["quarantined"] == 1
    assert give(alias("bob", "anon-1", 5), name="late-enough")["accepted"] == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (alias("ann", None, 1), "an alias without a previous id"),
        (alias("ann", " ", 1), "an alias without a previous id"),
        (alias("ann", "ann", 1), "an alias of a user with itself"),
        (alias("ann", "x" * 300, 1), "previous '…' is longer than 256 characters"),
    ],
)
def test_an_alias_that_joins_nobody_is_quarantined(give, row, reason):
    found = give(row, alias("bob", "anon-1", 1))
    assert (found["accepted"], found["reasons"]) == (1, {reason: 1})


def test_an_alias_of_an_erased_person_is_suppressed(shop, give):
    give(alias("ann", "anon-1", 1), alias("bob", "anon-2", 1))
    with shop.open() as s:
        erase(s, ["anon-2"])
    found = give(alias("zoe", "anon-2", 9), alias("ann", "anon-3", 9), name="tonight")
    assert (found["accepted"], found["suppressed"]) == (1, 1)


@pytest.mark.parametrize("asked", ["ann", "anon-1", "anon-0"])
def test_erasing_one_id_of_a_person_erases_all_of_them(shop, give, asked):
    ids = ["ann", "anon-1", "anon-0"]
    give(alias("ann", "anon-1", 1), alias("anon-1", "anon-0", 2), alias("bob", "anon-2", 1))
    with shop.open() as s:
        assert erase(s, [asked])["persons"] == 1
        assert s.store.vault.known(ids) == {}
        assert set(Erasures(s.store).states([*ids, "bob", "anon-2"])) == set(ids)
        assert verify(s)["ok"]


@pytest.mark.parametrize("purge", [False, True])
def test_erasing_an_id_that_was_taken_back_leaves_the_user_and_a_sound_store(shop, give, purge):
    give(alias("ann", "anon-1", 1), alias("ann", "anon-1", 4, "unalias"), alias("ann", "anon-2", 5))
    with shop.open() as s:
        assert erase(s, ["anon-1"], purge=purge)["persons"] == 1
        assert set(s.store.vault.known(["ann", "anon-1", "anon-2"])) == {"ann", "anon-2"}
        assert verify(s)["ok"]


def test_a_dry_run_finds_the_same_contradictions(give):
    rows = [alias("ann", "anon-1", 1), alias("bob", "anon-1", 2)]
    tried = give(*rows, dry_run=True)
    assert (tried["accepted"], tried["quarantined"]) == (1, 1)


ROWS = st.lists(
    st.builds(
        alias,
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(["a", "b", "c", "d", "e"]),
        st.integers(0, 9),
        st.sampled_from(["alias", "alias", "unalias"]),
    ),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ROWS)
def test_whatever_aliases_come_every_row_is_counted_and_a_second_time_adds_nothing(make_shop, rows):
    shop = make_shop()
    shop.at(90)
    path = shop.path.with_name("some.ndjson")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with shop.open() as s:
        first = import_files(s, [path], format="events")
        before = told(s)
        again = import_files(s, [path], format="events")
        assert told(s) == before
    for found in (first, again):
        counted = sum(
            found[name] for name in ("accepted", "duplicates", "changed", "suppressed", "quarantined")
        )
        assert found["rows"] == counted == len(rows)
    assert again["accepted"] == 0
    assert again["content_digest"] == first["content_digest"]
