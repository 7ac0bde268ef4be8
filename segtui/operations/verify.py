"""Proving the store: the chain, SQLite's own check, the projections against the log."""

from __future__ import annotations

from typing import Any

from db import chain, content, projections
from segtui.operations.definitions import definitions
from segtui.operations.session import Session


def verify(s: Session) -> dict[str, Any]:
    """Checks everything that can be checked without rescoring; `ok` is True when all of it held."""
    checks = [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in chain.verify(s.store)]
    checks.append(_models(s))
    return {
        "ok": all(check["ok"] for check in checks),
        "chain_digest": s.store.chain_digest().hex(),
        "content_digest": content.content_digest(s.store),
        "state_digest": projections.state_digest(s.store),
        "checks": checks,
    }


def _models(s: Session) -> dict[str, Any]:
    """Every recorded model's blob against the digest its decision names."""
    trained = definitions(s).models
    if not trained:
        return {"name": "models", "ok": True, "detail": "none recorded"}
    from engine.errors import EngineError
    from segtui.operations.deciders import load_model
    from segtui.operations.errors import OperationError

    for digest, body in trained.items():
        try:
            load_model(s.store, digest)
        except (EngineError, OperationError) as error:
            return {"name": "models", "ok": False, "detail": f"{body['name']}: {error}"}
    return {"name": "models", "ok": True, "detail": f"{len(trained)} as recorded"}
