"""What is wrong with a store right now, in a line each."""

from __future__ import annotations

from typing import Any

from db import log
from segtui.operations import health
from segtui.operations.health import Measured
from segtui.operations.limits import DEFAULTS, Policy, policy
from segtui.operations.session import Session

KIND = "checked"
"""The decision that a check appends when what is past its limit has changed."""
BAD = ("warn", "fail")


def notices(s: Session) -> list[dict[str, Any]]:
    """What is past its limit now, failures first, as {name, state, value, hint}.

    What is quick to measure is measured; the rest is what the last `check` recorded.
    """
    held = policy(s)
    now = {each.name: told(each.name, each, held) for each in health.quick(s)}
    before = {each["name"]: each for each in last_passed(s) if held.limits.get(each["name"]) is not None}
    stands = before | now
    found = [stands[name] for name in DEFAULTS if name in stands and stands[name]["state"] in BAD]
    shown = [{name: each[name] for name in ("name", "state", "value", "hint")} for each in found]
    return sorted(shown, key=lambda each: -BAD.index(each["state"]))


def line(found: list[dict[str, Any]]) -> str | None:
    """The notices in one line: the worst, and how many more; None where there are none."""
    if not found:
        return None
    more = f" {len(found) - 1} more: segtui check." if len(found) > 1 else ""
    return f"! {found[0]['name']}: {found[0]['hint']}{more}"


def last_passed(s: Session) -> list[dict[str, Any]]:
    """What the last recorded check found past its limits."""
    found = log.decisions(s.store, kinds=(KIND,), newest_first=True, limit=1)
    return found[0].body["passed"] if found else []


def told(name: str, measured: Measured | None, held: Policy) -> dict[str, Any]:
    """One check as `check` tells it: name, state, value, limit, fail, unit, hint, more."""
    limit, unit = held.limits[name], DEFAULTS[name].unit
    shown: dict[str, Any] = {"name": name, "state": "off", "value": None, "limit": None, "fail": None}
    if limit is None or measured is None:
        hint = f"Switched off: segtui check --set {name}=LIMIT."
        return shown | {"unit": unit, "hint": hint, "more": []}
    state = "unknown" if measured.value is None else limit.state(measured.value)
    says = measured.says.removesuffix(".")
    end = "" if measured.advice.endswith("?") else "."
    hint = f"{says}: {measured.advice}{end}" if state in BAD else f"{says}."
    shown |= {"state": state, "value": measured.value, "limit": limit.warn, "fail": limit.fail}
    return shown | {"unit": unit, "hint": hint, "more": measured.more}
