"""Proving the store: the chain, SQLite's own check, the projections against the log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from db import chain, content, lineage, projections
from db.checks import UNREADABLE, Check, guarded
from engine.errors import EngineError
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.margins import check_margins
from segtui.operations.progress import Progress, quiet
from segtui.operations.session import Session


def verify(
    s: Session, *, deep: bool = False, head: str | None = None, progress: Progress = quiet
) -> dict[str, Any]:
    """Checks the store; `ok` is True when all of it held.

    `deep`: also that every membership change follows from the one before it and has its cause in the log,
    and that every recorded label is decided the same again, from the events alone. `head`: a chain digest
    kept elsewhere, in hex; a log that does not hold it was cut or rewritten. A digest that cannot be told,
    because its data cannot be read, is None. Raises OperationError for a head that is no digest.
    """
    if head is not None and not (len(head) == 64 and set(head.lower()) <= set("0123456789abcdef")):
        raise OperationError(f"{head!r} is not a chain digest: it has 64 hex digits, as 'verify' prints it.")
    checks = [
        *chain.verify(s.store, head=head),
        guarded("margins", partial(check_margins, s)),
        guarded("models", partial(_models, s)),
    ]
    if deep:
        checks += [
            guarded("continuity", partial(lineage.continuity, s.store)),
            guarded("causes", partial(lineage.causes, s.store)),
            guarded("labels", partial(_labels, s, progress)),
        ]
    return {
        "ok": all(check.ok for check in checks),
        "chain_digest": s.store.chain_digest().hex(),
        "content_digest": _readable(partial(content.content_digest, s.store)),
        "state_digest": _readable(partial(projections.state_digest, s.store)),
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks],
    }


def _readable(digest: Callable[[], str | None]) -> str | None:
    try:
        return digest()
    except UNREADABLE:
        return None


def _labels(s: Session, progress: Progress) -> Check:
    """Every recorded label, decided again."""
    from segtui.operations.recompute import Recomputation

    return Recomputation(s).check(progress)


def _models(s: Session) -> Check:
    """Every recorded model's blob against the digest its decision names, and no blob beside them."""
    trained = definitions(s).models
    stored = {digest for (digest,) in s.store.rows("SELECT digest FROM models")}
    strays = sorted(stored - set(trained))
    if strays:
        return Check("models", False, f"no decision tells of model {strays[0][:8]}")
    if not trained:
        return Check("models", True, "none recorded")
    from segtui.operations.deciders import load_model

    for digest, body in trained.items():
        try:
            load_model(s.store, digest)
        except (EngineError, OperationError) as error:
            return Check("models", False, f"{body['name']}: {error}")
    return Check("models", True, f"{len(trained)} as recorded")
