"""Which format a file is in, and why; a near miss is told with what is lacking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segtui.sources import (
    cdnow,
    delimited,
    events,
    files,
    ga4,
    ndjson,
    online_retail,
    rees46,
    retailrocket,
    segment,
    shopify_orders,
    table,
    taobao,
    woocommerce,
)
from segtui.sources.errors import SourceError
from segtui.sources.nearest import missing, shown

NEAR = 0.6  # the share of a format's columns that makes a file a near miss of it
BY_MEMBERS = (
    (segment.NAME, segment.recognise),
    (ga4.NAME, ga4.recognise),
    (woocommerce.NAME, woocommerce.recognise_members),
    (events.NAME, events.recognise),
)
STREAMED = ((segment.NAME, segment.recognise), (events.NAME, events.recognise))
"""Formats of which every line stands for itself."""
BY_COLUMNS = (
    (online_retail.NAME, online_retail.recognise),
    (rees46.NAME, rees46.recognise),
    (retailrocket.NAME, retailrocket.recognise),
    (taobao.NAME, taobao.recognise),
    (shopify_orders.NAME, shopify_orders.recognise),
    (ga4.NAME, ga4.recognise),
    (woocommerce.NAME, woocommerce.recognise),
)
COLUMNS = {
    online_retail.NAME: online_retail.COLUMNS,
    rees46.NAME: rees46.COLUMNS,
    retailrocket.NAME: retailrocket.COLUMNS,
    taobao.NAME: taobao.COLUMNS,
    shopify_orders.NAME: shopify_orders.COLUMNS,
    ga4.NAME: ga4.NEEDED,
    woocommerce.NAME: woocommerce.COLUMNS,
}
MEMBERS = {
    events.NAME: events.REQUIRED,
    segment.NAME: (*segment.NEEDED, "userId"),
    ga4.NAME: ga4.NEEDED,
    woocommerce.NAME: woocommerce.NEEDED,
}


def detect(path: Path) -> tuple[str, str]:
    """The format of a file and why it is taken for that; SourceError when it is none, naming the nearest."""
    path = Path(path)
    if files.is_parquet(path):
        return _by_columns(path, list(files.parquet_columns(path)))
    lines = [line for line in files.head(path) if line.strip()]
    first = lines[0].lstrip() if lines else ""
    if first.startswith("{"):
        return _by_members(path, ndjson.members(first))
    if first.startswith("["):
        raise SourceError(f"{path}, line 1: a JSON list: put each object on a line of its own (jq -c '.[]').")
    for name, why in ((cdnow.NAME, cdnow.recognise(lines)), (taobao.NAME, taobao.recognise_lines(lines))):
        if why:
            return name, why
    return _by_columns(path, delimited.shape_of(path).names)


def detect_streamed(lines: Iterable[str]) -> str | None:
    """Which of the formats that can be streamed the first recognised of the lines is in; None for none."""
    for line in lines:
        there = ndjson.members(line)
        for name, recognise in STREAMED:
            if recognise(there):
                return name
    return None


def _by_members(path: Path, there: list[str]) -> tuple[str, str]:
    for name, recognise in BY_MEMBERS:
        why = recognise(there)
        if why:
            return name, why
    near = _near(MEMBERS, there)
    if near:
        like = f"it is most like {near}, which needs {missing(list(MEMBERS[near]), there, 'member')}"
    else:
        like = f"it has no user, time and kind; there are {shown(there)}"
    raise SourceError(f"{path}, line 1: {like}: write a mapping file.")


def _by_columns(path: Path, there: list[str]) -> tuple[str, str]:
    for name, recognise in BY_COLUMNS:
        why = recognise(there)
        if why:
            return name, why
    near = _near(COLUMNS, there)
    if near:
        raise SourceError(
            f"{path} is most like {near}, which needs {missing(list(COLUMNS[near]), there)}: "
            "write a mapping file."
        )
    why = table.recognise(there)
    if why:
        return table.NAME, why
    raise SourceError(f"{path} has the columns {shown(there)}, which no format has: write a mapping file.")


def _near(formats: Mapping[str, Sequence[str]], there: list[str]) -> str | None:
    """The format most of whose columns are there, if enough are."""
    shares = {name: len(set(needed) & set(there)) / len(needed) for name, needed in formats.items()}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= NEAR else None
