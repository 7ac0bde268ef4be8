"""What an operator asks of a decision, as it is typed, and what it makes of the policy in force."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from engine.deciding import MILLION, UNIT_COST, DecisionPolicy
from segtui.operations.definitions import Segmentation
from segtui.operations.errors import OperationError
from segtui.operations.session import Session
from segtui.operations.times import parse_duration
from segtui.operations.words import quoted

LONGEST_STAY = 366
"""Days."""
LARGEST = 1_000_000
WORDS = ("--min", "--share", "--cost", "--margin", "--min-stay", "--argmax")


@dataclass(frozen=True)
class Wish:
    """What a decision is asked to be; what is not asked for stays as it is.

    Of minimum, shares and costs (millionths, millionths, thousandths) and argmax at most one is given, and
    replaces what was. `margin` in millionths, `min_stay` a duration as typed.
    """

    minimum: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, int] = field(default_factory=dict)
    costs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    argmax: bool = False
    margin: int | None = None
    min_stay: str | None = None

    @property
    def nothing(self) -> bool:
        """Whether nothing is asked for."""
        return self == Wish()


def wish(
    *,
    minimum: Sequence[str] = (),
    shares: Sequence[str] = (),
    costs: Sequence[str] = (),
    argmax: bool = False,
    margin: str | None = None,
    min_stay: str | None = None,
) -> Wish:
    """What was typed: LABEL=P (`high=0.3` or `30%`), LABEL=S, FROM:TO=C, a margin, a duration.

    Raises OperationError for what cannot be read, and where two ways to decide are mixed.
    """
    given = [name for name, value in zip(WORDS, (minimum, shares, costs), strict=False) if value]
    given += ["--argmax"] * argmax
    if len(given) > 1:
        raise OperationError(f"{given[0]} and {given[1]} are two ways to decide: give one of them.")
    told = {label: _number(value, cost, UNIT_COST) for label, value, cost in _pairs("--cost", costs)}
    pairs = {}
    for label, cost in told.items():
        true, colon, to = label.partition(":")
        if not (true and colon and to):
            raise OperationError(f"--cost {quoted(label)} is not FROM:TO=C, as in medium:low=4.")
        pairs[true, to] = cost
    return Wish(
        {label: _number(value, text, MILLION) for label, value, text in _pairs("--min", minimum)},
        {label: _number(value, text, MILLION) for label, value, text in _pairs("--share", shares)},
        pairs,
        argmax,
        None if margin is None else _number(margin, f"--margin {margin}", MILLION),
        min_stay,
    )


def parse_decide(text: str) -> tuple[str, Wish]:
    """The segmentation and the wish of the words after `segtui decide`: `value --share medium=0.1`."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise OperationError(f"{quoted(text)} cannot be read: a quote is not closed.") from error
    name = ""
    told: dict[str, list[str]] = {word: [] for word in WORDS}
    while words:
        word, equals, value = words.pop(0).partition("=")
        if word == "--argmax" and not equals:
            told[word].append("")
        elif word in told and (equals or words):
            told[word].append(value if equals else words.pop(0))
        elif not name and not word.startswith("-") and not equals:
            name = word
        else:
            raise OperationError(
                f"{quoted(word)} in {quoted(text)} has no meaning there: write as after 'segtui decide', "
                "as in 'value --share medium=0.1'."
            )
    if not name:
        raise OperationError(f"{quoted(text)} names no segmentation: write as in 'value --share medium=0.1'.")
    found = wish(
        minimum=told["--min"],
        shares=told["--share"],
        costs=told["--cost"],
        argmax=bool(told["--argmax"]),
        margin=next(reversed(told["--margin"]), None),
        min_stay=next(reversed(told["--min-stay"]), None),
    )
    if found.nothing:
        raise OperationError(
            f"{quoted(text)} asks for nothing: add --min, --share, --cost, --margin or --min-stay."
        )
    return name, found


def require_probabilities(segmentation: Segmentation) -> str:
    """The digest of the model that decides; a sentence where nothing gives probabilities."""
    if segmentation.scores is not None:
        raise OperationError(
            f"{segmentation.name!r} has the labels that scores made elsewhere came with: give others, with "
            "'segtui segment from-scores'."
        )
    if segmentation.model is None:
        by = {"starter": "the starter rule", "rule": "a rule", "list": "a list"}
        told = by.get(segmentation.decided_by or "", "nothing yet")
        advice = "train a model first" if segmentation.kind == "model" else "edit the segment instead"
        raise OperationError(
            f"{segmentation.name!r} is decided by {told}, which has no probabilities: {advice}."
        )
    return segmentation.model


