"""Labels of a model's segmentation: added, removed, renamed and merged, with who moves by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.store import Transaction
from segtui.operations.deciders import Evidence, load_model, model_decider
from segtui.operations.definitions import Definitions, Segmentation, definitions
from segtui.operations.edits import EditRun
from segtui.operations.errors import OperationError
from segtui.operations.label_rules import refuse_named, rules_renamed, shared_labels
from segtui.operations.policies import carried, require_probabilities
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.rule_reading import read_rule
from segtui.operations.rule_size import who_is_in
from segtui.operations.segment import listed, refuse_form
from segtui.operations.session import Session
from segtui.operations.unseen import parts_of
from segtui.operations.words import quoted
from segtui.sources.nearest import nearest

if TYPE_CHECKING:
    from engine.heads import Grown
    from engine.model import Model

KIND = "label_edited"
FEWEST = 20
"""Examples that a label needs: some are kept out to check it with."""


def add(
    s: Session,
    segmentation: str,
    label: str,
    *,
    where: str | None = None,
    examples: Path | Sequence[str] | None = None,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Grows the model's head by a label that it learns from examples: whom a rule holds, or ids name.

    Returns segmentation, labels, model, name, flows, changed, examples, unknown (ids no user has), recall
    and others (the share that the model gives the label of the examples kept out, and of all others that
    were; a label like any other where the two are near each other) and note. Nothing changes between the
    other labels. Raises OperationError for a label there is, and for too few examples.
    """
    if (where is None) == (examples is None):
        raise OperationError("Say whom the label is for: --where EXPR, or --examples FILE, one of them.")
    found = definitions(s)
    held = found.segmentation(segmentation)
    digest = require_probabilities(held)
    _require_free(held, label)
    progress("reading the log", None)
    chosen, unknown = _examples(s, found, where, examples)
    if len(chosen) < FEWEST:
        raise OperationError(f"{len(chosen)} examples are too few for a label: give {FEWEST} or more.")
    progress(f"learning {label} from {len(chosen):,} examples", None)
    grown = _grown(s, digest, label, chosen)
    learnt = {"examples": len(chosen), "recall": grown.recall, "others": grown.others}
    edit = {"edit": "add", "label": label, "where": where} | learnt
    told = _edit(s, held, grown.model, edit, preview=preview, progress=progress, cancelled=cancelled)
    return told | learnt | {"unknown": unknown}


