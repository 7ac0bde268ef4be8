"""Decisions of older encodings, told as today's: pure functions, applied on read.

What is stored stays as it is, and is hashed as the encoding of its commit says; only what is read changes. A
column added to the log's tables is null in older rows, which needs no function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from db.encoding import ENCODING

Body = dict[str, Any]


def _tell_sizes(kind: str, body: Body) -> Body:
    """Encoding 2: a rescore tells the sizes it left, an export the moment it shows; unknown before."""
    if kind == "rescored":
        return {"sizes": None} | body
    if kind == "exported":
        return {"as_of": None, "position": None} | body
    if kind == "users_erased":
        return {"rest": []} | body
    return body


def _tell_words(kind: str, body: Body) -> Body:
    """Encoding 3: what cuts events tells which words went with them; none did before."""
    if kind in ("users_erased", "retained"):
        return {"words": 0, "rest_words": []} | body
    return body


STEPS: Mapping[int, Callable[[str, Body], Body]] = {1: _tell_sizes, 2: _tell_words}
"""By encoding: what makes a decision's body one of the next; kinds that did not change pass through."""


def upcast(encoding: int, kind: str, body: Body) -> Body:
    """The body of a decision written under `encoding` as one written today."""
    for version in range(encoding, ENCODING):
        body = STEPS[version](kind, body)
    return body
