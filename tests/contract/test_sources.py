"""What every source must do, whatever the format: the same suite over each reader."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from segtui import sources
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.session import open_session
from segtui.sources import files
from segtui.sources.schema import ATTRIBUTES, PARSED


def accepted(batches: Iterable[sources.Batch]) -> pl.DataFrame:
    return pl.concat([batch.accepted for batch in batches])


def rejected(batches: Iterable[sources.Batch]) -> pl.DataFrame:
    return pl.concat([batch.rejected for batch in batches])


def attributes(batches: Iterable[sources.Batch]) -> pl.DataFrame:
    empty = pl.DataFrame(schema=ATTRIBUTES)
    return pl.concat([empty if batch.attributes is None else batch.attributes for batch in batches])


def test_a_good_file_is_accepted_whole(folder: Path, sample: Any) -> None:
    batches = sample.read(folder, sample.text.encode())
    good = accepted(batches)
    assert rejected(batches).to_dicts() == []
    assert dict(good.schema) == PARSED
    assert good["line"].to_list() == sample.starts
    assert good["user"].null_count() == good["time"].null_count() == good["kind"].null_count() == 0
    priced = good.filter(pl.col("amount").is_not_null())
    assert priced["currency"].null_count() == 0


def test_the_format_is_recognised(folder: Path, recognisable: Any) -> None:
    sample = recognisable
    path = folder / f"{sample.name}-unknown"
    path.write_text(sample.text)
    name, why = sources.detect(path)
    assert name == sample.format
    assert why


def test_a_format_as_a_mapping_file_imports_to_the_same_content(tmp_path: Path, expressible: Any) -> None:
    sample = expressible
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
def test_the_wrapping_changes_nothing(folder: Path, sample: Any, change: Callable[[bytes], bytes]) -> None:
    plain = sample.read(folder, sample.text.encode())
    wrapped = sample.read(folder, change(sample.text.encode()), "wrapped.gz")
    assert accepted(wrapped).equals(accepted(plain))
    assert attributes(wrapped).equals(attributes(plain))
    assert rejected(wrapped).is_empty()


def test_small_chunks_give_the_same_rows(folder: Path, sample: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = sample.text.encode() + (b"?\n" if sample.header else b"{}\n")
    whole = sample.read(folder, content)
    monkeypatch.setattr(files, "CHUNK_BYTES", 40)
    parts = sample.read(folder, content)
    assert len(parts) > len(whole)
    assert accepted(parts).equals(accepted(whole))
    assert rejected(parts).equals(rejected(whole))
    assert rejected(parts).height == 1
    assert attributes(parts).sort("line", "name").equals(attributes(whole).sort("line", "name"))


def test_reading_twice_gives_the_same(folder: Path, sample: Any) -> None:
    first, second = (sample.read(folder, sample.text.encode()) for _ in range(2))
    assert accepted(first).equals(accepted(second))
    assert attributes(first).equals(attributes(second))


def sentence(error: pytest.ExceptionInfo[sources.SourceError]) -> str:
    """The error's text, checked to be one sentence for a person."""
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def test_files_that_cannot_be_read_are_told_in_a_sentence(folder: Path, sample: Any) -> None:
    def fails(path: Path) -> str:
        with pytest.raises(sources.SourceError) as error:
            sample.batches(path)
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


def test_bytes_that_are_no_text_are_located(folder: Path, sample: Any) -> None:
    lines = sample.text.encode().split(b"\n")
    lines[2] = lines[2][:5] + b"\xe9" + lines[2][5:]
    with pytest.raises(sources.SourceError, match=r"line 3, column 6: byte 0xE9 is not UTF-8") as error:
        sample.read(folder, b"\n".join(lines))
    assert "iconv" in sentence(error)


def test_parquet_is_not_taken_for_text(folder: Path, sample: Any) -> None:
    path = folder / "other.parquet"
    pl.DataFrame({"strange": [1]}).write_parquet(path)
    with pytest.raises(sources.SourceError, match=r"other\.parquet") as error:
        sample.batches(path)
    assert "Parquet" in sentence(error) or "strange" in sentence(error)


def test_a_missing_column_is_named_with_those_there(folder: Path, lacking: Any) -> None:
    sample = lacking
    with pytest.raises(sources.SourceError) as error:
        sample.read(folder, sample.text.replace(sample.dropped, "Other", 1).encode())
    text = sentence(error)
    assert f"needs the column {sample.dropped}" in text
    assert "Other" in text
    assert "line 1" in text


def test_a_foreign_file_is_refused(folder: Path, sample: Any) -> None:
    if sample.format == "table":
        return
    with pytest.raises(sources.SourceError) as error:
        sample.read(folder, b"Dear reader,\n\nthis is a letter.\n")
    sentence(error)


def test_parquet_holds_the_same_rows(folder: Path, table_sample: Any) -> None:
    sample = table_sample
    frame = pl.read_csv(sample.text.encode(), separator=sample.separator, infer_schema=False)
    path = folder / f"{sample.name}.parquet"
    frame.write_parquet(path)
    from_parquet = sample.batches(path)
    from_text = sample.read(folder, sample.text.encode())
    assert rejected(from_parquet).is_empty()
    assert accepted(from_parquet)["line"].to_list() == list(range(1, frame.height + 1))
    assert accepted(from_parquet).drop("line").equals(accepted(from_text).drop("line"))
    assert attributes(from_parquet).drop("line").equals(attributes(from_text).drop("line"))
