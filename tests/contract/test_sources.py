"""What every source must do, whatever the format: the same suite over each reader."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtui import sources
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.sources import files
from segtui.sources.schema import ATTRIBUTES, PARSED, REJECTED

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
    Sample("ga4", "ga4", written("ga4.ndjson"), header=False, lines=(1, 2, 3, 3, 4, 5)),
    Sample("table", "table", TABLE, True, separator=","),
    Sample("mapping", "auto", MAPPED, True, "Datum", MAPPING, separator=";"),
]
every_source = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


def read(folder: Path, sample: Sample, content: bytes, name: str = "rows.txt") -> list[sources.Batch]:
    path = folder / f"{sample.name}-{name}"
    path.write_bytes(content)
    return list(sources.read(path, sample.format, OPTIONS, mapping_file(folder, sample)))


def mapping_file(folder: Path, sample: Sample) -> Path | None:
    if sample.mapping is None:
        return None
    path = folder / "shop.toml"
    path.write_text(sample.mapping)
    return path


def accepted(batches: Iterable[sources.Batch]) -> pl.DataFrame:
    return pl.concat([batch.accepted for batch in batches])


def rejected(batches: Iterable[sources.Batch]) -> pl.DataFrame:
    return pl.concat([batch.rejected for batch in batches])


def attributes(batches: Iterable[sources.Batch]) -> pl.DataFrame:
    empty = pl.DataFrame(schema=ATTRIBUTES)
    return pl.concat([empty if batch.attributes is None else batch.attributes for batch in batches])


@every_source
def test_a_good_file_is_accepted_whole(folder: Path, sample: Sample) -> None:
    batches = read(folder, sample, sample.text.encode())
    good = accepted(batches)
    assert rejected(batches).to_dicts() == []
    assert dict(good.schema) == PARSED
    assert good["line"].to_list() == sample.starts
    assert good["user"].null_count() == good["time"].null_count() == good["kind"].null_count() == 0
    priced = good.filter(pl.col("amount").is_not_null())
    assert priced["currency"].null_count() == 0


@every_source
def test_the_format_is_recognised(folder: Path, sample: Sample) -> None:
    if sample.mapping is not None:
        return
    path = folder / f"{sample.name}-unknown"
    path.write_text(sample.text)
    name, why = sources.detect(path)
    assert name == sample.format
    assert why


NESTED = ("woocommerce api",)  # a mapping expresses this format's CSV only, as the printed one says
EXPRESSIBLE = [
    sample
    for sample in SAMPLES
    if sample.mapping is None and sample.name not in NESTED and sources.FORMATS[sample.format].mapping
]


@pytest.mark.parametrize("sample", EXPRESSIBLE, ids=lambda sample: sample.name)
def test_a_format_as_a_mapping_file_imports_to_the_same_content(tmp_path: Path, sample: Sample) -> None:
    rows, told = tmp_path / "rows.txt", tmp_path / "told.toml"
    rows.write_text(sample.text)
    text = sources.explain(sample.format)
    if sample.name == "cdnow sample":
        text = text.replace("# names = ", "names = ")
    told.write_text(text)
    digests = []
    for name, mapping in (("a", None), ("b", told)):
        init(tmp_path / name)
        with open_session(tmp_path / name) as s:
            result = import_files(s, [rows], format=sample.format, mapping=mapping, source="shop")
            assert (result["quarantined"], result["duplicates"]) == (0, 0)
            digests.append(result["content_digest"])
    assert digests[0] == digests[1] is not None


@pytest.mark.parametrize("format", ["segment", "ga4", "table"])
def test_formats_that_no_mapping_can_express_say_why(format: str) -> None:
    with pytest.raises(
        sources.SourceError, match=f"{format} cannot be written as a mapping file: it"
    ) as error:
        sources.explain(format)
    sentence(error)


@every_source
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(lambda raw: raw.replace(b"\n", b"\r\n"), id="CR LF"),
        pytest.param(lambda raw: b"\xef\xbb\xbf" + raw, id="byte order mark"),
        pytest.param(lambda raw: raw.removesuffix(b"\n"), id="no last line end"),
        pytest.param(lambda raw: raw + b"\n   \n\n", id="blank lines at the end"),
    ],
)
def test_the_wrapping_changes_nothing(folder: Path, sample: Sample, change: Callable[[bytes], bytes]) -> None:
    plain = read(folder, sample, sample.text.encode())
    wrapped = read(folder, sample, change(sample.text.encode()), "wrapped.gz")
    assert accepted(wrapped).equals(accepted(plain))
    assert attributes(wrapped).equals(attributes(plain))
    assert rejected(wrapped).is_empty()


@every_source
def test_small_chunks_give_the_same_rows(
    folder: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = sample.text.encode() + (b"?\n" if sample.header else b"{}\n")
    whole = read(folder, sample, content)
    monkeypatch.setattr(files, "CHUNK_BYTES", 40)
    parts = read(folder, sample, content)
    assert len(parts) > len(whole)
    assert accepted(parts).equals(accepted(whole))
    assert rejected(parts).equals(rejected(whole))
    assert rejected(parts).height == 1
    assert attributes(parts).sort("line", "name").equals(attributes(whole).sort("line", "name"))


@every_source
def test_reading_twice_gives_the_same(folder: Path, sample: Sample) -> None:
    first, second = (read(folder, sample, sample.text.encode()) for _ in range(2))
    assert accepted(first).equals(accepted(second))
    assert attributes(first).equals(attributes(second))


def sentence(error: pytest.ExceptionInfo[sources.SourceError]) -> str:
    """The error's text, checked to be one sentence for a person."""
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text
    return text


