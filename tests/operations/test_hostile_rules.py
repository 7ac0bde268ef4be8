"""Rules made to hurt: refused in a sentence before anything is computed, parsed at length, or written."""

import pytest

from engine.errors import EngineError
from engine.rule_words import LONGEST
from segtui.operations import rescoring
from segtui.operations.errors import OperationError
from segtui.operations.segment import define, edit

MANY = "recency_days < 30 AND " * 50_000 + "recency_days < 30"
DEEP = "(" * 1_000 + "recency_days < 30" + ")" * 1_000
NOTS = "NOT " * 1_000 + "recency_days < 30"
HOSTILE = [
    pytest.param(MANY, f"at most {LONGEST:,}", id="50,000 ANDs"),
    pytest.param(DEEP, "nested too deep; at most 32 levels", id="deep brackets"),
    pytest.param(NOTS, "nested too deep; at most 32 levels", id="deep NOTs"),
    pytest.param("LPAD('x', 1000000000, 'y') = 'x'", "would be a function", id="a function"),
    pytest.param("COLUMNS('.*') > 1", "would be a function", id="columns by a function"),
    pytest.param('"^.*$" > 1', "nothing is called", id="a regex column"),
    pytest.param("recency_days IN (SELECT 1)", "'SELECT' is not allowed", id="a query"),
    pytest.param("orders_999999999d > 1", "nothing is called", id="a window of ages"),
    pytest.param("mine AND recency_days < 3", "mine", id="itself"),
]


@pytest.fixture
def idle(lived_through, monkeypatch):
    """A store with two segments; from here on nothing may be scored and no feature computed."""

    def story(shop):
        shop.at(3)
        shop.events([("ann", 0.5, "purchase", 50.0)])
        with shop.open() as s:
            define(s, "lately", "recency_days < 30")
            define(s, "rich", "lately AND spend > 100")

    shop = lived_through(story)

    def refuse(*_, **__):
        raise AssertionError("a rule that is refused was worked on")

    monkeypatch.setattr(rescoring.Run, "walk", refuse)
    monkeypatch.setattr("engine.features.features", refuse)
    return shop


def sentence(error):
    """What is said, which has to be one short line."""
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 400, "the rule is not repeated at length"
    return said


@pytest.mark.parametrize(("where", "says"), HOSTILE)
@pytest.mark.parametrize("preview", [True, False])
def test_a_hostile_rule_is_refused_before_any_work(idle, where, says, preview):
    with idle.open() as s:
        head = s.store.head()
        with pytest.raises((EngineError, OperationError)) as error:
            define(s, "mine", where, preview=preview)
        assert says in sentence(error)
        assert s.store.head() == head


def test_a_cycle_is_refused_and_named(idle):
    with idle.open() as s:
        head = s.store.head()
        with pytest.raises((EngineError, OperationError)) as error:
            edit(s, "lately", "rich AND recency_days < 5")
        assert "lately" in sentence(error)
        assert "rich" in sentence(error)
        assert s.store.head() == head


def test_a_long_rule_is_not_even_cut_into_words(monkeypatch):
    from engine import rule_words
    from engine.rules import compile_rule

    class Never:
        def __init__(self, *_, **__):
            raise AssertionError("tokens were made of a rule that is too long")

    monkeypatch.setattr(rule_words, "Tokenizer", Never)
    with pytest.raises(EngineError, match=f"at most {LONGEST:,}"):
        compile_rule(MANY, {})
