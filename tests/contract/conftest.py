"""Small files in the real shapes of the formats, and what readers make of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from segtui import sources

NOW = 1_790_000_000_000_000
OPTIONS = sources.Options(now=NOW, timezone="Europe/Paris", currency="EUR")


@dataclass(frozen=True)
class Sample:
    """A small file in a format's real shape, all rows good."""

    name: str
    format: str
    text: str
    header: bool
    dropped: str | None = None  # a needed column
    mapping: str | None = None
    separator: str | None = None
    lines: tuple[int, ...] | None = None  # where rows begin, if not one on each line

    def written(self, folder: Path, content: bytes, name: str = "rows.txt") -> Path:
        """A file in the folder with that content."""
        path = folder / f"{self.name}-{name}"
        path.write_bytes(content)
        return path

    def read(self, folder: Path, content: bytes, name: str = "rows.txt") -> list[sources.Batch]:
        """What the format's reader makes of that content."""
        return self.batches(self.written(folder, content, name))

    def batches(self, path: Path) -> list[sources.Batch]:
        """What the format's reader makes of a file."""
        return list(sources.read(path, self.format, OPTIONS, self.mapping_file(path.parent)))

    def mapping_file(self, folder: Path) -> Path | None:
        """The mapping as a file, where there is one."""
        if self.mapping is None:
            return None
        path = folder / "shop.toml"
        path.write_text(self.mapping)
        return path

    @property
    def starts(self) -> list[int]:
        """The line of each row."""
        first = 1 + self.header
        return list(self.lines or range(first, first + self.text.count("\n") - self.header))


def written(name: str) -> str:
    """A sample that is a file of its own."""
    return (Path(__file__).parent / "samples" / name).read_text()


EVENTS = """\
{"user": "u1", "time": "2026-01-05T10:00:00Z", "kind": "view", "item": "sku-9", "category": "shoes"}
{"user": "u1", "time": "2026-01-05T10:01:00Z", "kind": "purchase", "order": "A-7", "amount": 59.90}
{"user": "u2", "time": "2026-01-05 11:00:00.250+01:00", "kind": "refund", "order": "A-7", "amount": "59.90"}
{"user": 77, "time": "2026-01-06", "kind": "review", "rating": 4.5, "region": "FR", "id": "evt-1"}
"""
CDNOW_MASTER = """\
 customer_id  date number_of_cds  dollar_value
 00001 19970101  1   11.77
 00002 19970112  1   12.00
 00002 19970112  5   77.00
 00003 19970102  2    0.00
"""
CDNOW_SAMPLE = """\
 00004 0001 19970101  2   29.33
 00004 0001 19970118  2   29.73
 00021 0002 19970101  3   63.34
"""
RETAIL = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,12/1/2010 8:26,2.55,17850,United Kingdom
536366,22633,"HAND WARMER, UNION JACK",6,2010-12-01 08:28:00,1.85,17850.0,France
C536379,D,Discount,-1,12/1/2010 9:41,27.5,14527,United Kingdom
"""
REES46 = """\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde
2019-10-01 00:02:14 UTC,cart,1004767,2053013555631882655,electronics.smartphone,samsung,254.82,515903856,e2
2019-10-01 00:02:17 UTC,purchase,1004856,2053013555631882655,electronics.smartphone,samsung,130.76,543272936,8
"""
TABLE = """\
user_id,browse_time,purchase_frequency,rating_star,user_value
u1,120.5,4,4.5,high
u2,33,0,2,low
"u3",80,2,,medium
"""
MAPPED = """\
Kunde;E-Mail;Datum;Aktion;Artikel;Preis;Menge
1001;;05.01.2026 10:30;Kauf;A1;1.234,50;2
;Eva@Shop.example;05.01.2026 10:31;Kauf;A2;4,5;1
1001;;06.01.2026 08:00;Gesehen;A3;;
"""
MAPPING = """\
delimiter = ";"
[columns]
user = "Kunde"
email = "E-Mail"
time = "Datum"
kind = "Aktion"
item = "Artikel"
price = "Preis"
quantity = "Menge"
[constants]
currency = "EUR"
[time]
format = "%d.%m.%Y %H:%M"
[kinds]
Kauf = "purchase"
Gesehen = "view"
[numbers]
decimal = ","
thousands = "."
"""

SAMPLES = [
    Sample("events", "events", EVENTS, header=False),
    Sample("cdnow master", "cdnow", CDNOW_MASTER, header=True),
    Sample("cdnow sample", "cdnow", CDNOW_SAMPLE, header=False),
    Sample("online-retail", "online-retail", RETAIL, True, "InvoiceDate", separator=","),
    Sample("rees46", "rees46", REES46, True, "user_session", separator=","),
    Sample("retailrocket", "retailrocket", written("retailrocket.csv"), True, "itemid", separator=","),
    Sample("taobao", "taobao", written("taobao.csv"), header=False),
    Sample(
        *("shopify-orders", "shopify-orders", written("shopify-orders.csv"), True, "Lineitem quantity"),
        separator=",",
        lines=(2, 4, 5, 6),
    ),
    Sample("woocommerce", "woocommerce", written("woocommerce.csv"), True, "order_date", separator=","),
    Sample("woocommerce api", "woocommerce", written("woocommerce.ndjson"), header=False, lines=(1, 1, 2, 3)),
    Sample("segment", "segment", written("segment.ndjson"), header=False, lines=(1, 2, 3, 3, 4, 5, 6, 7)),
    Sample("ga4", "ga4", written("ga4.ndjson"), header=False, lines=(1, 2, 3, 3, 3, 4, 5)),
    Sample("table", "table", TABLE, True, separator=","),
    Sample("mapping", "auto", MAPPED, True, "Datum", MAPPING, separator=";"),
]


NESTED = ("woocommerce api",)  # a mapping expresses this format's CSV only, as the printed one says
EXPRESSIBLE = [
    sample
    for sample in SAMPLES
    if sample.mapping is None and sample.name not in NESTED and sources.FORMATS[sample.format].mapping
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


CHOICES = {
    "sample": SAMPLES,
    "expressible": EXPRESSIBLE,
    "json_sample": [sample for sample in SAMPLES if sample.text.startswith("{")],
    "table_sample": [sample for sample in SAMPLES if sample.separator is not None],
    "lacking": [sample for sample in SAMPLES if sample.dropped is not None],
    "recognisable": [sample for sample in SAMPLES if sample.mapping is None],
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a sample is run for each of its sort."""
    for name, samples in CHOICES.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, samples, ids=lambda sample: sample.name)


@pytest.fixture
def all_samples() -> list[Sample]:
    """Every sample there is, in one test."""
    return SAMPLES


@pytest.fixture
def options() -> sources.Options:
    return OPTIONS