def wished(s: Session, segmentation: Segmentation, asked: Wish, *, as_of: int, anew: int) -> DecisionPolicy:
    """The policy in force with what is asked; shares are fitted to everyone's probabilities at `as_of`.

    From the as-of `anew` on, where another label is preferred than before. Raises OperationError for a label
    there is not, EngineError out of range.
    """
    digest = require_probabilities(segmentation)
    known = segmentation.policy.of(segmentation.labels)
    named = {*asked.minimum, *asked.shares, *(label for pair in asked.costs for label in pair)}
    unknown = sorted(named - set(segmentation.labels))
    if unknown:
        raise OperationError(
            f"Segmentation {segmentation.name!r} has no label {quoted(unknown[0])}: "
            f"there are {', '.join(segmentation.labels)}."
        )
    held = DecisionPolicy(
        margin=known.margin if asked.margin is None else asked.margin,
        min_stay=known.min_stay if asked.min_stay is None else _ticks(s, asked.min_stay),
    )
    if asked.minimum:
        policy = replace(held, rule="min", minimum=dict(asked.minimum), anew=anew)
    elif asked.costs:
        policy = replace(held, rule="cost", costs=dict(asked.costs), anew=anew)
    elif asked.shares:
        policy = replace(held, rule="share", shares=dict(asked.shares), anew=anew)
        policy = replace(policy, offsets=_fitted(s, digest, policy, as_of))
    elif asked.argmax:
        policy = replace(held, anew=anew)
    else:
        policy = replace(known, margin=held.margin, min_stay=held.min_stay)
    return policy if policy.weighs != known.weighs else replace(policy, anew=known.anew)


def _fitted(s: Session, digest: str, policy: DecisionPolicy, as_of: int) -> dict[str, int]:
    """The offsets that give the shares asked for."""
    from engine.deciding import fit_shares
    from segtui.operations.deciders import Evidence, model_decider

    decider = model_decider(s.store, digest)
    evidence = Evidence(s.events(before=as_of), s.identity(), s.attributes())
    scores = decider.scores(evidence.features(as_of, decider.spec), evidence, as_of)
    return fit_shares(scores, decider.labels, policy.shares)


def carried(segmentation: Segmentation, labels: Sequence[str]) -> str | None:
    """What another model with these labels makes of the policy in force, in a sentence; None for nothing."""
    policy = segmentation.policy
    pairs = [label for pair in policy.costs for label in pair]
    gone = sorted({*policy.minimum, *policy.shares, *pairs} - set(labels))
    if gone:
        return (
            f"What was decided for {', '.join(gone)} has no effect while the model of {segmentation.name!r} "
            "has no such label."
        )
    if policy.shares and segmentation.model is not None:
        words = " ".join(
            f"--share {shlex.quote(label)}={part / MILLION:g}" for label, part in policy.shares.items()
        )
        return (
            f"The shares of {segmentation.name!r} were fitted to another model's probabilities: "
            f"'segtui decide {segmentation.name} {words}' fits them to this one's."
        )
    return None


def shown(policy: DecisionPolicy) -> dict[str, Any]:
    """The policy as results carry it: shares of one, costs in units, the minimum stay in ticks."""
    told: dict[str, Any] = {
        "rule": policy.rule,
        "margin": policy.margin / MILLION,
        "min_stay": policy.min_stay,
    }
    for name, values in (("min", policy.minimum), ("shares", policy.shares), ("offsets", policy.offsets)):
        if values:
            told[name] = {label: value / MILLION for label, value in sorted(values.items())}
    if policy.costs:
        told["costs"] = {
            f"{true}:{to}": cost / UNIT_COST for (true, to), cost in sorted(policy.costs.items())
        }
    return told


def _pairs(word: str, texts: Sequence[str]) -> list[tuple[str, str, str]]:
    """Label, value and the whole of each LABEL=VALUE; a label twice is refused."""
    found = []
    for text in texts:
        label, equals, value = text.rpartition("=")
        if not (equals and label and value):
            raise OperationError(f"{word} {quoted(text)} is not LABEL=NUMBER, as in high=0.3.")
        found.append((label.strip(), value.strip(), f"{word} {text}"))
    labels = [label for label, _, _ in found]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise OperationError(f"{word} names {quoted(twice)} twice: give it once.")
    return found


def _number(text: str, whole: str, unit: int) -> int:
    """`0.3` or `30%` in units of 1 / `unit`."""
    try:
        part = Decimal(text.removesuffix("%").strip()) / (100 if text.endswith("%") else 1)
        if not abs(part) <= LARGEST:
            raise OperationError(f"{quoted(whole)} is far too large: write it as 0.3 or 30%.")
        return int((part * unit).to_integral_value())
    except (ArithmeticError, ValueError) as error:
        raise OperationError(f"{quoted(whole)} holds no number: write it as 0.3 or 30%.") from error


def _ticks(s: Session, text: str) -> int:
    """A duration in ticks, rounded up: a label is held at least as long."""
    length = parse_duration(text)
    hours = length.days * 24 + length.microseconds / 3_600_000_000
    if hours > LONGEST_STAY * 24:
        raise OperationError(f"A minimum stay of {text} is too long: use at most {LONGEST_STAY}d.")
    number, unit = int(s.ticks.length[:-1]), s.ticks.length[-1]
    return -int(-hours // (number * (24 if unit == "d" else 1)))
