"""Which columns go to the vault and which nowhere, by format."""

from __future__ import annotations

from pathlib import Path

import pytest

from segtui import sources

MAP = """
[columns]
user = "Kunde"
email = "E-Mail"
time = "Datum"
[constants]
kind = "view"
"""


@pytest.mark.parametrize(
    ("format", "text", "vaulted", "dropped"),
    [
        (
            "events",
            '{"user": "u", "time": "2026-01-05", "kind": "view", "note": 1}\n{"user": "u", "agent": "x"}\n',
            ("user",),
            ("note", "agent"),
        ),
        ("cdnow", "00004 1 19970101 2 29.33\n", ("customer_id",), ("sample_id",)),
        ("cdnow", "00004 19970101 2 29.33\n", ("customer_id",), ()),
        (
            "online-retail",
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n",
            ("CustomerID",),
            ("Description",),
        ),
        (
            "rees46",
            "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n",
            ("user_id",),
            ("brand",),
        ),
        (
            "table",
            "Customer_ID,Name,Email,age\n1,Ann,ann@example.org,30\n",
            ("Customer_ID",),
            ("Name", "Email"),
        ),
        ("table", "Name,Email,age\nAnn,ann@example.org,30\n", ("Email",), ("Name",)),
        ("table", "rating,age\n4,30\n", (), ()),
    ],
)
def test_columns_of_each_format(
    tmp_path: Path, format: str, text: str, vaulted: tuple[str, ...], dropped: tuple[str, ...]
) -> None:
    path = tmp_path / "rows.txt"
    path.write_text(text)
    assert sources.columns([path], format) == sources.Columns(vaulted, dropped)


@pytest.mark.parametrize(
    "text",
    ["Kunde,E-Mail,Datum,Notiz\n1,,2026-01-05,x\n", '{"Kunde": 1, "E-Mail": 2, "Datum": 3, "Notiz": 4}\n'],
)
def test_columns_of_a_mapped_file(tmp_path: Path, text: str) -> None:
    path, mapping = tmp_path / "rows.txt", tmp_path / "map.toml"
    path.write_text(text)
    mapping.write_text(MAP)
    assert sources.columns([path], "auto", mapping) == sources.Columns(("Kunde", "E-Mail"), ("Notiz",))


def test_columns_of_several_files_are_told_once(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    for path, extra in zip(paths, ("note", "agent"), strict=True):
        path.write_text(f'{{"user": "u", "time": "2026-01-05", "kind": "view", "{extra}": 1}}\n')
    assert sources.columns(paths, "events") == sources.Columns(("user",), ("note", "agent"))


def test_fields_tell_the_columns_a_file_has_and_constants(tmp_path: Path) -> None:
    path, mapping = tmp_path / "rows.txt", tmp_path / "map.toml"
    path.write_text("Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price\n")
    told = sources.fields(path, "shopify-orders")
    assert (told["item"], told["price"], "currency" in told) == ("Lineitem name", "Lineitem price", False)
    path.write_text("id,age,email\n1,30,a@b.c\n")
    assert sources.fields(path, "table") == {"user": "id", "kind": "'identify'", "attributes": "age"}
    path.write_text('{"Kunde": 1, "E-Mail": 2, "Datum": 3, "Wert": 4, "Rabatt": 5, "Porto": 6}\n')
    mapping.write_text(
        MAP.replace("[constants]", 'amount = "Wert"\nless = ["Rabatt", "Porto"]\n[constants]').replace(
            '"Kunde"', '["Kunde", "Wert"]'
        )
    )
    told = sources.fields(path, "auto", mapping)
    assert (told["user"], told["less"], told["kind"]) == ("Kunde or Wert", "Rabatt and Porto", "'view'")


SAMPLES = sorted((Path(__file__).parents[1] / "contract" / "samples").iterdir())


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_formats_say_where_their_fields_come_from(path: Path) -> None:
    told = sources.fields(path, path.stem)
    assert {"time", "kind"} <= told.keys()
    assert {"user", "email"} & told.keys()
