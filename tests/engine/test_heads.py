"""A label more, a label less: what the network has learnt of the others stays."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from scipy.special import softmax

from engine.embedding import probe
from engine.encoding import Encoder
from engine.errors import EngineError
from engine.features import FeatureSpec
from engine.heads import cut, grow, merged
from engine.model import Model
from engine.models.parameters import HEAD_BIAS, HEAD_KERNEL, LABEL_OF, LOGIT_SCALE, apart
from engine.scoring import Scorer
from engine.splits import split
from engine.training import Inputs, train
from engine.training_spec import TrainingSpec

NAMES = ["spend_28d", "orders_28d"]
USERS = np.arange(1, 601)


@pytest.fixture(scope="module")
def frame():
    draw = np.random.default_rng(3)
    spend = draw.gamma(1.0, 4_000.0, len(USERS)).round()
    return pl.DataFrame(
        {"user": USERS, "spend_28d": spend, "orders_28d": draw.poisson(3.0, len(USERS)) * 1.0}
    )


@pytest.fixture(scope="module", params=[("mlp", {"members": 2, "hidden": (16, 8)}), ("logistic", {})])
def model(request, frame):
    """A model of high, medium and low by spend and orders, of two networks or of one."""
    kind, options = request.param
    encoder = Encoder.fit(frame, NAMES)
    worth = (frame["spend_28d"] + 800 * frame["orders_28d"]).to_numpy()
    labels = np.where(worth > 8_000, 0, np.where(worth > 4_000, 1, 2)).astype(np.int32)
    parts = split(USERS, 0)
    # Long enough that its networks are of one mind: a new label takes a little from each, and so weighs them.
    how = TrainingSpec(epochs=30, learning_rate=0.02)
    fitted = train(kind, Inputs(encoder.transform(frame)), labels, parts, 3, how, options=options)
    return Model(
        kind=kind,
        labels=("high", "medium", "low"),
        feature_spec=FeatureSpec(zone="UTC", fields=("amount",)),
        sequence_spec=None,
        encoder=encoder,
        policy={"label": "future_value", "seed": 0},
        options=options,
        parameters=fitted.parameters,
    )


def grown(model, frame, examples):
    return grow(model, "regular", frame, None, examples, split(USERS, 0), {"label": "given"})


def networks(model, frame):
    """What each network of a model says of the users, float64[users, labels]."""
    for member, own in enumerate(apart(model.parameters)):
        seen = Scorer(probe(model, member)).logits(frame)
        yield softmax(seen.astype(np.float64) @ own[HEAD_KERNEL] + own[HEAD_BIAS], axis=1)


def test_a_label_is_learnt_and_examples_kept_out_are_recognised(model, frame):
    examples = (frame["orders_28d"] >= 5).to_numpy()
    found = grown(model, frame, examples)
    assert found.model.labels == ("high", "medium", "low", "regular")
    assert found.examples == examples.sum()
    first = Scorer(found.model).scores(frame).argmax(axis=1)
    kept = examples & (split(USERS, 0) == 2)
    assert found.recall == pytest.approx((first[kept] == 3).mean(), abs=1e-6)
    rest = ~examples & (split(USERS, 0) == 2)
    assert found.others == pytest.approx((first[rest] == 3).mean(), abs=1e-6)
    assert found.recall >= 0.5
    assert (first[~examples] == 3).mean() < 0.35


def test_between_the_others_nothing_changes_and_cut_off_they_are_what_they_were(model, frame):
    found = grown(model, frame, (frame["orders_28d"] >= 5).to_numpy()).model
    before, after = Scorer(model).scores(frame), Scorer(found).scores(frame)
    assert (before.argmax(axis=1) == after[:, :3].argmax(axis=1)).mean() > 0.99
    back = cut(found, "regular", model.policy)
    assert back.labels == model.labels
    assert np.abs(Scorer(back).scores(frame) - before).max() <= 1


def test_a_label_cut_off_leaves_its_users_to_the_others_in_their_proportions(model, frame):
    left = cut(model, "medium", model.policy)
    assert left.labels == ("high", "low")
    scores = Scorer(left).scores(frame)
    assert np.abs(scores.sum(axis=1) - 1_000_000).max() <= 1
    # Within each network; in the mean of two they are those of neither.
    alone = [each[:, [0, 2]] for each in networks(model, frame)]
    mean = np.mean([each / each.sum(axis=1, keepdims=True) for each in alone], axis=0)
    scale = left.parameters.get(LOGIT_SCALE, 1)
    odds = Scorer(left).logits(frame)
    wanted = scale * (np.log(mean[:, 0]) - np.log(mean[:, 1]))
    np.testing.assert_allclose(odds[:, 0] - odds[:, 1], wanted, atol=1e-3)
    with pytest.raises(EngineError, match="nothing to decide"):
        cut(left, "low", model.policy)


@pytest.mark.parametrize("names", [("high", "medium"), ("low", "high"), ("medium", "low")])
def test_merged_labels_have_the_sum_of_their_probabilities(model, frame, names):
    both = merged(model, *names, "both", {"label": "given"})
    rest = next(label for label in model.labels if label not in names)
    assert set(both.labels) == {"both", rest}
    before, after = Scorer(model).scores(frame), Scorer(both).scores(frame)
    one, other = (before[:, model.labels.index(label)] for label in names)
    assert np.abs(after[:, both.labels.index("both")] - one - other).max() <= 2
    assert np.abs(after[:, both.labels.index(rest)] - before[:, model.labels.index(rest)]).max() <= 1
    again = Model.load(both.spec_json(), both.parameter_bytes(), both.digest)
    assert (Scorer(again).scores(frame) == after).all()


def test_a_merged_label_is_merged_again_grown_beside_and_cut_off_as_one(model, frame):
    four = grown(model, frame, (frame["orders_28d"] >= 5).to_numpy()).model
    before = Scorer(four).scores(frame)
    upper = merged(four, "high", "medium", "upper", {"label": "given", "seed": 0})
    three = merged(upper, "regular", "upper", "most", {})
    assert three.labels == ("most", "low")
    assert np.abs(Scorer(three).scores(frame)[:, 0] - before[:, [0, 1, 3]].sum(axis=1)).max() <= 3
    left = cut(upper, "upper", {})
    assert left.labels == ("low", "regular")
    plain = cut(cut(four, "high", {}), "medium", {})
    assert (Scorer(left).scores(frame) == Scorer(plain).scores(frame)).all()
    more = grow(
        upper, "rare", frame, None, (frame["spend_28d"] > 9_000).to_numpy(), split(USERS, 0), {}
    ).model
    assert more.labels == ("upper", "low", "regular", "rare")
    back = cut(more, "rare", {})
    assert np.abs(Scorer(back).scores(frame) - Scorer(upper).scores(frame)).max() <= 1


def test_columns_that_are_of_no_label_are_refused(model):
    both = merged(model, "high", "medium", "both", {})
    for columns in ([0, 1, 2], [0, 0, 0], [[0, 0, 1]]):
        with pytest.raises(EngineError, match="do not fit"):
            Scorer(dataclasses.replace(both, parameters=both.parameters | {LABEL_OF: np.float32(columns)}))


def test_the_same_examples_give_the_same_model(model, frame):
    examples = (frame["orders_28d"] >= 5).to_numpy()
    one, again = (grown(model, frame, examples).model for _ in range(2))
    assert one.digest == again.digest != model.digest


def test_examples_that_leave_none_to_check_with_are_refused(model, frame):
    examples = np.isin(USERS, USERS[split(USERS, 0) == 0][:30])
    with pytest.raises(EngineError, match="too few examples"):
        grown(model, frame, examples)
