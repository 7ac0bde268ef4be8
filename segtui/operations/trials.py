"""What a what-if is to try, as an operator types it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.policies import Wish, parse_decide, require_probabilities
from segtui.operations.segment import rule_decision
from segtui.operations.session import Session

RULE = re.compile(r"([\w.-]+)\s*=\s*(?!=)(.+)", re.DOTALL)
POLICY = re.compile(r"\S+\s+--?\w")


@dataclass(frozen=True)
class Trial:
    """Another model, another rule (name, expression) or another way to decide (name, wish); with none of
    them what decides today, over again."""

    model: str | None = None
    define: tuple[str, str] | None = None
    decide: tuple[str, Wish] | None = None
    text: str = ""

    @property
    def arguments(self) -> list[str]:
        """What gives the same after `segtui replay`."""
        if self == Trial():
            return ["--mode", "recompute"]
        if self.define is not None:
            return ["--mode", "what-if", "--define", "=".join(self.define)]
        return ["--mode", "what-if", "--model" if self.model is not None else "--decide", self.text]


def parse_trial(s: Session, text: str) -> Trial:
    """`mlp-3f9a` is a model, `lapsing = recency_days > 60` a rule, `value --margin 0.1` a way to decide.

    Raises OperationError for what is none of them or cannot be tried, EngineError for a rule that cannot be
    read.
    """
    text, found = text.strip(), definitions(s)
    if not text:
        raise OperationError("Nothing to try: name a model, a rule, or a segment and how to decide it.")
    if POLICY.match(text):
        name, asked = parse_decide(text)
        require_probabilities(found.segmentation(name))
        return Trial(decide=(name, asked), text=text)
    rule = RULE.fullmatch(text)
    if rule:
        name, where = rule[1], rule[2].strip()
        rule_decision(s, found, name, where)
        return Trial(define=(name, where), text=text)
    found.find_model(text)
    return Trial(model=text, text=text)
