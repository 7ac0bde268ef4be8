"""CDNOW, Online Retail, REES46 and tables: what each says about its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from segtui.sources import SourceError

Read = Callable[..., Any]


def reasons(bad: Any) -> list[tuple[int, str]]:
    return list(bad.select("line", "reason").iter_rows())


def test_cdnow_rows(read: Read) -> None:
    text = (
        " customer_id  date number_of_cds  dollar_value\n"
        " 00001 19970101  1   11.77\n"
        " 00001 19970101  1   11.77\n"
        " 00003 19971301  2    5.00\n"
        " 00004 19970101  two  5.00\n"
        " 00005 19970101  0    5.00\n"
        " 00006 19970101  2   -5.00\n"
        " 00007 19970101  2\n"
        " x0008 19970101  2    5.00\n"
        " 00009 19970101  2    0.00\n"
    )
    good, bad, _ = read(text)
    assert good.select("line", "user", "kind", "amount", "quantity", "currency").rows() == [
        (2, "00001", "purchase", 1177, 1, "USD"),
        (3, "00001", "purchase", 1177, 1, "USD"),
        (10, "00009", "purchase", 0, 2, "USD"),
    ]
    assert reasons(bad) == [
        (4, "date '19971301' is not a date"),
        (5, "number of CDs 'two' is not a number"),
        (6, "the number of CDs is 0"),
        (7, "negative dollar value"),
        (8, "the line has 3 columns, not 4"),
        (9, "customer 'x0008' is not a number"),
    ]


@pytest.mark.parametrize("format", ["cdnow", "rees46"])
def test_a_bad_row_at_the_end_of_many_is_told_like_any_other(read: Read, format: str) -> None:
    """Polars reads many lines in pieces, and panics over one of which nothing is left."""
    if format == "cdnow":
        header, good, bad = "", " 00001 19970101  1   11.77\n", " 00002 1997xx01  2  29.33\n 00003 19970101\n"
    else:
        header = (
            "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        )
        good = "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,s1\n"
        bad = "2019-xx-01 00:00:00 UTC,view,1,2,,b,3,4,s2\n1,2,3\n"
    accepted, rejected, *_ = read(header + good * 80_000 + bad * 2, format)
    assert accepted.height == 80_000
    assert len(reasons(rejected)) == 4


def test_cdnows_sample_names_the_masters_customers(read: Read) -> None:
    good, bad, _ = read(" 00004 0001 19970101  2   29.33\n 00021 0002 19970101  3   63.34\n")
    assert good["user"].to_list() == ["00004", "00021"]
    assert bad.is_empty()


def test_cdnows_days_begin_at_midnight_of_the_zone(read: Read) -> None:
    text = " 00004 0001 19970101  2   29.33\n"
    utc, paris = (read(text, timezone=zone)[0]["time"][0] for zone in ("UTC", "Europe/Paris"))
    assert utc - paris == 3_600_000_000


RETAIL = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def test_online_retail_rows(read: Read) -> None:
    text = RETAIL + (
        "536365,85123A,A,6,12/1/2010 8:26,2.55,17850,United Kingdom\n"
        "C536379,D,Discount,-1,12/1/2010 9:41,27.5,14527,United Kingdom\n"
        "536365,85123A,A,6,12/1/2010 8:26,2.55,,United Kingdom\n"
        "536365,85123A,A,-6,12/1/2010 8:26,2.55,17850,United Kingdom\n"
        "536365,85123A,A,6,12/1/2010 8:26,0,17850,United Kingdom\n"
        "A536365,B,Adjust bad debt,1,12/1/2010 8:26,-11062.06,17850,United Kingdom\n"
        "536365,M,A,2,12/1/2010 8:26,0.001,17850,United Kingdom\n"
        "536365,M,A,0,12/1/2010 8:26,1,17850,United Kingdom\n"
        "536365,M,A,2,13/13/2010 8:26,1,17850,United Kingdom\n"
        ",M,A,2,12/1/2010 8:26,1,17850,United Kingdom\n"
        "536365,M,A,,12/1/2010 8:26,,17850,United Kingdom\n"
        "536365,M,A,999999999999,12/1/2010 8:26,999999999999,17850,United Kingdom\n"
    )
    good, bad, _ = read(text)
    assert good.select(
        "line", "kind", "order", "item", "amount", "quantity", "currency", "region"
    ).rows() == [
        (2, "purchase", "536365", "85123A", 1530, 6, "GBP", "United Kingdom"),
        (3, "refund", "C536379", "D", -2750, 1, "GBP", "United Kingdom"),
        (8, "purchase", "536365", "M", 0, 2, "GBP", "United Kingdom"),
    ]
    assert reasons(bad) == [
        (4, "no customer: row cannot belong to a user"),
        (5, "negative quantity outside a cancellation"),
        (6, "price is 0: a gift or a correction, not a sale"),
        (7, "negative price"),
        (9, "quantity is 0"),
        (10, "date '13/13/2010 8:26' is not a date"),
        (11, "no invoice number"),
        (12, "no quantity"),
        (13, "quantity '999999999999' is too large"),
    ]


REES46 = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"


def test_rees46_rows(read: Read) -> None:
    text = REES46 + (
        "2019-10-01 00:00:00 UTC,view,44,21,,shiseido,35.79,5412,s1\n"
        "2019-10-01 00:00:01 UTC,cart,45,21,electronics.phone,lg,254.82,5412,s1\n"
        "2019-10-01 00:00:02 UTC,purchase,45,21,electronics.phone,lg,254.82,5412,s1\n"
        "2019-10-01 00:00:03 UTC,purchase,46,21,electronics.phone,lg,,5412,s1\n"
        "2019-10-01 00:00:04 UTC,wish,46,21,electronics.phone,lg,1,5412,s1\n"
        "2019-10-01 00:00:05 UTC,view,46,21,electronics.phone,lg,-1,5412,s1\n"
        "2019-10-01 00:00:06 UTC,view,46,21,electronics.ph\n"
    )
    good, bad, _ = read(text, timezone="Europe/Paris")
    columns = (
        "line",
        "user",
        "kind",
        "item",
        "category",
        "amount",
        "quantity",
        "order",
        "session",
        "currency",
    )
    assert good.select(columns).rows() == [
        (2, "5412", "view", "44", "21", None, None, None, "s1", None),
        (3, "5412", "add_to_cart", "45", "electronics.phone", None, None, None, "s1", None),
        (4, "5412", "purchase", "45", "electronics.phone", 25_482, 1, "s1", "s1", "USD"),
    ]
    assert good["time"][0] == 1_569_888_000_000_000
    assert reasons(bad) == [
        (5, "no price"),
        (6, "event_type 'wish' is not view, cart, remove_from_cart or purchase"),
        (7, "negative price"),
        (8, "the line has 5 columns, the header 9"),
    ]


ARTICLE = "user_id,browse_time,purchase_frequency,rating_star,user_value\n"


def test_the_articles_table_refuses_what_cannot_be_true(read: Read) -> None:
    text = ARTICLE + "".join(
        f"u{n},{n + 1}.5,{n % 4},{n % 6},{'high' if n % 2 else 'low'}\n" for n in range(20)
    )
    text += "u90,0,1,3,low\nu91,5,-1,3,low\nu92,5,1,6,low\nu93,5,1,-0.5,low\n"
    text += "u94,soon,1,3,low\n,5,1,3,low\nu96,,,,\n"
    good, bad, attributes = read(text)
    assert good.height == 21
    assert good["kind"].unique().to_list() == ["identify"]
    assert good["time"].n_unique() == 1
    assert reasons(bad) == [
        (22, "browse_time '0' is not above 0"),
        (23, "purchase_frequency '-1' is negative"),
        (24, "rating_star '6' is not between 0 and 5"),
        (25, "rating_star '-0.5' is not between 0 and 5"),
        (26, "browse_time 'soon' is not a number"),
        (27, "no customer: row cannot belong to a user"),
    ]
    assert attributes.height == 20 * 4
    first = attributes.filter(attributes["line"] == 3).drop("line").rows()
    assert first == [
        ("browse_time", 2.5, None),
        ("purchase_frequency", 1.0, None),
        ("rating_star", 1.0, None),
        ("user_value", None, "high"),
    ]


def test_a_tables_user_is_its_id_else_its_e_mail_else_the_row(read: Read) -> None:
    by_id = read("age,Customer_ID,email\n30,c1,a@b.c\n31,c2,d@e.f\n")
    assert by_id[0]["user"].to_list() == ["c1", "c2"]
    assert by_id[0]["email"].to_list() == [None, None]
    by_mail = read("age,E-Mail\n30, Eva@Shop.DE \n31,\n")
    assert by_mail[0].select("user", "email").rows() == [("eva@shop.de", "eva@shop.de")]
    assert by_mail[1].height == 1
    by_row = read("age,visits\n30,1\n31\n32,-2\n33,4\n")
    assert by_row[0]["user"].to_list() == ["1", "4"]


def test_what_identifies_a_person_is_no_attribute(read: Read) -> None:
    text = "user_id,Name,email,phone,age\nu1,Eva,eva@shop.de,123,30\n"
    assert read(text)[2].select("name").to_series().to_list() == ["age"]


def test_column_names_may_hold_anything(read: Read) -> None:
    header = '"user_id","{} of \'x\'","^a$","*","line","given","number:line"'
    good, bad, attributes = read(f"{header}\nu1,1,2,3,4,5,6\nu2,1,2,3,4,5,9999999999999\n")
    assert good["user"].to_list() == ["u1"]
    assert reasons(bad) == [(3, "number:line '9999999999999' is too large")]
    assert attributes["number"].to_list() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("only\n1\n", "which no format has"),
        ("time,user,what\n2026-01-01,u1,view\n", "write a mapping file"),
        ("Dear reader,\nthis is a letter\n", None),
    ],
)
def test_unknown_files_ask_for_a_mapping(read: Read, text: str, words: str | None) -> None:
    if words is None:
        _, bad, _ = read(text)
        assert reasons(bad) == [(2, "the line has 1 columns, the header 2")]
        return
    with pytest.raises(SourceError, match=words):
        read(text)


def test_an_unknown_format_lists_the_known(read: Read) -> None:
    with pytest.raises(SourceError, match="no format 'excel': choose one of auto, events, segment"):
        read("a,b\n1,2\n", "excel")


def test_a_tables_columns_are_judged_one_by_one(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the columns are twice the work, not four times."""

    def gone_through(columns: int) -> int:
        """How many columns all frames together had that something was asked of."""
        seen = 0

        def counted(name: str) -> Callable[..., Any]:
            method = getattr(pl.DataFrame, name)

            def call(frame: pl.DataFrame, *arguments: Any, **options: Any) -> Any:
                nonlocal seen
                seen += frame.width
                return method(frame, *arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for name in ("with_columns", "select", "filter"):
                patch.setattr(pl.DataFrame, name, counted(name))
            names = [f"c{at}" for at in range(columns)]
            rows = [["user_id", *names], ["u1", *["5"] * columns]]
            good, bad, _ = read("\n".join(map(",".join, rows)), "table")
        assert (good.height, bad.height) == (1, 0)
        return seen

    assert gone_through(400) < 2.5 * gone_through(200)
