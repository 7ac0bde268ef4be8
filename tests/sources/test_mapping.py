"""Mapping files: any CSV, Parquet or NDJSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from segtui import sources
from segtui.sources import mapping as mappings
from segtui.sources.mapping import load

Read = Callable[..., Any]

SHOP = """\
[columns]
user = "customer"
time = "when"
kind = "what"
amount = "total"
quantity = "pieces"
[constants]
currency = "USD"
platform = "till"
"""
CONSTANT = SHOP.replace('quantity = "pieces"\n', "") + 'quantity = "1"\n'
HEADER = "customer,when,what,total,pieces\n"


def test_columns_and_constants(read: Read) -> None:
    good, bad, _ = read(HEADER + "c1,2026-01-05,purchase,12.50,2\n", mapping=SHOP)
    assert bad.is_empty()
    row = good.to_dicts()[0]
    assert {name: value for name, value in row.items() if value is not None} == {
        "line": 2,
        "user": "c1",
        "time": 1_767_571_200_000_000,
        "kind": "purchase",
        "platform": "till",
        "currency": "USD",
        "amount": 1250,
        "quantity": 2,
    }


@pytest.mark.parametrize("name", ["auto", "events", "table"])
def test_the_mapping_decides_whatever_the_format(read: Read, name: str) -> None:
    good, _, _ = read(HEADER + "c1,2026-01-05,purchase,12.50,2\n", name, mapping=SHOP)
    assert good["amount"].to_list() == [1250]


def test_kinds_are_translated_and_others_kept(read: Read) -> None:
    rows = "c1,2026-01-05,Kauf,1,1\nc1,2026-01-05,view,,\nc1,2026-01-05,Sonstiges,,\n"
    good, bad, _ = read(HEADER + rows, mapping=SHOP + '[kinds]\nKauf = "purchase"\n')
    assert good["kind"].to_list() == ["purchase", "view"]
    assert bad["reason"].to_list() == ["kind 'Sonstiges' is not a name in snake_case, like add_to_cart"]


def test_numbers_with_other_separators(read: Read) -> None:
    told = SHOP + '[numbers]\ndecimal = ","\nthousands = "."\n'
    totals = ["1.234,50", "1234,5", "-1.234,50", "12.34,5", "1.5", "1.234.567,8", "1234"]
    rows = "".join(f'c1,2026-01-05,purchase,"{total}",1\n' for total in totals)
    good, bad, _ = read(HEADER + rows, mapping=told)
    assert good["amount"].to_list() == [123_450, 123_450, 123_456_780, 123_400]
    assert bad["reason"].to_list() == [
        "negative amount outside a refund",
        "amount '12.34,5' is not a number",
        "amount '1.5' is not a number",
    ]


def test_blanks_may_group_digits(read: Read) -> None:
    told = SHOP + '[numbers]\nthousands = " "\n'
    rows = "c1,2026-01-05,purchase,1 234.50,1\nc1,2026-01-05,purchase,1\u202f234.50,1\n"
    assert read(HEADER + rows, mapping=told)[0]["amount"].to_list() == [123_450, 123_450]


def test_negative_amounts_and_quantities_may_mean_refunds(read: Read) -> None:
    rows = "c1,2026-01-05,purchase,-5,1\nc1,2026-01-05,purchase,5,-1\nc1,2026-01-05,view,,-1\n"
    good, bad, _ = read(HEADER + rows, mapping=SHOP)
    assert good.is_empty()
    assert bad["reason"].to_list() == [
        "negative amount outside a refund",
        "negative quantity",
        "negative quantity",
    ]
    told = SHOP + '[negative]\namount = "refund"\nquantity = "refund"\n'
    good, bad, _ = read(HEADER + rows, mapping=told)
    assert good.select("kind", "amount", "quantity").rows() == [("refund", -500, 1), ("refund", -500, 1)]
    assert bad["reason"].to_list() == ["negative quantity"]


def test_a_price_is_multiplied_by_the_quantity(read: Read) -> None:
    told = SHOP.replace("amount = ", "price = ")
    rows = "c1,2026-01-05,purchase,0.335,3\nc1,2026-01-05,purchase,2,\nc1,2026-01-05,view,,\n"
    rows += "c1,2026-01-05,purchase,999999999999,999999999999\n"
    good, bad, _ = read(HEADER + rows, mapping=told)
    assert good.select("kind", "amount").rows() == [("purchase", 101), ("view", None)]
    assert bad["reason"].to_list() == ["a price and no quantity", "price times quantity is too large"]


def test_stars_and_durations_are_brought_to_one_scale(read: Read) -> None:
    told = SHOP.replace('amount = "total"', 'rating = "total"').replace("quantity = ", "duration = ")
    told += '[numbers]\nstars = 10\nduration = "minutes"\n'
    good, bad, _ = read(HEADER + "c1,2026-01-05,review,7,1.5\nc1,2026-01-05,review,11,1\n", mapping=told)
    assert good.select("rating", "duration").rows() == [(350, 90_000)]
    assert bad["reason"].to_list() == ["rating '11' is not between 0 and 10"]


def test_the_e_mail_stands_in_where_there_is_no_customer(read: Read) -> None:
    told = SHOP.replace('amount = "total"', 'email = "total"')
    rows = "c1,2026-01-05,view,a@b.c,\n,2026-01-05,view, Eva@Shop.DE ,\n"
    rows += ",2026-01-05,view,none,\n,2026-01-05,view,,\n"
    good, bad, _ = read(HEADER + rows, mapping=told)
    assert good.select("user", "email").rows() == [("c1", None), ("eva@shop.de", "eva@shop.de")]
    assert bad["reason"].to_list() == [
        "no customer: row cannot belong to a user, and the e-mail is none",
        "no customer: row cannot belong to a user",
    ]


def test_the_zone_of_the_mapping_comes_first(read: Read) -> None:
    rows = HEADER + "c1,05.01.2026 10:00,view,,\n"
    told = SHOP + '[time]\nformat = "%d.%m.%Y %H:%M"\n'
    paris = read(rows, mapping=told, timezone="Europe/Paris")[0]["time"][0]
    tokyo = read(rows, mapping=told + 'zone = "Asia/Tokyo"\n', timezone="Europe/Paris")[0]["time"][0]
    assert paris - tokyo == 8 * 3_600_000_000


def test_json_lines_are_read_by_member(read: Read) -> None:
    lines = '{"customer": 7, "when": 1767607200, "what": "view", "x": 1}\nno\n{"customer": 8}\n'
    good, bad, _ = read(
        lines, mapping=SHOP.replace("amount", "#").replace("quantity", "#") + "[time]\nformat = 'seconds'\n"
    )
    assert good.select("line", "user", "time").rows() == [(1, "7", 1_767_607_200_000_000)]
    assert bad.select("line", "reason").rows() == [
        (2, "not JSON: Expecting value at column 1"),
        (3, "no time"),
    ]
    assert bad["row"].to_list() == ['{"text":"no"}', '{"customer": 8}']


def test_a_column_that_is_not_there_is_named_with_those_there(read: Read) -> None:
    with pytest.raises(
        sources.SourceError, match="needs the column total; there are customer, when, what, sum"
    ):
        read("customer,when,what,sum,pieces\nc1,2026-01-05,view,,\n", mapping=SHOP)


@pytest.mark.parametrize(
    ("optional", "more", "told"),
    [
        ("whenn", "", "needs the column whenn"),
        ("what", "", "needs the column what"),
        ("customer", "", "needs the column customer"),
        ("ordr", "[order]\nknown_by_place = true\n", "needs the column ordr"),
        ("ordr", "[order]\nby = 'ordr'\n", "needs the column ordr"),
        ("ordr", "", None),
    ],
)
@pytest.mark.parametrize("fill_down", [False, True])
def test_an_optional_column_that_no_row_can_do_without_is_missed(
    read: Read, optional: str, more: str, told: str | None, fill_down: bool
) -> None:
    head = f'optional = ["{optional}"]\n' + ('fill_down = ["total"]\n' if fill_down else "")
    text = (
        head + SHOP.replace('"when"', '"whenn"').replace("[constants]", 'order = "ordr"\n[constants]') + more
    )
    rest = ["customer", "whenn", "what", "ordr"]
    rest.remove(optional)
    rows = ",".join([*rest, "total", "pieces"]) + "\n" + ",".join(["x"] * 5) + "\n"
    if told is None and fill_down:
        told = "needs the column ordr"
    if told is None:
        assert read(rows, mapping=text)[1].height == 1
        return
    with pytest.raises(sources.SourceError, match=told + r"( \(nearest: \w+\))?; there are "):
        read(rows, mapping=text)


def test_a_constant_quantity_may_be_negative_where_negative_ones_mean_something(read: Read) -> None:
    told = CONSTANT.replace('"1"', '"-1"') + '[negative]\nquantity = "refund"\n'
    good, _, _ = read("customer,when,what,total\nc1,2026-01-05,purchase,5\n", mapping=told)
    assert good.select("kind", "quantity", "amount").rows() == [("refund", 1, -500)]


def test_a_format_that_is_not_the_files_is_refused(read: Read) -> None:
    with pytest.raises(sources.SourceError, match=r"rows\.txt is not Parquet, .*map\.toml says parquet"):
        read(HEADER, mapping='format = "parquet"\n' + SHOP)


def test_a_column_that_is_not_there_is_named_with_the_nearest(read: Read) -> None:
    with pytest.raises(
        sources.SourceError, match=r"the columns total \(nearest: Totals\), pieces; there are"
    ):
        read("customer,when,what,Totals\nc1,2026-01-05,view,\n", mapping=SHOP)
    with pytest.raises(
        sources.SourceError, match=r"the members total \(nearest: totals\), pieces; there are"
    ):
        read('{"customer": 1, "when": 2, "what": 3, "totals": 4}\n', mapping=SHOP)


def test_a_file_without_a_header_has_the_mappings_names(read: Read) -> None:
    told = 'names = ["customer", "when", "what", "total", "pieces"]\n' + SHOP
    rows = "c1,2026-01-05,purchase,12.50,2\nc2,2026-01-05,view,,\nc3,2026-01-05\n"
    for text, first in ((rows, 1), (HEADER + rows, 2)):
        good, bad, _ = read(text, mapping=told)
        assert good.select("line", "user").rows() == [(first, "c1"), (first + 1, "c2")]
        assert bad["line"].to_list() == [first + 2]
    with pytest.raises(sources.SourceError, match="line 1: 2 columns, not the 5 that should be there"):
        read("c1,2026-01-05\nc2,2026-01-05\n", mapping=told)


def test_columns_may_stand_between_blanks(read: Read) -> None:
    told = 'delimiter = "blanks"\n' + SHOP
    good, bad, _ = read(
        " customer  when what\ttotal pieces\n  c1 2026-01-05 purchase   2  1\n c2 now\n", mapping=told
    )
    assert good.select("line", "user", "amount").rows() == [(2, "c1", 200)]
    assert bad.select("line", "reason").rows() == [(3, "the line has 2 columns, the header 5")]


def test_the_first_filled_column_counts(read: Read) -> None:
    told = SHOP.replace('"customer"', '["customer", "pieces"]').replace("quantity =", "session =")
    good, _, _ = read(HEADER + " ,2026-01-05,view,,x\nc1,2026-01-05,view,,y\n", mapping=told)
    assert good.select("user", "session").rows() == [("x", "x"), ("c1", "y")]


def test_kinds_may_be_patterns(read: Read) -> None:
    told = SHOP + '[kinds]\nC1 = "share"\n"C*" = "refund"\n"*.view" = "view"\n"*" = "purchase"\n'
    rows = "".join(f"c1,2026-01-05,{what},2,1\n" for what in ("C1", "C12", "a.view", "axview", "9", " "))
    good, bad, _ = read(HEADER + rows, mapping=told)
    assert good["kind"].to_list() == ["share", "refund", "view", "purchase", "purchase"]
    assert bad["reason"].to_list() == ["no kind"]


def test_only_purchases_keep_what_is_purchase_only(read: Read) -> None:
    told = 'purchase_only = ["amount", "quantity"]\n' + SHOP
    good, bad, _ = read(HEADER + "c1,2026-01-05,view,x,x\nc1,2026-01-05,purchase,2,1\n", mapping=told)
    assert good.select("kind", "amount", "quantity", "currency").rows() == [
        ("view", None, None, "USD"),
        ("purchase", 200, 1, "USD"),
    ]
    assert bad.is_empty()


def test_a_time_may_be_written_in_several_ways(read: Read) -> None:
    told = SHOP + '[time]\nformat = ["iso", "%d.%m.%Y", "seconds"]\n'
    rows = "".join(f"c1,{when},view,,\n" for when in ("2026-01-05", "05.01.2026", "1767571200", "5/1"))
    good, bad, _ = read(HEADER + rows, mapping=told)
    assert good["time"].unique().to_list() == [1_767_571_200_000_000]
    assert bad["reason"].to_list() == ["time '5/1' is not a time"]


def test_quantities_may_be_negative_in_refunds_only(read: Read) -> None:
    told = SHOP + '[negative]\nquantity = "in refunds"\n'
    rows = "".join(f"c1,2026-01-05,{what},2,-1\n" for what in ("refund", "purchase", "view"))
    good, bad, _ = read(HEADER + rows, mapping=told)
    assert good.select("kind", "amount", "quantity").rows() == [("refund", -200, 1)]
    assert bad["reason"].to_list() == ["negative quantity", "negative quantity"]


def test_what_is_taken_off_the_amount(read: Read) -> None:
    told = SHOP.replace("quantity", "less")
    rows = "".join(f"c1,2026-01-05,purchase,5,{less}\n" for less in ("2", "", "-1", "6", "x"))
    good, bad, _ = read(HEADER + rows, mapping=told)
    assert good["amount"].to_list() == [300, 500]
    assert bad["reason"].to_list() == [
        "what is taken off is negative",
        "more is taken off than the amount",
        "what is taken off 'x' is not a number",
    ]


def test_an_amount_comes_before_a_price(read: Read) -> None:
    told = SHOP + "\n"
    told = told.replace("[constants]", 'price = "unit"\n[constants]')
    header = HEADER.replace("pieces", "pieces,unit")
    rows = "c1,2026-01-05,purchase,5,2,9\nc1,2026-01-05,purchase,,2,9\nc1,2026-01-05,purchase,5,,9\n"
    good, _, _ = read(header + rows + "c1,2026-01-05,purchase,,,9\n", mapping=told)
    assert good["amount"].to_list() == [500, 1800, 500]


def test_a_price_beside_an_empty_amount_is_in_the_stores_currency(read: Read) -> None:
    told = SHOP.replace("[constants]", 'price = "unit"\n[constants]').replace('currency = "USD"\n', "")
    good, _, _ = read(HEADER.replace("pieces", "pieces,unit") + "c1,2026-01-05,purchase,,2,9\n", mapping=told)
    assert good.select("amount", "currency").rows() == [(1800, "EUR")]


def test_what_an_order_cost_is_shared_where_no_row_has_an_amount(read: Read) -> None:
    told = SHOP.replace("[constants]", 'order = "receipt"\n[constants]') + '[order]\nunpriced = "whole"\n'
    rows = (
        "c1,2026-01-05,purchase,,1,B1,10\n"
        "c1,2026-01-05,purchase,,2,B1,\n"
        "c1,2026-01-05,refund,,1,B1,\n"
        "c1,2026-01-05,view,,1,B1,9\n"
        "c1,2026-01-05,purchase,4,1,B2,10\n"
        "c1,2026-01-05,purchase,,1,B2,10\n"
        "c1,2026-01-05,refund,,1,B3,10\n"
    )
    good, bad, _ = read(HEADER.replace("pieces", "pieces,receipt,whole") + rows, mapping=told)
    assert bad.is_empty()
    assert good["amount"].to_list() == [500, 500, None, None, 400, None, -1000]
    optional = 'optional = ["whole"]\n' + told
    good, _, _ = read(
        HEADER.replace("pieces", "pieces,receipt") + "c1,2026-01-05,purchase,,1,B1\n", mapping=optional
    )
    assert good["amount"].to_list() == [None]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("columns = 5\n", "columns is a section"),
        ("[columns\n", "is not TOML: .*line 1"),
        ("colums = 1\n", "the mapping has no entry 'colums': did you mean columns?"),
        (SHOP + "[time]\nzon = 'UTC'\n", r"\[time\] has no entry 'zon': did you mean zone?"),
        (SHOP + "[foo]\n", "the mapping has no entry 'foo': there may be format, delimiter"),
        (SHOP.replace("user", "wxyz"), r"\[columns\] has no entry 'wxyz': there may be user"),
        (SHOP.replace('"customer"', "5"), "columns.user is 5, it must be a text in quotes"),
        (SHOP.replace("user =", "session ="), "nothing names the user"),
        (SHOP.replace("time =", "session ="), "nothing names the time"),
        (SHOP.replace("kind =", "session ="), "nothing names the kind"),
        (SHOP + 'kind = "view"\n', r"kind stands in \[columns\] and in \[constants\]"),
        ('fill_down = ["what"]\n' + SHOP, "fill_down needs to know the order of a row"),
        (SHOP + "[order]\nunpaid = 'x'\n", r"\[order\] needs to know the order of a row"),
        (SHOP.replace("quantity", "order") + "[order]\nrefunded = 'x'\n", "add .* known_by_place = true"),
        (SHOP.replace("quantity", "refunded"), "add .* known_by_place = true"),
        (SHOP + "[order]\nknown_by_place = 1\n", "known_by_place is 1, it must be true or false"),
        (SHOP + "[order]\nsum = 'x'\n", r"\[order\] has no entry 'sum'"),
        ('purchase_only = ["item"]\n' + SHOP, "purchase_only names 'item', it may name order"),
        ("names = []\n" + SHOP, r"names is \[\], it must be a text"),
        (SHOP.replace('"total"', '["a", "b"]'), "columns.amount names several columns"),
        (SHOP.replace("amount", "less"), "less is taken off a price or an amount"),
        (
            SHOP.replace("amount", "price").replace("quantity", "order"),
            "price is per unit and needs quantity",
        ),
        (SHOP.replace("USD", "Dollar"), "currency 'Dollar' is not an ISO 4217 code"),
        *(
            (CONSTANT.replace('"1"', f'"{many}"'), f"quantity '{many}' is not a whole number of pieces")
            for many in ("abc", "1.5", "-1", "1e30", "NaN")
        ),
        ('names = ["a", "b", "a"]\n' + SHOP, "names has 'a' twice"),
        ('delimiter = ";;"\n' + SHOP, "delimiter is ';;', it must be one character"),
        ('format = "xml"\n' + SHOP, "format is 'xml', it must be one of csv, parquet, ndjson"),
        (SHOP + '[numbers]\ndecimal = ","\nthousands = ","\n', "are the same"),
        (SHOP + "[numbers]\nstars = 0\n", "numbers.stars is 0"),
        (
            SHOP + "[numbers]\nduration = 'days'\n",
            "numbers.duration is 'days', it must be one of milliseconds",
        ),
        (SHOP + "[time]\nformat = '%H:%M'\n", "time format '%H:%M' does not tell a date"),
        (SHOP + "[time]\nzone = 'Mars'\n", "'Mars' is not a time zone"),
        (SHOP + "[negative]\namount = 'ok'\n", "negative.amount is 'ok', it must be one of refund, reject"),
    ],
)
def test_mistakes_in_a_mapping_are_told_in_a_sentence(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(content)
    with pytest.raises(sources.SourceError, match=words) as error:
        load(path)
    assert str(error.value).endswith((".", "?"))
    assert "\n" not in str(error.value)


def test_a_mapping_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(sources.SourceError, match="There is no mapping file"):
        load(tmp_path / "none.toml")
    with pytest.raises(sources.SourceError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'"\xe9" = 1')
    with pytest.raises(sources.SourceError, match="not UTF-8"):
        load(tmp_path / "latin.toml")


def test_the_documented_example_reads_a_file(tmp_path: Path, read: Read) -> None:
    document = (Path(__file__).resolve().parents[2] / "docs" / "sources.md").read_text()
    example = document.split("```toml\n")[1].split("```")[0]
    path = tmp_path / "map.toml"
    path.write_text(example)
    told = load(path)
    assert set(told.columns) | set(told.constants) == set(mappings.FIELDS)
    rows = document.split("```text\n")[1].split("```")[0]
    good, bad, _ = read(rows, mapping=example)
    assert good.select("kind", "amount", "quantity", "user").rows() == [
        ("purchase", 240_000, 2, "1001"),
        ("refund", -450, 1, "eva@shop.example"),
        ("purchase", 900, 1, "eva@shop.example"),
    ]
    assert bad["reason"].to_list() == ["time '2026-01-05' is not a time"]


def test_a_name_out_of_a_file_does_not_break_the_sentence(tmp_path: Path, options: sources.Options) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"\ntimestamp": ["1"], "\x1b[31mvisitor\u2028id": ["u1"], "重\tname": ["a"]}).write_parquet(
        path
    )
    with pytest.raises(sources.SourceError) as caught:
        list(sources.read(path, "retailrocket", options))
    assert r"\ntimestamp, \x1b[31mvisitor\u2028id, 重\tname" in str(caught.value)