@every_source
def test_files_that_cannot_be_read_are_told_in_a_sentence(folder: Path, sample: Sample) -> None:
    mapping = mapping_file(folder, sample)

    def fails(path: Path) -> str:
        with pytest.raises(sources.SourceError) as error:
            list(sources.read(path, sample.format, OPTIONS, mapping))
        assert str(path) in str(error.value)
        return sentence(error)

    assert "no file" in fails(folder / "missing.txt")
    assert "folder" in fails(folder)
    content = sample.text.encode()
    for name, raw, word in [
        ("empty", b"", "empty"),
        ("blank", b"\n \n\n", "blank"),
        ("cut.gz", gzip.compress(content * 50)[:-20], "cut off"),
        ("spoilt.gz", gzip.compress(content)[:10] + b"\xff" * 40, "cannot be read"),
        ("nothing.gz", gzip.compress(b""), "empty"),
        ("utf16", content.decode().encode("utf-16"), "UTF-16"),
        ("book.xlsx", b"PK\x03\x04" + content, "spreadsheet"),
    ]:
        path = folder / f"{sample.name}-{name}"
        path.write_bytes(raw)
        assert word in fails(path)


@every_source
def test_bytes_that_are_no_text_are_located(folder: Path, sample: Sample) -> None:
    lines = sample.text.encode().split(b"\n")
    lines[2] = lines[2][:5] + b"\xe9" + lines[2][5:]
    with pytest.raises(sources.SourceError, match=r"line 3, column 6: byte 0xE9 is not UTF-8") as error:
        read(folder, sample, b"\n".join(lines))
    assert "iconv" in sentence(error)


@every_source
def test_parquet_is_not_taken_for_text(folder: Path, sample: Sample) -> None:
    path = folder / "other.parquet"
    pl.DataFrame({"strange": [1]}).write_parquet(path)
    with pytest.raises(sources.SourceError, match=r"other\.parquet") as error:
        list(sources.read(path, sample.format, OPTIONS, mapping_file(folder, sample)))
    assert "Parquet" in sentence(error) or "strange" in sentence(error)


@every_source
def test_a_missing_column_is_named_with_those_there(folder: Path, sample: Sample) -> None:
    if sample.dropped is None:
        return
    with pytest.raises(sources.SourceError) as error:
        read(folder, sample, sample.text.replace(sample.dropped, "Other", 1).encode())
    text = sentence(error)
    assert f"needs the column {sample.dropped}" in text
    assert "Other" in text
    assert "line 1" in text


@every_source
def test_a_foreign_file_is_refused(folder: Path, sample: Sample) -> None:
    if sample.format == "table":
        return
    with pytest.raises(sources.SourceError) as error:
        read(folder, sample, b"Dear reader,\n\nthis is a letter.\n")
    sentence(error)


