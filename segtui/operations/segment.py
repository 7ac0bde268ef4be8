"""Segments of the operator's own: by a rule, or from a list; defined, edited, retired, with a preview."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from db import log, projections, vocabulary
from engine.features import feature_names
from engine.rule_words import is_word, shown
from segtui.operations.asked import OWN
from segtui.operations.deciders import Decider, Evidence
from segtui.operations.definitions import IN_OUT, Definitions, Rule, definitions
from segtui.operations.edits import EditRun
from segtui.operations.errors import OperationError
from segtui.operations.files import write_frame
from segtui.operations.progress import Cancelled, Progress, Stopped, never, quiet
from segtui.operations.rule_deciders import IN, Chosen, ListDecider, Nobody
from segtui.operations.rule_reading import everything, read_rule
from segtui.operations.rule_size import members_of, who_is_in
from segtui.operations.session import Session

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LONGEST_NAME = 64
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
    refuse_name(s, found, name)
    rule = read_rule(s, found, name, where)
    decision = _defined(name, rule)
    return edited(s, name, decision, rule, preview=preview, out=out, progress=progress, cancelled=cancelled)


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
    rule = read_rule(s, found, name, where)
    if rule == held.rule:
        raise OperationError(f"{name!r} has that very rule already: nothing was changed.")
    decision = ("segmentation_edited", {"name": name} | rule_body(rule))
    return edited(s, name, decision, rule, preview=preview, out=out, progress=progress, cancelled=cancelled)


def rule_decision(s: Session, found: Definitions, name: str, where: str) -> tuple[str, dict[str, Any]]:
    """The decision (kind, body) that gives a new or a known segment a rule; errors as `define` and `edit`."""
    held = found.segmentations.get(name)
    if held is None:
        refuse_name(s, found, name)
    elif held.rule is None:
        raise OperationError(f"{name!r} is decided by a {held.kind}, not by a rule: choose another name.")
    rule = read_rule(s, found, name, where)
    return _defined(name, rule) if held is None else ("segmentation_edited", {"name": name} | rule_body(rule))


def retire(
    s: Session, name: str, *, preview: bool = False, progress: Progress = quiet, cancelled: Cancelled = never
) -> dict[str, Any]:
    """Ends a rule's or list's segment: its members leave, its history stays in the log."""
    found = definitions(s)
    held = found.segmentation(name)
    if held.kind == "model" and not held.discovered:
        raise OperationError(
            f"{name!r} is decided by a trained model and cannot be retired: rules, lists and what was "
            "discovered can."
        )
    used = sorted(found.dependents(name) - {name})
    if used:
        raise OperationError(f"{name!r} is read by {', '.join(used)}: retire or edit {used[0]!r} first.")
    return edited(
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
    decision = _list_decision(s, name)
    users, unknown = listed(s, path)
    told = edited(
        s,
        name,
        decision,
        None,
        deciders={name: _only(s, users)},
        preview=preview,
        out=out,
        progress=progress,
        cancelled=cancelled,
    )
    return told | {"unknown": unknown}


def add_users(
    s: Session,
    name: str,
    users: Sequence[str],
    *,
    preview: bool = False,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Puts users, as external ids or #surrogates, into a list beside those it holds, or into a new list.

    Returns and raises as `from_file`; raises OperationError where the list holds all of them already.
    """
    decision = _list_decision(s, name)
    chosen, unknown = listed(s, users)
    held = members_of(s, name)
    if np.isin(chosen, held).all():
        raise OperationError(f"{name!r} holds all of these users already: nothing was changed.")
    told = edited(
        s,
        name,
        decision,
        None,
        deciders={name: _only(s, np.union1d(held, chosen))},
        preview=preview,
        progress=progress,
        cancelled=cancelled,
    )
    return told | {"unknown": unknown}


def _only(s: Session, users: np.ndarray) -> ListDecider:
    """Who decides a list that is given these users."""
    return ListDecider(s.ticks.zone, IN_OUT, Chosen(users, np.full(len(users), IN, np.int32)))


