"""Event lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from segtui.sources import ndjson
from segtui.sources.errors import SourceError

Read = Callable[..., Any]


def event(**members: object) -> str:
    return json.dumps({"user": "u1", "time": "2026-01-05T10:00:00Z", "kind": "view"} | members)


def test_every_member_comes_through(read: Read) -> None:
    line = event(
        kind="purchase",
        item="sku-9",
        category="shoes",
        order="A-7",
        amount=59.90,
        currency="eur",
        quantity=2,
        rating=4.5,
        duration=12.5,
        platform="web",
        device="phone",
        region="FR",
        session="s1",
        id="evt-1",
        colour="red",
    )
    good, bad, attributes = read(line, "events")
    assert bad.is_empty()
    assert attributes.is_empty()
    assert good.to_dicts() == [
        {
            "line": 1,
            "user": "u1",
            "time": 1_767_607_200_000_000,
            "kind": "purchase",
            "order": "A-7",
            "item": "sku-9",
            "category": "shoes",
            "platform": "web",
            "device": "phone",
            "region": "FR",
            "currency": "EUR",
            "session": "s1",
            "id": "evt-1",
            "amount": 5990,
            "quantity": 2,
            "rating": 450,
            "duration": 12_500,
            "refunded": None,
            "email": None,
        }
    ]


def test_the_first_moment_of_1990_may_be_true(read: Read) -> None:
    good, bad, _ = read(event(time="1990-01-01T00:00:00Z", duration=0.001))
    assert good.select("time", "duration").rows() == [(631_152_000_000_000, 1)]
    assert bad.is_empty()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (event(user=None), "no customer: row cannot belong to a user"),
        (event(user="  "), "no customer: row cannot belong to a user"),
        (event(user={"id": 5}), "user '{\"id\": 5}' is not a text or a number"),
        (event(user=["u5"]), "user '[\"u5\"]' is not a text or a number"),
        (event(user="x" * 300), f"user '{'x' * 40}…' is longer than 256 characters"),
        (event(time=None), "no time"),
        (event(time="1997-13-01"), "time '1997-13-01' is not a time"),
        (event(time="it's late"), "time 'it’s late' is not a time"),
        (event(time="1969-12-31"), "time '1969-12-31' lies before 1990"),
        (event(time="1989-12-31T23:59:59Z"), "time '1989-12-31T23:59:59Z' lies before 1990"),
        (event(duration=0), "duration is 0"),
        (event(duration="0.0004"), "duration is 0"),
        (event(time="2031-01-01"), "time '2031-01-01' lies in the future"),
        (event(kind=None), "no kind"),
        (event(kind="Add To Cart"), "kind 'Add To Cart' is not a name in snake_case, like add_to_cart"),
        (event(quantity="two"), "quantity 'two' is not a number"),
        (event(quantity=1.5), "quantity '1.5' is not a whole number"),
        (event(quantity=-1), "negative quantity"),
        (event(amount="12,50"), "amount '12,50' is not a number"),
        (event(amount=-5, kind="purchase"), "negative amount outside a refund"),
        (event(amount=1e15), "amount '1000000000000000' is too large"),
        (event(amount="9" * 45), f"amount '{'9' * 40}…' is too large"),
        (event(amount=1, currency="XQX"), "currency 'XQX' is not an ISO 4217 code"),
        (event(rating=7), "rating '7' is not between 0 and 5"),
        (event(duration=-1), "negative duration"),
        ('{"user": "u1",', "not JSON: Expecting property name enclosed in double quotes at column 15"),
        ("[1, 2]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"user": NaN}', "not JSON: a number that is none, or nested too deep"),
        ('{"user": "\\ud800"}', "not JSON: half a character in an escape"),
        ("[" * 100_000, "not JSON: a number that is none, or nested too deep"),
    ],
)
def test_bad_rows_are_told_in_plain_words(read: Read, line: str, reason: str) -> None:
    good, bad, _ = read(f"{event()}\n\n{line}\n{event()}\n", "events")
    assert good["line"].to_list() == [1, 4]
    assert bad.select("line", "reason").rows() == [(3, reason)]
    kept = json.loads(bad["row"][0])
    assert kept == {"text": line} if reason.startswith("not ") else kept == json.loads(line)


def test_money_is_taken_as_written(read: Read) -> None:
    amounts = ["59.90", '"59.90"', "1e2", '"0.285"', "8911407.905", "123456789012.35"]
    lines = [event(kind="purchase", amount=0).replace("0}", f"{text}}}") for text in amounts]
    good, bad, _ = read("\n".join(lines), "events")
    assert bad.is_empty()
    assert good["amount"].to_list() == [5990, 5990, 10_000, 29, 891_140_791, 12_345_678_901_235]


def test_refunds_are_negative_whatever_their_sign(read: Read) -> None:
    lines = [event(kind="refund", amount=amount) for amount in (12.5, -12.5)]
    good, _, _ = read("\n".join(lines), "events")
    assert good["amount"].to_list() == [-1250, -1250]


def test_an_amount_without_a_currency_is_in_the_stores(read: Read) -> None:
    text = "\n".join([event(amount=5), event(amount=5, currency="GBP"), event()])
    assert read(text, "events")[0]["currency"].to_list() == ["EUR", "GBP", None]
    assert read(text, "events", currency="JPY")[0]["currency"].to_list() == ["JPY", "GBP", None]
    assert read(text, "events", currency="JPY")[0]["amount"].to_list() == [5, 500, None]


def test_times_without_a_zone_stand_in_the_one_told(read: Read) -> None:
    text = event(time="2026-01-05T10:00:00")
    utc, paris = (read(text, "events", timezone=zone)[0]["time"][0] for zone in ("UTC", "Europe/Paris"))
    assert utc - paris == 3_600_000_000


def test_an_escaped_pair_is_one_character(read: Read) -> None:
    good, _, _ = read('{"user": "\\ud83d\\ude00", "time": "2026-01-05", "kind": "view"}', "events")
    assert good["user"].to_list() == ["😀"]


def test_many_lines_with_a_few_broken_keep_their_order(read: Read) -> None:
    lines = [event(item=str(number)) for number in range(5 * ndjson.ALONE)]
    broken = [3, 100, 101, 250]
    for number in broken:
        lines[number] = lines[number][:-1]
    good, bad, _ = read("\n".join(lines), "events")
    assert bad["line"].to_list() == [number + 1 for number in broken]
    expected = [str(number) for number in range(len(lines)) if number not in broken]
    assert good["item"].to_list() == expected


def test_lines_without_a_needed_member_are_refused_as_a_whole(read: Read) -> None:
    with pytest.raises(
        SourceError, match="line 1: events needs the member time; there are user, kind, at: choose"
    ):
        read('{"user": "u1", "kind": "view", "at": "2026-01-05"}\n', "events")


def test_an_object_of_another_kind_asks_for_a_mapping(read: Read) -> None:
    with pytest.raises(SourceError, match="no user, time and kind; there are customer, at: write a mapping"):
        read('{"customer": "u1", "at": 5}\n')


def test_the_logs_own_kind_is_not_for_files(read: Read) -> None:
    _, bad, _ = read(event(kind="correction"), "events")
    assert bad["reason"].to_list() == ["kind 'correction' is the log's own: name it otherwise"]


def test_an_id_may_begin_as_a_list_or_an_object_does(read: Read) -> None:
    ids = ["[guest]", "{7f3a", '["u5"]', '{"id": 5}']
    good, bad, _ = read("\n".join([*(event(user=name) for name in ids), event(user=ids)]), "events")
    assert good["user"].to_list() == ids
    assert bad["line"].to_list() == [5]
