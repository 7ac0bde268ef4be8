"""The rows an import put into quarantine, as its file keeps them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from db import log
from segtui.operations.errors import OperationError
from segtui.operations.quarantine import folder
from segtui.operations.session import Session

STAMP = "%Y%m%dT%H%M%S%f"
SHOWN = 200


def refused(s: Session, number: int, *, limit: int = SHOWN) -> dict[str, Any]:
    """file, the first rows (file, line, reason, row) and how many more of the import with that decision.

    A file belongs to the first import of its source that was recorded after it was begun. Raises
    OperationError when the file is not there any more.
    """
    imports = log.decisions(s.store, kinds=("imported",))
    found = next((each for each in imports if each.seq == number), None)
    if found is None:
        raise OperationError(f"There is no import {number}: see segtui quality.")
    before = [each.recorded_at for each in imports if each.seq < number]
    path = _file(s.store.path, found.body["source"], max(before, default=0), found.recorded_at)
    if path is None:
        raise OperationError(
            f"The quarantine file of import {number} is not in {folder(s.store.path)} any more: "
            "the counts by rule are all that is left."
        )
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, limit)]
    return {"file": str(path), "rows": rows, "more": max(0, found.body["quarantined"] - len(rows))}


def _file(store: Path, source: str, after: int, until: int) -> Path | None:
    """The newest quarantine file of a source begun after one import and before another was recorded."""
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in source)
    found = None
    for path in sorted(folder(store).glob(f"*-{safe}.ndjson")):
        try:
            begun = datetime.strptime(path.name.partition("-")[0], STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue
        if path.name.partition("-")[2] == f"{safe}.ndjson" and after < begun.timestamp() * 1e6 <= until:
            found = path
    return found