def remove(
    s: Session,
    segmentation: str,
    label: str,
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Cuts a label off the model's head; what a network gave to it goes to the others in their proportions.

    Where the label was added last, and none renamed since, that is the very model before. Returns as `add`,
    without what examples told.
    """
    from engine.heads import cut

    held = definitions(s).segmentation(segmentation)
    digest = require_probabilities(held)
    _require_current(held, label)
    model = load_model(s.store, digest)
    grown = model.policy.get("grown") or {}
    before = load_model(s.store, grown["from"]) if grown.get("label") == label else None
    # Labels that were renamed since are not those of the model before.
    if before is not None and before.labels == tuple(each for each in model.labels if each != label):
        model = before
    else:
        model = cut(model, label, _policy(model, {"cut": {"label": label, "from": digest}}))
    edit = {"edit": "remove", "label": label}
    return _edit(s, held, model, edit, preview=preview, progress=progress, cancelled=cancelled)


def rename(
    s: Session,
    segmentation: str,
    old: str,
    new: str,
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Calls a label otherwise: whoever holds it holds the new one, nobody else moves.

    The model, what was decided for the label and the rules that name it go on under the new name. Returns as
    `remove`, with `rules`: the names of those rules. Raises OperationError for a name that is taken.
    """
    held = definitions(s).segmentation(segmentation)
    digest = require_probabilities(held)
    _require_current(held, old)
    _require_free(held, new, own=old)
    model = load_model(s.store, digest)
    renamed = replace(model, labels=tuple(new if label == old else label for label in model.labels))
    edit = {"edit": "rename", "label": old, "into": new, "became": {old: new}}
    return _edit(s, held, renamed, edit, preview=preview, progress=progress, cancelled=cancelled)


def merge(
    s: Session,
    segmentation: str,
    one: str,
    other: str,
    into: str | None = None,
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Makes one label of two: its probability is the sum of theirs.

    `into`: its name, also that of one of the two (default: both, with _ between). Returns as `remove`.
    Raises OperationError where fewer than two labels would be left, for a name that is taken, and where a
    decision or a rule names one of the two, as it would mean something else then.
    """
    from engine.heads import merged

    found = definitions(s)
    held = found.segmentation(segmentation)
    digest = require_probabilities(held)
    for label in (one, other):
        _require_current(held, label)
    if one == other:
        raise OperationError(f"{quoted(one)} cannot be merged with itself: name two labels.")
    if len(held.labels) < 3:
        raise OperationError(f"{segmentation!r} would have one label, and nothing to decide: keep the two.")
    name = into or f"{one}_{other}"
    if name not in (one, other):
        _require_free(held, name)
    _refuse_decided(held, (one, other))
    model = load_model(s.store, digest)
    became = {label: name for label in (one, other) if label != name}
    edit = {"edit": "merge", "merged": [one, other], "into": name, "became": became}
    policy = _policy(model, {"merged": {"labels": [one, other], "from": digest}})
    left = merged(model, one, other, name, policy)
    return _edit(s, held, left, edit, preview=preview, progress=progress, cancelled=cancelled)


def restore(
    s: Session,
    segmentation: str,
    digest: str,
    since: int | None,
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Goes back to the model before an edit of labels, which was made at the as-of `since`.

    Where two labels were one under the name of one of them, and a tick has closed since, everyone is given a
    first label: whoever holds that name may have come from the other. Raises OperationError where a rule
    reads a name that would mean something else.
    """
    held = definitions(s).segmentation(segmentation)
    model = load_model(s.store, digest)
    shared = shared_labels(load_model(s.store, require_probabilities(held)), model)
    now = s.require_as_of()
    edit: dict[str, Any] = {"edit": "undo"}
    if since != now and shared.intersection(held.labels, model.labels):
        edit["anew"] = now
    return _edit(s, held, model, edit, shared=shared, preview=preview, progress=progress, cancelled=cancelled)


def _require_current(held: Segmentation, label: str) -> None:
    """Raises a sentence, with the nearest name there is, for what is no label of the segmentation now."""
    if label in held.labels:
        return
    near = nearest(label, held.labels)
    hint = f"; the nearest is {near}" if near else ""
    gone = " any more" if label in held.all_labels else ""
    raise OperationError(
        f"Segmentation {held.name!r} has no label {quoted(label)}{gone}: "
        f"there are {', '.join(held.labels)}{hint}. Nothing was changed."
    )


def _require_free(held: Segmentation, label: str, *, own: str | None = None) -> None:
    """Raises a sentence for what cannot be a new label's name, or that of a label which has its `own`.

    A former name goes on meaning the label that had it: of the past, and for the margin until a tick closes.
    """
    refuse_form(label, "a label", "wholesale")
    if label in held.labels:
        raise OperationError(f"{held.name!r} has a label {quoted(label)} already: choose another name.")
    successor = held.became.get(label)
    if successor is not None and successor != own:
        raise OperationError(
            f"{quoted(label)} is what {quoted(successor)} of {held.name!r} was called before: choose another "
            "name."
        )


def _refuse_decided(held: Segmentation, labels: Sequence[str]) -> None:
    """Raises a sentence where the decision in force names one of the labels, which are to be one."""
    policy = held.policy.of(held.labels)
    named = {*policy.minimum, *policy.shares, *(label for pair in policy.costs for label in pair)}
    asked = [label for label in labels if label in named]
    if asked:
        raise OperationError(
            f"{held.name!r} is decided with a number for {quoted(asked[0])} alone (--{policy.rule}), which "
            f"says nothing of the two together: 'segtui decide {held.name} --argmax' first, then decide anew."
        )


def _examples(
    s: Session, found: Definitions, where: str | None, examples: Path | Sequence[str] | None
) -> tuple[np.ndarray, int]:
    """The persons the label is for, ascending, and how many ids no user has."""
    if examples is not None:
        return listed(s, examples)
    assert where is not None
    as_of = s.require_as_of()
    evidence = Evidence(s.events(before=as_of), s.identity(), s.attributes())
    decided = who_is_in(s, read_rule(s, found, "", where), evidence, as_of)
    if decided is None:
        raise OperationError(
            f"{quoted(where)} reads a segment that was not scored yet: record it with 'segtui rescore'."
        )
    return decided[0], 0


def _grown(s: Session, digest: str, label: str, chosen: np.ndarray) -> Grown:
    """The model with a label more, learnt from what is known of everyone now."""
    from engine.heads import grow

    decider = model_decider(s.store, digest)
    model, now = decider.artefact, s.require_as_of()
    evidence = Evidence(s.events(before=now), s.identity(), s.attributes())
    frame = evidence.features(now, decider.spec)
    users = frame["user"].to_numpy()
    return grow(
        model,
        label,
        frame,
        decider.sequences(evidence, now, users),
        np.isin(users, chosen),
        parts_of(evidence.identity, users, int(model.policy.get("seed", 0))),
        _policy(model, {"grown": {"label": label, "from": digest}}, label),
    )


def _policy(model: Model, edit: dict[str, Any], label: str | None = None) -> dict[str, Any]:
    """The model's policy once its labels were edited: what it predicts is no outcome of the log any more."""
    asked = label or model.policy.get("attribute") or "labels"
    kept = {name: value for name, value in model.policy.items() if name not in ("grown", "cut", "merged")}
    return kept | {"label": "given", "attribute": asked} | edit


def _edit(
    s: Session,
    held: Segmentation,
    model: Model,
    edit: dict[str, Any],
    *,
    shared: Collection[str] = (),
    preview: bool,
    progress: Progress,
    cancelled: Cancelled,
) -> dict[str, Any]:
    """Records the model and the edit, with its movers; rolled back where it is a preview.

    `shared`: labels that will mean less or more than they do.
    """
    told: dict[str, Any] = {}
    try:
        with s.store.transaction(actor=s.actor, source="label") as tx:
            found = definitions(s)
            current = found.segmentation(held.name)
            if current.model != held.model:
                raise OperationError(f"Another model decides {held.name!r} since: try again.")
            rules = _rules(found, current, model, edit, shared)
            name = _record(tx, found, current, model, same=edit["edit"] == "rename")
            body = {
                "segmentation": held.name,
                "model": model.digest,
                "previous": held.model,
                "labels": list(model.labels),
                "as_of": s.require_as_of(),
            }
            decision = (KIND, body | edit)
            run = EditRun(
                s,
                tx,
                held.name,
                decision,
                cause="label",
                beside=rules,
                progress=progress,
                cancelled=cancelled,
            )
            run.finish()
            flows = run.flows()
            told = {
                "segmentation": held.name,
                "labels": list(model.labels),
                "model": model.digest,
                "name": name,
                "flows": flows,
                "changed": sum(users for _, _, users in flows),
                "note": None if edit["edit"] == "rename" else carried(current, model.labels),
                "rules": [each["name"] for _, each in rules],
                "preview": preview,
            }
            if preview:
                raise Stopped
    except Stopped:
        if not (preview and told):
            raise
    return told


def _rules(
    found: Definitions, held: Segmentation, model: Model, edit: dict[str, Any], shared: Collection[str]
) -> list[tuple[str, dict[str, Any]]]:
    """The edits of rules that go with a rename; refuses any other edit of a label that a rule names."""
    if edit["edit"] == "rename":
        return rules_renamed(found, held.name, edit["label"], edit["into"])
    gone = {*edit.get("merged", ()), *shared, *(set(held.labels) - set(model.labels))}
    refuse_named(found, held.name, gone, "that would be no label any more, or mean something else")
    return []


def _record(tx: Transaction, found: Definitions, held: Segmentation, model: Model, *, same: bool) -> str:
    """The model's name; it is recorded unless the log has it. `same`: but for names it is the one held."""
    known = found.models.get(model.digest)
    if known is not None:
        return str(known["name"])
    parent = found.models[str(held.model)]
    name = f"{model.kind}-{model.short[:4]}"
    told: dict[str, Any] = {
        "name": name,
        "model": model.digest,
        "labels": list(model.labels),
        "previous": held.model,
    }
    if same:
        counts = parent.get("label_counts", {})
        now = dict(zip(held.labels, model.labels, strict=True))
        told["label_counts"] = {now.get(label, label): users for label, users in counts.items()}
    else:
        told |= {"metrics": {}, "history": []}
    tx.put_model(model.digest, model.spec_json(), model.parameter_bytes())
    tx.append_decision("model_trained", parent | told)
    return name
