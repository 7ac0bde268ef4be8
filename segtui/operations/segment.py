"""Segments of the operator's own: by a rule, or from a list; defined, edited, retired, with a preview."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from db import log, projections, vocabulary
from engine.feature_names import attribute_columns, narrowed
from engine.features import WINDOWS, FeatureSpec, feature_names
from engine.rule_use import names_in, reaches
from segtui.operations.deciders import Decider, Evidence
from segtui.operations.definitions import IN_OUT, Definitions, Rule, definitions
from segtui.operations.edits import EditRun
from segtui.operations.errors import OperationError
from segtui.operations.features import catalogue_spec
from segtui.operations.files import write_frame
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.rule_deciders import IN, ListDecider, Nobody, RuleDecider
from segtui.operations.session import Session

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
GROWING = ("overdue", "recency_days", "silence_days", "tenure_days", "customer_days", "btyd_age_days")
"""Features that grow with time alone; features cap them one day past the longest window."""
ALL_TIME = 3_660
SPARED = ("item", "category", "platform", "device", "session", "quantity", "rating", "duration")
"""Columns that change no feature but those made of them."""
SAMPLE = 5
TREND_DAYS = 90
TREND_STEP = 7


def define(
    s: Session,
    name: str,
    where: str,
    *,
    preview: bool = False,
    out: Path | None = None,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Makes a segment of everyone for whom the rule `where` holds; `preview` writes nothing to the log.

    Returns name, where, users, share, entering, leaving, sample, overlap and, of a preview, the trend under
    this definition. `out`: a file that lists the movers. Raises OperationError for a taken name, EngineError
    for a rule that cannot be read.
    """
    found = definitions(s)
    _refuse_name(s, found, name)
    rule = _rule(s, found, name, where)
    decision = _defined(name, rule)
    return _edit(s, name, decision, rule, preview=preview, out=out, progress=progress, cancelled=cancelled)


