"""The formats that imports know."""

from __future__ import annotations

from typing import Any

from segtui import sources


def explain(format: str) -> dict[str, Any]:
    """A format as the text of a mapping file; SourceError where there is no such format or text."""
    return {"format": format, "mapping": sources.explain(format)}