@every_source
def test_parquet_holds_the_same_rows(folder: Path, sample: Sample) -> None:
    if sample.separator is None:
        return
    frame = pl.read_csv(sample.text.encode(), separator=sample.separator, infer_schema=False)
    path = folder / f"{sample.name}.parquet"
    frame.write_parquet(path)
    from_parquet = list(sources.read(path, sample.format, OPTIONS, mapping_file(folder, sample)))
    from_text = read(folder, sample, sample.text.encode())
    assert rejected(from_parquet).is_empty()
    assert accepted(from_parquet)["line"].to_list() == list(range(1, frame.height + 1))
    assert accepted(from_parquet).drop("line").equals(accepted(from_text).drop("line"))
    assert attributes(from_parquet).drop("line").equals(attributes(from_text).drop("line"))


def outcome(reading: Callable[[], list[sources.Batch]]) -> list[sources.Batch] | str:
    """What was read, or the sentence that tells why nothing was."""
    try:
        return reading()
    except sources.SourceError as error:
        return str(error)


NASTY = "\"',;|{}[]\\/%$-+.:0 9eEx\tTZé€漢𝄞\u200f\x00\x07"
edits = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.integers(0, 120),
        st.sampled_from(["insert", "replace", "delete", "cut", "double", "blank"]),
        st.text(st.sampled_from(NASTY), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=12,
)


def garbled(text: str, header: bool, changes: list[tuple[int, int, str, str]]) -> str:
    """The text with its lines changed, the header left as it is."""
    lines = text.removesuffix("\n").split("\n")
    lines += lines[header:] * 2
    for row, column, kind, new in changes:
        place = header + row % (len(lines) - header)
        line = lines[place]
        at = column % (len(line) + 1)
        lines[place] = {
            "insert": line[:at] + new + line[at:],
            "replace": line[:at] + new + line[at + len(new) :],
            "delete": line[:at] + line[at + len(new) :],
            "cut": line[:at],
            "double": line + line,
            "blank": " " * len(new),
        }[kind]
    return "\n".join(lines)


@every_source
@settings(max_examples=60, deadline=None)
@given(changes=edits)
def test_garbled_rows_are_rejected_and_never_lost(
    folder: Path, sample: Sample, changes: list[tuple[int, int, str, str]]
) -> None:
    text = garbled(sample.text, sample.header, changes)
    batches = outcome(lambda: read(folder, sample, text.encode(), "garbled"))
    if isinstance(batches, str):
        assert "line 1" in batches or text.split("\n")[sample.header].strip() == ""
        return
    good, bad = accepted(batches), rejected(batches)
    assert dict(good.schema) == PARSED
    assert dict(bad.schema) == REJECTED
    assert bad["reason"].null_count() == 0
    assert all(isinstance(json.loads(row), dict) for row in bad["row"])
    numbers = sorted(good["line"].to_list() + bad["line"].to_list())
    if not sample.header:
        numbers = sorted(set(numbers))
    lines = text.split("\n")
    there = [number for number, line in enumerate(lines, 1) if re.search(r"\S", line)][sample.header :]
    if sample.separator is None or '"' not in text:
        assert numbers == there
        return
    assert len(set(numbers)) == len(numbers)
    assert numbers[:1] == there[:1]
    for start, following in pairwise([*numbers, len(lines) + 1]):
        within = [number for number in there if start < number < following]
        assert not within or '"' in lines[start - 1]


@every_source
@settings(max_examples=40, deadline=None)
@given(raw=st.binary(max_size=300), at=st.integers(0, 400))
def test_no_bytes_end_in_a_traceback(folder: Path, sample: Sample, raw: bytes, at: int) -> None:
    content = sample.text.encode()
    content = content[:at] + raw + content[at:]
    batches = outcome(lambda: read(folder, sample, content, "bytes"))
    if isinstance(batches, str):
        assert batches.endswith(".")
        return
    assert all(batch.rows == batch.accepted.height + batch.rejected.height for batch in batches)


@settings(max_examples=30, deadline=None)
@given(at=st.integers(0, 3_000), new=st.binary(min_size=1, max_size=8))
def test_spoilt_parquet_is_told_in_a_sentence(folder: Path, at: int, new: bytes) -> None:
    path = folder / "spoilt.parquet"
    pl.read_csv(RETAIL.encode(), infer_schema=False).write_parquet(path)
    raw = path.read_bytes()
    at %= len(raw)
    path.write_bytes(raw[:at] + new + raw[at + len(new) :])
    batches = outcome(lambda: list(sources.read(path, "online-retail", OPTIONS)))
    if isinstance(batches, str):
        assert batches.endswith(".")
        return
    assert sum(batch.rows for batch in batches) <= RETAIL.count("\n") - 1
