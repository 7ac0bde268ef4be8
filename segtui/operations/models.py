"""The trained models, and making one current."""

from __future__ import annotations

from typing import Any

from segtui.operations.definitions import Definitions, definitions
from segtui.operations.errors import OperationError
from segtui.operations.policies import carried
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.session import Session


def models(s: Session) -> dict[str, Any]:
    """Every trained model with the metrics it was recorded with, newest first."""
    found = definitions(s)
    current = {each.model for each in found.segmentations.values()}
    return {
        "models": [
            {
                **body,
                "promoted": body["model"] in current,
                "trained_at": s.iso(body["trained_at"]),
            }
            for body in reversed(found.models.values())
        ]
    }


def promote(
    s: Session,
    model: str | None,
    *,
    previous: bool = False,
    preview: bool = False,
    segmentation: str = "value",
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Makes a model current and rescores everyone with it; `preview` shows the movers and writes nothing.

    `previous` goes back to the model before. The result's `note` says what becomes of a decision that was
    made under another one. Raises OperationError for an unknown or current model.
    """
    if model is None and not previous:
        raise OperationError("Which model? Name one of 'segtui models', or use --previous.")
    # Here, so that a listing of models does not load what rescores.
    from segtui.operations.deciders import load_model
    from segtui.operations.label_rules import refuse_named, shared_labels
    from segtui.operations.promotion import promote_in

    try:
        with s.store.transaction(actor=s.actor, source="promote") as tx:
            found = definitions(s)
            trained = _to_promote(found, None if previous else model, segmentation)
            held = found.segmentation(trained["segmentation"])
            gone = set(held.labels) - set(trained["labels"])
            refuse_named(found, held.name, gone, f"{trained['name']} does not know that label")
            if held.model is not None:
                former, coming = (load_model(s.store, each) for each in (held.model, trained["model"]))
                shared = shared_labels(former, coming)
                refuse_named(found, held.name, shared, f"to {trained['name']} that is another label")
                if shared.intersection(former.labels, coming.labels):
                    trained["anew"] = s.require_as_of()
            note = carried(found.segmentation(trained["segmentation"]), trained["labels"])
            promotion = promote_in(s, tx, trained, progress, cancelled)
            promotion.finish()
            flows = promotion.flows()
            if preview:
                raise Stopped
    except Stopped:
        if not preview:
            raise
    return {
        "model": trained["model"],
        "name": trained["name"],
        "promoted": not preview,
        "flows": flows,
        "changed": sum(users for _, _, users in flows),
        "note": note,
    }


def _to_promote(found: Definitions, model: str | None, segmentation: str) -> dict[str, Any]:
    """The `model_trained` body of the model named, else of the one before, with the one it replaces."""
    if model is None:
        past = found.segmentation(segmentation).previous_models
        if not past:
            raise OperationError(f"Segmentation {segmentation!r} has no model to go back to.")
        trained = found.models[past[-1]]
    else:
        trained = found.find_model(model)
    held = found.segmentation(trained["segmentation"])
    if held.model == trained["model"]:
        raise OperationError(f"Model {trained['name']} is the current one of {held.name!r} already.")
    return trained | {"previous": held.model}
