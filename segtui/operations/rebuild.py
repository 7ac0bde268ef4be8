"""Dropping what is folded from the log, and folding it again."""

from __future__ import annotations

from typing import Any

from db import chain, projections, rebuilding, segments
from db.migrate import mend
from segtui.operations.errors import OperationError
from segtui.operations.session import Session


def rebuild(s: Session) -> dict[str, Any]:
    """Folds memberships, sizes, rescores and totals from the log again, and drops every columnar copy.

    Probabilities and margins of today are not in the log: they are unknown until everyone is scored again.
    Triggers, indexes and views are made again where they are not what they should be. Returns position,
    state_digest, mended. Raises OperationError when the log itself does not verify: nothing can mend that.
    """
    wrong = [check for check in chain.verify_log(s.store) if not check.ok and check.name != "copies"]
    if wrong:
        found = f"{wrong[0].name}: {wrong[0].detail}"
        raise OperationError(f"The log of {s.store.path} does not verify ({found}): restore a backup.")
    with s.store.transaction(actor=s.actor, source="rebuild") as tx:
        mended = mend(s.store.connection, clear=s.store.vault.clear)
        rebuilding.rebuild(s.store, tx)
        segments.drop(s.store)
    return {
        "position": s.store.head(),
        "state_digest": projections.state_digest(s.store),
        "mended": mended,
    }
