"""Whether a store is in good health: measures against limits that are policy, and what follows."""

from __future__ import annotations

from typing import Any

from db.errors import StoreError
from segtui.operations import health
from segtui.operations.drift import NAMES as DRIFT
from segtui.operations.drift import RETRAIN_DAYS, drifted
from segtui.operations.errors import OperationError
from segtui.operations.limits import DEFAULTS, policy
from segtui.operations.notices import BAD, KIND, last_passed, told
from segtui.operations.progress import Progress, quiet
from segtui.operations.session import Session

STATES = ("ok", "warn", "fail")


def check(
    s: Session, *, fail_on: str = "fail", record: bool = True, progress: Progress = quiet
) -> dict[str, Any]:
    """Measures freshness, import volume, gaps, quarantine, sizes, backups, drift and calibration.

    Each check has name, state (ok, warn, fail, unknown where there is nothing to measure, off), value,
    limit (where it warns), fail (where it fails), unit, hint and more (what the value is the worst of). `ok`
    is false when a state is `fail_on` or worse. With `record`, what is past its limit is a decision event
    whenever that is another than at the check before (`seq`), and where the policy says so the models that
    drifted are trained again and promoted if not worse (`retrained`). Where the store cannot be written to,
    `unrecorded` says why.
    """
    held = policy(s)
    wanted = [name for name, limit in held.limits.items() if limit is not None]
    measured = {each.name: each for each in (*health.quick(s), *health.usual(s))}
    if any(name in wanted for name in DRIFT):
        measured |= {each.name: each for each in drifted(s, progress)}
    checks = [told(name, measured.get(name), held) for name in DEFAULTS]
    bad = STATES[STATES.index(fail_on) :]
    result: dict[str, Any] = {
        "ok": not any(each["state"] in bad for each in checks),
        "fail_on": fail_on,
        "checks": checks,
        "seq": None,
        "unrecorded": None,
        "retrained": [],
    }
    if record:
        try:
            result["seq"] = _record(s, checks)
        except StoreError as error:
            result["unrecorded"] = str(error)
        if held.retrain:
            result["retrained"] = _retrain(s, checks, progress)
    return result


def _record(s: Session, checks: list[dict[str, Any]]) -> int | None:
    """Appends what is past its limits, unless the last check found the same; the decision's seq."""
    passed = [
        {name: each[name] for name in ("name", "state", "value", "limit", "hint")}
        for each in checks
        if each["state"] in BAD
    ]

    def states(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(each["name"], each["state"]) for each in found}

    if states(passed) == states(last_passed(s)):
        return None
    with s.store.transaction(actor=s.actor, source="check") as tx:
        return tx.append_decision(KIND, {"passed": passed})


def _retrain(s: Session, checks: list[dict[str, Any]], progress: Progress) -> list[dict[str, Any]]:
    """Trains again what drifted; each as {segmentation, model, promoted, why}, or why it was not."""
    from engine.labels import OUTCOMES
    from segtui.operations.deciders import load_model
    from segtui.operations.definitions import definitions
    from segtui.operations.tasks import latest_cutoff
    from segtui.operations.train import train

    found, tried = definitions(s), []
    drifting = {
        entry["segmentation"]
        for each in checks
        if each["name"] in DRIFT and each["state"] in BAD
        for entry in each["more"]
    }
    for name in sorted(drifting):
        model = found.segmentations[name].model
        assert model is not None
        own = load_model(s.store, model).policy
        if own["label"] not in OUTCOMES:
            why = "its labels were edited by hand, so that no outcome tells what it should learn"
            tried.append({"segmentation": name, "model": None, "promoted": False, "why": why})
            continue
        horizon = int(own["horizon_days"])
        end = s.data_end()
        assert end is not None
        newest = max(
            s.instant(body["cutoff"])
            for body in found.models.values()
            if body["segmentation"] == name and body["cutoff"]
        )
        if s.ticks.days_before(latest_cutoff(s.ticks, end, horizon), RETRAIN_DAYS) < newest:
            why = f"the last model learnt from a window that is not {RETRAIN_DAYS} d old"
            tried.append({"segmentation": name, "model": None, "promoted": False, "why": why})
            continue
        try:
            made = train(
                s,
                segmentation=name,
                policy=own["label"],
                horizon=f"{horizon}d",
                warm=True,
                progress=progress,
            )
        except OperationError as error:
            tried.append({"segmentation": name, "model": None, "promoted": False, "why": str(error)})
            continue
        tried.append({"segmentation": name} | {key: made[key] for key in ("model", "promoted", "why")})
    return tried
