"""Outside formats to behaviour: every row of a file is either accepted or rejected with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segtui.sources import (
    cdnow,
    events,
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
from segtui.sources.detection import detect
from segtui.sources.errors import SourceError
from segtui.sources.mapping import load as load_mapping
from segtui.sources.nearest import nearest
from segtui.sources.schema import ATTRIBUTES, PARSED, REJECTED, Batch, Columns, Options

__all__ = [
    "ATTRIBUTES",
    "FORMATS",
    "PARSED",
    "REJECTED",
    "Batch",
    "Columns",
    "Options",
    "SourceError",
    "columns",
    "detect",
    "read",
]


@dataclass(frozen=True)
class Source:
    """A format: its name, what it holds, how to read a file of it, and what becomes of its columns."""

    name: str
    title: str
    read: Callable[[Path, Options], Iterator[Batch]]
    columns: Callable[[Path], Columns]


FORMATS: dict[str, Source] = {
    source.name: source
    for source in (
        Source(events.NAME, "events, one JSON object a line", events.read, events.columns),
        Source(segment.NAME, "Segment's calls", segment.FORMAT.read, segment.FORMAT.columns),
        Source(ga4.NAME, "Google Analytics 4 from BigQuery", ga4.FORMAT.read, ga4.FORMAT.columns),
        Source(cdnow.NAME, "CDNOW purchases (master or sample)", cdnow.read, cdnow.columns),
        Source(
            online_retail.NAME, "UCI Online Retail invoice lines", online_retail.read, online_retail.columns
        ),
        *(
            Source(module.NAME, title, module.PRESET.read, module.PRESET.columns)
            for module, title in (
                (retailrocket, "Retailrocket's events"),
                (taobao, "Taobao's UserBehavior"),
                (shopify_orders, "Shopify's order export"),
            )
        ),
        Source(rees46.NAME, "REES46 clickstream", rees46.read, rees46.columns),
        Source(woocommerce.NAME, "WooCommerce's orders", woocommerce.read, woocommerce.columns),
        Source(
            table.NAME, "one row per user, with attributes and perhaps a label", table.read, table.columns
        ),
    )
}


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
    if name not in FORMATS:
        near = nearest(name, FORMATS)
        hint = f"did you mean {near}?" if near else f"choose one of auto, {', '.join(FORMATS)}."
        raise SourceError(f"There is no format '{name}': {hint}")
    return FORMATS[name].read(path, options)


def columns(paths: Sequence[Path], format: str, mapping: Path | None = None) -> Columns:
    """Which columns of files of one format name the user and go to the vault, and which go nowhere.

    Of JSON lines the members of each file's first mebibyte are looked at.
    """
    told = load_mapping(Path(mapping)) if mapping is not None else None
    found = Columns()
    for path in paths:
        one = FORMATS[format].columns(path) if told is None else mapped.columns(path, told)
        found = found.and_those(one)
    return found
