"""Outside formats to behaviour: every row of a file is either accepted or rejected with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segtui.sources import (
    cdnow,
    events,
    files,
    ga4,
    mapped,
    online_retail,
    rees46,
    retailrocket,
    segment,
    shopify_orders,
    table,
    taobao,
    times,
    woocommerce,
)
from segtui.sources.detection import detect, detect_streamed
from segtui.sources.errors import SourceError
from segtui.sources.mapping import load as load_mapping
from segtui.sources.nearest import nearest
from segtui.sources.nested import Nested
from segtui.sources.preset import Preset
from segtui.sources.rates import Rates
from segtui.sources.rates import load as load_rates
from segtui.sources.schema import ATTRIBUTES, PARSED, REJECTED, Batch, Columns, Currencies, Options

__all__ = [
    "ATTRIBUTES",
    "FORMATS",
    "PARSED",
    "REJECTED",
    "Batch",
    "Columns",
    "Currencies",
    "Options",
    "Rates",
    "SourceError",
    "batches",
    "columns",
    "detect",
    "detect_streamed",
    "explain",
    "fields",
    "load_rates",
    "read",
]


@dataclass(frozen=True)
class Source:
    """A format: its name, what it holds, how to read a file of it, and what becomes of its columns.

    fields: where each field comes from. mapping: the format as a mapping file, if it can be one. beyond: what
    a mapping cannot say of it.
    """

    name: str
    title: str
    read: Callable[[Path, Options], Iterator[Batch]]
    columns: Callable[[Path], Columns]
    fields: Callable[[Path], dict[str, str]]
    mapping: str | None = None
    beyond: str = ""


def _of_module(module: Any, title: str) -> Source:
    """A format that is a module with its own reader, which a mapping may come near."""
    return Source(
        *(module.NAME, title, module.read, module.columns, module.fields),
        mapping=getattr(module, "MAPPING", None),
        beyond=getattr(module, "BEYOND", ""),
    )


def _of_preset(preset: Preset, title: str) -> Source:
    return Source(preset.name, title, preset.read, preset.columns, preset.fields, mapping=preset.text)


def _of_nested(format: Nested, title: str, beyond: str) -> Source:
    return Source(format.name, title, format.read, format.columns, format.fields, beyond=beyond)


FORMATS: dict[str, Source] = {
    source.name: source
    for source in (
        _of_module(events, "events, one JSON object a line"),
        _of_nested(segment.FORMAT, "Segment's calls, one JSON object a line", segment.BEYOND),
        _of_nested(ga4.FORMAT, "Google Analytics 4's events from BigQuery", ga4.BEYOND),
        _of_module(cdnow, "CDNOW's purchases, master or sample"),
        _of_module(online_retail, "UCI Online Retail's invoice lines"),
        _of_preset(retailrocket.PRESET, "Retailrocket's events"),
        _of_module(rees46, "REES46's clickstream"),
        _of_preset(taobao.PRESET, "Taobao's UserBehavior"),
        _of_preset(shopify_orders.PRESET, "Shopify's order export"),
        _of_module(woocommerce, "WooCommerce's orders"),
        _of_module(table, "one row per user, with attributes and perhaps a label"),
    )
}


def explain(format: str) -> str:
    """A format as a mapping file to start from; SourceError where a mapping cannot express it."""
    source = _known(format)
    if source.mapping is None:
        raise SourceError(f"{format} cannot be written as a mapping file: {source.beyond}.")
    beyond = f"# What it does not say, and {format} knows: {source.beyond}.\n" if source.beyond else ""
    return f"# {source.title}: {format} as a mapping file, for import --map.\n{beyond}\n{source.mapping}"


def _known(format: str) -> Source:
    if format not in FORMATS:
        near = nearest(format, FORMATS)
        hint = f"did you mean {near}?" if near else f"choose one of auto, {', '.join(FORMATS)}."
        raise SourceError(f"There is no format '{format}': {hint}")
    return FORMATS[format]


def read(path: Path, format: str, options: Options, mapping: Path | None = None) -> Iterator[Batch]:
    """The rows of a file, batch by batch, at least one batch; rows = accepted + rejected.

    `format` is a name of FORMATS or `auto`; a mapping file decides by itself. Raises SourceError, before the
    first batch where the header already shows it.
    """
    path = Path(path)
    times.check_zone(options.timezone)
    if mapping is not None:
        return mapped.read(path, options, load_mapping(Path(mapping)))
    name = detect(path)[0] if format == "auto" else format
    return _known(name).read(path, options)


def batches(path: Path) -> int:
    """About how many batches `read` will give of a file, for telling how far it is."""
    return files.batches(Path(path))


def fields(path: Path, format: str, mapping: Path | None = None) -> dict[str, str]:
    """Where each field of a file's events comes from: its columns, or a constant in quotes."""
    if mapping is not None:
        return mapped.fields(Path(path), load_mapping(Path(mapping)))
    return _known(format).fields(Path(path))


def columns(paths: Sequence[Path], format: str, mapping: Path | None = None) -> Columns:
    """Which columns of files of one format name the user and go to the vault, and which go nowhere.

    Of JSON lines the members of each file's first mebibyte are looked at.
    """
    told = load_mapping(Path(mapping)) if mapping is not None else None
    found = Columns()
    for path in paths:
        one = _known(format).columns(path) if told is None else mapped.columns(path, told)
        found = found.and_those(one)
    return found