def edit(
    s: Session,
    name: str,
    where: str,
    *,
    preview: bool = False,
    out: Path | None = None,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Gives a rule's segment another rule; results and errors as for `define`."""
    found = definitions(s)
    held = found.segmentation(name)
    if held.rule is None:
        raise OperationError(
            f"{name!r} is not decided by a rule: it is a {held.kind}'s, so it has none to edit."
        )
    rule = _rule(s, found, name, where)
    if rule == held.rule:
        raise OperationError(f"{name!r} has that very rule already: nothing was changed.")
    decision = ("segmentation_edited", {"name": name} | _body(rule))
    return _edit(s, name, decision, rule, preview=preview, out=out, progress=progress, cancelled=cancelled)


def rule_decision(s: Session, found: Definitions, name: str, where: str) -> tuple[str, dict[str, Any]]:
    """The decision (kind, body) that gives a new or a known segment a rule; errors as `define` and `edit`."""
    held = found.segmentations.get(name)
    if held is None:
        _refuse_name(s, found, name)
    elif held.rule is None:
        raise OperationError(f"{name!r} is decided by a {held.kind}, not by a rule: choose another name.")
    rule = _rule(s, found, name, where)
    return _defined(name, rule) if held is None else ("segmentation_edited", {"name": name} | _body(rule))


def retire(
    s: Session, name: str, *, preview: bool = False, progress: Progress = quiet, cancelled: Cancelled = never
) -> dict[str, Any]:
    """Ends a rule's or list's segment: its members leave, its history stays in the log."""
    found = definitions(s)
    held = found.segmentation(name)
    if held.kind == "model":
        raise OperationError(f"{name!r} is decided by a model and cannot be retired: rules and lists can.")
    used = sorted(found.dependents(name) - {name})
    if used:
        raise OperationError(f"{name!r} is read by {', '.join(used)}: retire or edit {used[0]!r} first.")
    return _edit(
        s,
        name,
        ("segmentation_retired", {"name": name}),
        held.rule,
        deciders={name: Nobody(s.ticks.zone)},
        preview=preview,
        progress=progress,
        cancelled=cancelled,
    )


def from_file(
    s: Session,
    name: str,
    path: Path,
    *,
    preview: bool = False,
    out: Path | None = None,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Makes a segment of the users listed in a file, one external id or #surrogate a line.

    Under the name of a list the file takes the place of the former one. Ids without a user are counted as
    `unknown` and left out. Raises OperationError when the file cannot be read or names nobody known.
    """
    found = definitions(s)
    held = found.segmentations.get(name)
    if held is None:
        _refuse_name(s, found, name)
        decision = ("segmentation_defined", {"name": name, "kind": "list", "labels": list(IN_OUT)})
    elif held.kind != "list":
        raise OperationError(f"{name!r} is decided by a {held.kind}, not by a list: choose another name.")
    else:
        decision = ("segmentation_edited", {"name": name})
    chosen, unknown = _listed(s, path)
    told = _edit(
        s,
        name,
        decision,
        None,
        deciders={name: ListDecider(s.ticks.zone, chosen)},
        preview=preview,
        out=out,
        progress=progress,
        cancelled=cancelled,
    )
    return told | {"unknown": unknown}


def _edit(
    s: Session,
    name: str,
    decision: tuple[str, dict[str, Any]],
    rule: Rule | None,
    *,
    deciders: Mapping[str, Decider] | None = None,
    preview: bool,
    out: Path | None = None,
    progress: Progress,
    cancelled: Cancelled,
) -> dict[str, Any]:
    """The edit, told; rolled back where it is a preview."""
    told: dict[str, Any] = {"name": name, "where": rule.where if rule else None, "preview": preview}
    try:
        with s.store.transaction(actor=s.actor, source="segment") as tx:
            run = EditRun(
                s,
                tx,
                name,
                decision,
                cause="definition",
                deciders=deciders,
                progress=progress,
                cancelled=cancelled,
            )
            run.finish()
            told |= _told(s, run)
            if out is not None:
                told["out"] = write_frame(_listing(s, run), out)
            if preview:
                raise Stopped
    except Stopped:
        if not preview or "users" not in told:
            raise
    if preview and rule is not None and decision[0] != "segmentation_retired":
        told["trend"] = _trend(s, rule, progress, cancelled)
    return told


def _told(s: Session, run: EditRun) -> dict[str, Any]:
    """Size, movers and overlap of the segment as the edit leaves it."""
    code = vocabulary.number(s.store, "label", "in")
    was = run.before.filter(pl.col("label") == code)["user"]
    within = run.after.filter(pl.col("label") == code)["user"]
    entering = within.filter(~within.is_in(was.implode()))
    sample = s.external(entering.head(SAMPLE).to_list())
    return {
        "users": within.len(),
        "share": round(within.len() / run.after.height, 6) if run.after.height else None,
        "entering": entering.len(),
        "leaving": was.filter(~was.is_in(within.implode())).len(),
        "sample": list(sample.values()),
        "flows": run.flows(),
        "overlap": _overlap(s, run.name, within),
    }


def _overlap(s: Session, name: str, within: pl.Series) -> list[dict[str, Any]]:
    """How many of the members each segment of another segmentation holds, and their share of either."""
    labels = vocabulary.texts(s.store, "label")
    rows = []
    for number, other in vocabulary.texts(s.store, "segmentation").items():
        if other == name:
            continue
        held = projections.memberships(s.store, number)
        counted = held.group_by("label").agg(
            pl.len().alias("users"), pl.col("user").is_in(within.implode()).sum().alias("shared")
        )
        rows += [
            {
                "segment": f"{other}={labels[label]}",
                "users": shared,
                "of_this": round(shared / within.len(), 6) if within.len() else None,
                "of_that": round(shared / users, 6),
            }
            for label, users, shared in counted.sort("label").iter_rows()
        ]
    return rows


def _listing(s: Session, run: EditRun) -> pl.DataFrame:
    """user, from, to of the movers."""
    movers = run.movers()
    labels = vocabulary.texts(s.store, "label")
    names = s.external(movers["user"].to_list())
    return movers.select(
        pl.Series("user", [names[user] for user in movers["user"]], dtype=pl.String),
        pl.col("label").replace_strict(labels, return_dtype=pl.String).alias("from"),
        pl.col("label_after").replace_strict(labels, return_dtype=pl.String).alias("to"),
    )


def _trend(s: Session, rule: Rule, progress: Progress, cancelled: Cancelled) -> list[dict[str, Any]]:
    """Size under the rule at tick ends over the last 90 days, oldest first, by the labels recorded then.

    Ticks at which a segmentation that the rule reads was not recorded yet are left out.
    """
    now = s.require_as_of()
    evidence = Evidence(s.events(before=now), s.identity(), s.attributes())
    decider = RuleDecider(rule)
    first = log.summary(s.store).first
    points: list[dict[str, Any]] = []
    for back in range(TREND_DAYS - TREND_DAYS % TREND_STEP, -1, -TREND_STEP):
        if cancelled():
            raise Stopped
        as_of = s.ticks.at_or_after(s.ticks.days_before(now, back))
        if first is None or as_of <= first:
            continue
        progress("sizes under this definition", 1 - back / TREND_DAYS)
        read = [_labels(s, name, as_of) for name in rule.refers]
        if any(held.is_empty() for held in read):
            continue
        frame = evidence.features(as_of, rule.spec)
        for held in read:
            frame = frame.join(held, on="user", how="left", maintain_order="left")
        _, decided = decider.decide(frame, evidence, as_of, np.full(frame.height, -1, np.int32))
        points.append({"as_of": s.iso(as_of), "users": int((decided == IN).sum())})
    return points


def _labels(s: Session, segmentation: str, as_of: int) -> pl.DataFrame:
    """user and a text column of a segmentation's labels at an as-of."""
    number = vocabulary.number(s.store, "segmentation", segmentation)
    labels = vocabulary.texts(s.store, "label")
    if number is None:
        return pl.DataFrame(schema={"user": pl.Int64, segmentation: pl.String})
    held = projections.memberships(s.store, number, as_of=as_of)
    return held.select(
        "user", pl.col("label").replace_strict(labels, return_dtype=pl.String).alias(segmentation)
    )


def _listed(s: Session, path: Path) -> tuple[np.ndarray, int]:
    """The persons a file lists by any of their ids, and how many ids no user has."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise OperationError(f"{path} is not there: name a file with one user id a line.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OperationError(f"{path} cannot be read as text ({error}): give one user id a line.") from None
    ids = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    known, unknown = s.surrogates(ids)
    if not known:
        raise OperationError(f"{path} names {len(ids)} ids, none of a known user: check the file.")
    whole = dict(s.identity().at(s.require_as_of()).iter_rows())
    return np.unique([whole.get(user, user) for user in known]).astype(np.int64), unknown


def _refuse_name(s: Session, found: Definitions, name: str) -> None:
    if not NAME.fullmatch(name):
        raise OperationError(
            f"{name!r} cannot be a segment's name: use letters, digits and _, as in loyal_buyers."
        )
    if name in found.segmentations:
        raise OperationError(f"There is a segmentation {name!r} already: edit it, or choose another name.")
    if name in feature_names(_everything(s, "")):
        raise OperationError(
            f"{name!r} is a feature's name: a rule could not tell them apart, choose another."
        )


def _defined(name: str, rule: Rule) -> tuple[str, dict[str, Any]]:
    return "segmentation_defined", {"name": name, "kind": "rule", "labels": list(IN_OUT)} | _body(rule)


def _body(rule: Rule) -> dict[str, Any]:
    refers = {name: list(labels) for name, labels in rule.refers.items()}
    return {"where": rule.where, "features": rule.spec.to_json(), "refers": refers}


def _everything(s: Session, where: str) -> FeatureSpec:
    """Every feature the log has something for, with the windows that a rule names."""
    now = s.require_as_of()
    named = {days for days in _windows(where) if days <= ALL_TIME}
    spec = catalogue_spec(s, s.events(before=now), s.attributes())
    return replace(spec, windows=tuple(sorted({*spec.windows, *named})))


def _windows(where: str) -> set[int]:
    """The days that names in a rule end with."""
    return {int(days) for days in re.findall(r"_([1-9][0-9]{0,3})d\b", where)}


def _rule(s: Session, found: Definitions, name: str, where: str) -> Rule:
    """The rule with no more features than it needs; refuses what cannot be read, and circles."""
    others = {
        each.name: each.labels for each in found.segmentations.values() if each.name != name and each.labels
    }
    whole = Rule(where, _everything(s, where), others)
    names = names_in(where, whole.columns())
    refers = {each: others[each] for each in names if each in others}
    if name in found.segmentations:
        circle = sorted(found.dependents(name) & set(refers))
        if circle:
            raise OperationError(f"{name!r} cannot read {circle[0]!r}, which reads {name!r} itself.")
    used = {each for each in names if each not in others}
    windows = sorted({*WINDOWS, *(_windows(where) & set(whole.spec.windows))})
    spec = narrowed(replace(whole.spec, windows=tuple(windows)), used)
    growing = [each for each in names if each in GROWING]
    if growing:
        # How overdue someone is grows with recency, but is not compared with days.
        furthest = None if "overdue" in growing else reaches(where, whole.columns(), growing)
        if furthest is not None and furthest > ALL_TIME:
            raise OperationError(
                f"{name!r} compares days with {furthest:g}: days are counted up to {ALL_TIME}, use less."
            )
        if furthest is None or furthest > spec.windows[-1]:
            spec = replace(spec, windows=(*(days for days in spec.windows if days < ALL_TIME), ALL_TIME))
    return Rule(where, _slim(spec, used), refers)


def _slim(spec: FeatureSpec, names: set[str]) -> FeatureSpec:
    """The spec without the columns and attributes that none of the features needs."""
    attributes = {name for name, column in attribute_columns(spec).items() if column in names}
    slim = replace(
        spec,
        attributes_number=tuple(each for each in spec.attributes_number if each in attributes),
        attributes_text=tuple(each for each in spec.attributes_text if each in attributes),
    )
    for field in SPARED:
        less = replace(slim, fields=tuple(each for each in slim.fields if each != field))
        if names <= set(feature_names(less)):
            slim = less
    return slim
