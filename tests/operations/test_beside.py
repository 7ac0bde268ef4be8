"""What a run of rescores does before its time, together or in another thread is recorded as if it did one
thing after another."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import log, vocabulary
from engine.deciding import DecisionPolicy
from segtui.operations import due, reasons
from segtui.operations.decide import Wish, decide
from segtui.operations.moved_by import Featured
from segtui.operations.rescore import rescore
from segtui.operations.segment import define
from tests.operations.conftest import few
from tests.operations.stories import play, stories

event = st.tuples(
    st.sampled_from(["ann", "bob", "cat", "dan"]),
    st.floats(0, 0.99),
    st.sampled_from(["purchase", "purchase", "view"]),
    st.sampled_from([5.0, 40.0, 120.0]),
)


def one_by_one(patch):
    """Nothing is looked for ahead, nothing asked together, nothing known from the tick before."""
    patch.setattr(due.Evaluated, "look_ahead", lambda *given: None)
    patch.setattr(reasons, "TOGETHER", 1)
    patch.setattr(Featured, "of", lambda self, *given: self.frame.clear())


def recorded(shop):
    """All changes, in words."""
    with shop.open() as s:
        texts = {
            kind: vocabulary.texts(s.store, kind) for kind in ("segmentation", "label", "reason", "model")
        }
        kinds = {"from_label": "label", "to_label": "label"} | {name: name for name in texts}
        found = log.changes(s.store, governing=False)
    return found.with_columns(
        pl.col(name).replace_strict(texts[kind], default=None, return_dtype=pl.String)
        for name, kind in kinds.items()
        if name in found.columns
    ).to_dicts()


@few(4)
@given(story=stories(event, most=5), stays=st.sampled_from([None, "3d"]))
def test_a_run_records_what_it_would_step_by_step(make_shop, give_model, story, stays):
    def prepare(s):
        give_model(s)
        if stays:
            decide(s, "value", Wish(min_stay=stays))
        define(s, "lapsing", "value = 'high' AND recency_days > 3")

    told = []
    for change in (lambda patch: None, one_by_one):
        with pytest.MonkeyPatch.context() as patch:
            change(patch)
            shop = make_shop()
            play(shop, story, shop.events, full=False, give_model=prepare, promote_after=0)
            told.append(recorded(shop))
    assert told[0] == told[1]


@pytest.mark.parametrize("most", [200_000, 1])
def test_each_tick_is_looked_into_once(shop, give_model, monkeypatch, most):
    """Before its time, but of more users than are kept."""
    looked, ahead = [], []
    due_at, look_ahead = due.due_at, due.Evaluated.look_ahead

    def looking_ahead(*given):
        before = len(looked)
        look_ahead(*given)
        ahead.extend(looked[before:])

    monkeypatch.setattr(due, "MOST_KEPT", most)
    monkeypatch.setattr(due, "due_at", lambda step, *given: looked.append(step.as_of) or due_at(step, *given))
    monkeypatch.setattr(due.Evaluated, "look_ahead", looking_ahead)
    shop.events([("ann", 0.5, "purchase", 50.0), ("bob", 0.5, "purchase", 10.0)])
    with shop.open() as s:
        give_model(s)
        rescore(s)
    shop.at(20.5)
    looked.clear(), ahead.clear()
    with shop.open() as s:
        ticks = len(rescore(s)["ticks"])
    assert ticks == 20
    assert len(looked) == len(set(looked)) >= ticks, "none is looked into twice"
    assert len(ahead) == (19 if most > 1 else 0)


class Coming(list):
    """Steps that are to come, by number."""

    def __contains__(self, index):
        return index < len(self)

    def step(self, index):
        return self[index]


@pytest.mark.parametrize(
    ("policy", "index", "looked"),
    [
        (None, 0, True),
        (DecisionPolicy(), 0, True),
        (DecisionPolicy(min_stay=2), 0, False),
        (DecisionPolicy(), 1, False),
    ],
)
def test_nobody_is_looked_for_whose_move_hangs_on_the_step_before(monkeypatch, policy, index, looked):
    """Whose minimum stay may be over by then, or where no step is to come."""
    asked = []
    monkeypatch.setattr(due, "due_at", lambda step, *given: asked.append(step))
    evaluated = due.Evaluated(Coming(["step"]), None, pl.DataFrame({"user": [1]}), None)
    evaluated.look_ahead(index, SimpleNamespace(policy=policy))
    assert asked == (["step"] if looked else [])


def test_what_was_known_at_another_step_or_of_other_events_is_not_compared_with():
    spec, evidence = object(), object()
    featured = Featured(7, spec, evidence, pl.DataFrame({"user": [1, 2, 3], "spend": [4, 5, 6]}))

    def of(before=7, seen=None, spec=spec, evidence=evidence):
        return featured.of(np.array([2, 9]), SimpleNamespace(before=before, seen=seen), spec, evidence)

    assert of().rows() == [(2, 5)]
    for changed in ({"before": 6}, {"seen": 100}, {"spec": object()}, {"evidence": object()}):
        assert of(**changed).is_empty(), changed