def _list_decision(s: Session, name: str) -> tuple[str, dict[str, Any]]:
    """The decision (kind, body) that makes a new list, or gives the one of that name other users."""
    found = definitions(s)
    held = found.segmentations.get(name)
    if held is None:
        refuse_name(s, found, name)
        return "segmentation_defined", {"name": name, "kind": "list", "labels": list(IN_OUT)}
    if held.decided_by != "list":
        by = "scores made elsewhere" if held.scores else f"a {held.kind}"
        raise OperationError(f"{name!r} is decided by {by}, not by a list: choose another name.")
    return "segmentation_edited", {"name": name}


def edited(
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
    """The edit (kind, body) and its movers, told; rolled back where it is a preview."""
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
    # Of labels that are others than in and out, each is a segment.
    inside = pl.col("label") == code if definitions(s).ever(run.name).all_labels == IN_OUT else pl.lit(True)
    was, within = run.before.filter(inside)["user"], run.after.filter(inside)["user"]
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
    first = log.summary(s.store).first
    points: list[dict[str, Any]] = []
    for back in range(TREND_DAYS - TREND_DAYS % TREND_STEP, -1, -TREND_STEP):
        if cancelled():
            raise Stopped
        as_of = s.ticks.at_or_after(s.ticks.days_before(now, back))
        if first is None or as_of <= first:
            continue
        progress("sizes under this definition", 1 - back / TREND_DAYS)
        within = who_is_in(s, rule, evidence, as_of)
        if within is not None:
            points.append({"as_of": s.iso(as_of), "users": len(within[0])})
    return points


def listed(s: Session, source: Path | Sequence[str]) -> tuple[np.ndarray, int]:
    """The persons whom a file lists, or ids given as such, by any of their ids; and how many nobody has."""
    ids = _lines(source) if isinstance(source, Path) else list(dict.fromkeys(source))
    known = s.surrogates(ids)
    if not known:
        where = source if isinstance(source, Path) else "The list"
        raise OperationError(f"{where} names {len(ids)} ids, none of a known user: check the ids.")
    whole = dict(s.identity().at(s.require_as_of()).iter_rows())
    users = np.unique([whole.get(user, user) for user in known.values()]).astype(np.int64)
    return users, len(ids) - len(known)


def _lines(path: Path) -> list[str]:
    """The different ids in a file, one a line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise OperationError(f"{path} is not there: name a file with one user id a line.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OperationError(f"{path} cannot be read as text ({error}): give one user id a line.") from None
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def refuse_name(s: Session, found: Definitions, name: str) -> None:
    """Raises OperationError where a new segmentation cannot be called so."""
    refuse_form(name, "a segment's name", "loyal_buyers")
    if name in found.segmentations:
        raise OperationError(f"There is a segmentation {name!r} already: edit it, or choose another name.")
    refuse_word(name)
    if name in feature_names(everything(s, "")):
        raise _not_told_apart(name, "a feature's name")


def refuse_form(name: str, what: str, example: str) -> None:
    """Raises OperationError for a name that cannot be `what`, since a rule could not hold it as it is."""
    if len(name) > LONGEST_NAME:
        raise OperationError(
            f"{shown(name)} cannot be {what}: it has {len(name):,} characters, use at most {LONGEST_NAME}."
        )
    if not NAME.fullmatch(name):
        raise OperationError(
            f"{name!r} cannot be {what}: use letters from a to z, digits and _, no digit first, "
            f"as in {example}."
        )


def refuse_word(name: str) -> None:
    """Raises OperationError for a name that rules read as something else."""
    if is_word(name):
        raise _not_told_apart(name, "a word of the rule language")
    if name.lower() in OWN:
        raise _not_told_apart(name, "a word of the expressions about members")


def _not_told_apart(name: str, what: str) -> OperationError:
    return OperationError(f"{name!r} is {what}: a rule could not tell them apart, choose another.")


def _defined(name: str, rule: Rule) -> tuple[str, dict[str, Any]]:
    return "segmentation_defined", {"name": name, "kind": "rule", "labels": list(IN_OUT)} | rule_body(rule)


def rule_body(rule: Rule) -> dict[str, Any]:
    """What a decision says of a rule."""
    refers = {name: list(labels) for name, labels in rule.refers.items()}
    return {"where": rule.where, "features": rule.spec.to_json(), "refers": refers}
