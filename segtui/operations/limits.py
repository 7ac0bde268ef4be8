"""The limits that a store's health is held against: policy, set by decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db import log
from segtui.operations.errors import OperationError
from segtui.operations.session import Session

KIND = "check_limits_set"
RETRAIN = "retrain"
HOURS = {"h": 1.0, "d": 24.0, "w": 168.0}


@dataclass(frozen=True)
class Limit:
    """From where on a measure warns, and from where on it fails."""

    warn: float
    fail: float
    unit: str
    """hours, ticks, share (0 to 1), ratio (of the usual), psi or ks."""

    def state(self, value: float) -> str:
        """ok, warn or fail. A ratio passes a limit on either side: a fifth as much as five times as much."""
        if self.unit == "ratio":
            value = min(value, 1 / value) if value > 0 else 0.0
            return "fail" if value < self.fail else "warn" if value < self.warn else "ok"
        return "fail" if value > self.fail else "warn" if value > self.warn else "ok"


DEFAULTS = {
    "freshness": Limit(36, 72, "hours"),
    "scored": Limit(1, 7, "ticks"),
    "volume": Limit(0.5, 0.1, "ratio"),
    "gaps": Limit(0, 2, "ticks"),
    "quarantine": Limit(0.02, 0.2, "share"),
    "sizes": Limit(0.2, 0.5, "share"),
    "backup": Limit(168, 720, "hours"),
    "drift": Limit(0.25, 0.5, "psi"),
    "drift_ks": Limit(0.3, 0.5, "ks"),
    "shares": Limit(0.1, 0.25, "psi"),
    "calibration": Limit(0.05, 0.1, "share"),
}
"""What is held against what, in the order told."""


@dataclass(frozen=True)
class Policy:
    """The limits as the newest decisions leave them; None for a check that is switched off."""

    limits: dict[str, Limit | None]
    retrain: bool
    """Whether drift and lost calibration train the model again."""


def policy(s: Session) -> Policy:
    """The defaults, and what was set since."""
    limits: dict[str, Limit | None] = dict(DEFAULTS)
    retrain = False
    for decision in log.decisions(s.store, kinds=(KIND,)):
        for name, pair in decision.body["limits"].items():
            limits[name] = None if pair is None else Limit(pair[0], pair[1], DEFAULTS[name].unit)
        retrain = decision.body.get(RETRAIN, retrain)
    return Policy(limits, retrain)


def set_limits(s: Session, given: Mapping[str, str]) -> dict[str, Any]:
    """Appends a decision with new limits; returns all there are then.

    `given`: texts by check: `36h,72h` where it warns and where it fails, one value for both, or `off`; a
    share may be `5%`, a time `36h`, `3d` or `1w`. `retrain` is `on` or `off`. Raises OperationError for a
    name that is none, or a value that cannot be read.
    """
    limits = {name: _pair(name, text) for name, text in given.items() if name != RETRAIN}
    body: dict[str, Any] = {"limits": limits}
    if RETRAIN in given:
        if given[RETRAIN] not in ("on", "off"):
            raise OperationError(f"{RETRAIN}={given[RETRAIN]} is neither on nor off.")
        body[RETRAIN] = given[RETRAIN] == "on"
    with s.store.transaction(actor=s.actor, source="check") as tx:
        seq = tx.append_decision(KIND, body)
    held = policy(s)
    return {"seq": seq, **told(held)}


def told(held: Policy) -> dict[str, Any]:
    """{limits: {name: [warn, fail] or null}, retrain}."""
    pairs = {name: None if each is None else [each.warn, each.fail] for name, each in held.limits.items()}
    return {"limits": pairs, RETRAIN: held.retrain}


def _pair(name: str, text: str) -> list[float] | None:
    if name not in DEFAULTS:
        from engine.rule_words import nearest

        known = [*DEFAULTS, RETRAIN]
        raise OperationError(f"There is no check {name!r} to limit; {nearest(name, known)}.")
    if text.strip() == "off":
        return None
    unit = DEFAULTS[name].unit
    parts = [_value(name, unit, part) for part in text.split(",")]
    warn, fail = parts[0], parts[-1]
    if len(parts) > 2 or (fail > warn if unit == "ratio" else fail < warn):
        raise OperationError(
            f"{name}={text}: give where it warns and then where it fails, which is worse, or one value."
        )
    return [warn, fail]


def _value(name: str, unit: str, text: str) -> float:
    text = text.strip()
    if unit == "hours" and text[-1:] in HOURS:
        number, factor = text[:-1], HOURS[text[-1]]
    elif unit in ("share", "ratio") and text.endswith("%"):
        number, factor = text[:-1], 0.01
    else:
        number, factor = text, 1.0
    try:
        value = float(number) * factor
    except ValueError:
        value = math.nan
    top = 1.0 if unit in ("share", "ratio", "ks") else math.inf
    if not (0 <= value <= top and math.isfinite(value)):
        example = {"hours": "36h or 3d", "share": "5% or 0.05", "ratio": "50% or 0.5", "ticks": "2"}
        raise OperationError(
            f"{name}={text} cannot be read: write {example.get(unit, '0.25')}, two with a comma, or off."
        )
    return value
