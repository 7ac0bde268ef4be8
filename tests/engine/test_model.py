"""The artefact: what it is named by, what survives, and what is refused."""

import dataclasses
import json
import pickle

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
from flax import nnx

from engine.encoding import Encoder
from engine.errors import EngineError
from engine.features import FeatureSpec
from engine.model import Model, digest_of
from engine.models import build, complete_options
from engine.models.parameters import flatten
from engine.sequences import SequenceSpec


def made(**changes):
    frame = pl.DataFrame({"orders": [1, 2, 5], "spend": [100, 250, 90_000]})
    shape = {"features": 2, "bins": 0, "channels": 0, "labels": 2}
    module = build("mlp", **shape, seed=0, options={"hidden": (4,), "members": 1})
    model = Model(
        kind="mlp",
        labels=("high", "low"),
        feature_spec=FeatureSpec(),
        sequence_spec=None,
        encoder=Encoder.fit(frame, ["orders", "spend"]),
        policy={"label": "future_value", "thresholds": {"high_above": 5495.5}, "seed": 0},
        options=complete_options("mlp", {"hidden": (4,), "members": 1}),
        parameters=flatten(nnx.split(module)[1]),
    )
    return dataclasses.replace(model, **changes)


def written(model):
    return model.spec_json(), model.parameter_bytes(), model.digest


def test_a_model_survives_being_written():
    for model in (made(), made(sequence_spec=SequenceSpec(bins=12), policy={"seed": None, "name": "Käufer"})):
        again = Model.load(*written(model))
        assert written(again) == written(model)
        assert again.encoder == model.encoder
        assert (again.feature_spec, again.sequence_spec) == (model.feature_spec, model.sequence_spec)
        assert (again.labels, again.policy) == (model.labels, model.policy)
        assert again.parameters.keys() == model.parameters.keys()
        assert all(np.array_equal(again.parameters[n], model.parameters[n]) for n in model.parameters)
        assert model.short == model.digest[:8]


def test_the_order_in_which_parts_were_put_in_does_not_matter():
    model = made()
    other = made(
        parameters=dict(reversed(model.parameters.items())), policy=dict(reversed(model.policy.items()))
    )
    assert written(other) == written(model)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "logistic"},
        {"labels": ("low", "high")},
        {"feature_spec": FeatureSpec(zone="Europe/Paris")},
        {"sequence_spec": SequenceSpec()},
        {"encoder": Encoder.fit(pl.DataFrame({"orders": [1, 2], "spend": [1, 2]}), ["orders", "spend"])},
        {"policy": {"label": "future_value", "thresholds": {"high_above": 5495.4}, "seed": 0}},
        {"options": {"hidden": (4,), "members": 1, "dropout": 0.3}},
    ],
)
def test_whatever_changes_the_model_changes_its_digest(change):
    assert made(**change).digest != made().digest


def test_one_bit_of_one_parameter_changes_the_digest():
    model = made()
    bias = np.nextafter(model.parameters["out/bias"], 1, dtype=np.float32)
    assert made(parameters=model.parameters | {"out/bias": bias}).digest != model.digest


def test_text_cannot_move_between_spec_and_parameters():
    assert digest_of("ab", b"c") != digest_of("a", b"bc")


@pytest.mark.parametrize("where", [0, 7, 200, -1])
def test_one_flipped_bit_is_found(where):
    spec, parameters, digest = written(made())
    flipped = bytearray(parameters)
    flipped[where] ^= 1
    with pytest.raises(EngineError, match=f"{digest[:8]} is damaged"):
        Model.load(spec, bytes(flipped), digest)
    with pytest.raises(EngineError, match="is damaged"):
        Model.load(spec.replace("5495", "5496"), parameters, digest)


@pytest.mark.parametrize("kept", [0, 1, 8, 60, -1])
def test_a_truncated_one_is_found_even_under_its_own_digest(kept):
    spec, parameters, digest = written(made())
    short = parameters[:kept]
    with pytest.raises(EngineError, match="is damaged"):
        Model.load(spec, short, digest)
    with pytest.raises(EngineError, match="not safetensors"):
        Model.load(spec, short, digest_of(spec, short))


def foreign_specs():
    spec = json.loads(made().spec_json())
    yield "", "not a model of segtui"
    yield "[]", "not a model of segtui"
    yield json.dumps({"model": "xgboost"}), "not a model of segtui"
    yield json.dumps(spec | {"version": 2}), "of format version 2, this program reads version 1"
    yield json.dumps(spec | {"kind": "rnn"}), "no model kind 'rnn'"
    yield json.dumps(spec | {"encoder": {}}), "cannot be read"
    yield json.dumps(spec | {"features": {"windows": 3}}), "."
    yield json.dumps(spec | {"options": {"layers": 3}}), "no option 'layers'"
    yield json.dumps({name: value for name, value in spec.items() if name != "policy"}), "cannot be read"


@pytest.mark.parametrize(("spec", "said"), foreign_specs())
def test_a_foreign_spec_is_refused_in_a_sentence(spec, said):
    parameters = made().parameter_bytes()
    with pytest.raises(EngineError, match=said) as caught:
        Model.load(spec, parameters, digest_of(spec, parameters))
    assert str(caught.value).endswith(".")


def test_a_pickle_is_not_opened():
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    spec, parameters = made().spec_json(), pickle.dumps(Trap())
    with pytest.raises(EngineError, match="not safetensors"):
        Model.load(spec, parameters, digest_of(spec, parameters))


def test_parameters_of_another_precision_are_refused():
    spec = made().spec_json()
    parameters = safetensors.numpy.save({"out/bias": np.zeros(2, np.float64)})
    with pytest.raises(EngineError, match="not float32"):
        Model.load(spec, parameters, digest_of(spec, parameters))


def test_a_policy_that_is_not_finite_is_refused():
    with pytest.raises(EngineError, match="not finite"):
        made(policy={"high_above": float("nan")}).spec_json()
