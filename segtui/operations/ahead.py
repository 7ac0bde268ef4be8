"""Making the next item while the last one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items in their order; another thread makes the next one, and no more, while the caller has one.

    What making an item raises is raised when that item is asked for.
    """
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(_following, items)
        while (item := coming.result()) is not None:
            coming = maker.submit(_following, items)
            yield item[0]


def _following(items: Iterator[Item]) -> tuple[Item] | None:
    for item in items:
        return (item,)
    return None
