"""What stands for a model in a store: always the same for the same training, and refused when it is none."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from engine.errors import EngineError
from engine.model import digest_of
from segtui.operations import deciders
from segtui.operations.models import promote
from segtui.operations.rescore import rescore
from segtui.operations.score import score

TRAIN = """
import sys
from pathlib import Path
from segtui.operations.session import open_session
from segtui.operations.train import train
for seed in map(int, sys.argv[2:]):
    with open_session(Path(sys.argv[1])) as s:
        told = train(s, horizon="30d", seed=seed, twin=False, promote=False, options={"epochs": "2"})
    print(told["model"])
"""


@pytest.mark.xdist_group("simulated-shop")
def test_the_same_training_makes_the_same_model_in_any_process(made_copy):
    """Log, spec and seed make the digest; nothing of the process does."""
    store, other = made_copy, made_copy.with_name("again.db")
    for suffix in ("", ".key"):
        other.with_name(other.name + suffix).write_bytes(store.with_name(store.name + suffix).read_bytes())
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(path), *seeds],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": str(number)},
        )
        for number, (path, seeds) in enumerate([(store, ["0"]), (other, ["0", "1"])])
    ]
    one, two = (each.communicate()[0].split() for each in processes)
    assert one == two[:1]
    assert len(set(two)) == 2


@dataclasses.dataclass(frozen=True)
class Blob:
    """What is put in a model's place: its spec, its parameters, and the digest it goes by."""

    spec: str
    parameters: bytes
    digest: str
    kind: str
    labels: tuple[str, ...]

    def spec_json(self):
        return self.spec

    def parameter_bytes(self):
        return self.parameters


def cut_spec(model):
    return model.spec_json()[:-9], model.parameter_bytes()


def cut_parameters(model):
    return model.spec_json(), model.parameter_bytes()[:-9]


def flipped(model):
    bits = bytearray(model.parameter_bytes())
    bits[-2] ^= 16
    return model.spec_json(), bytes(bits)


def anothers(model):
    other = dataclasses.replace(model, parameters={k: v + 1 for k, v in model.parameters.items()})
    return other.spec_json(), other.parameter_bytes()


def doubles(model):
    wide = {name: values.astype(np.float64) for name, values in model.parameters.items()}
    return model.spec_json(), safetensors.numpy.save(wide)


def narrower(model):
    less = {name: np.ascontiguousarray(values[..., :-1]) for name, values in model.parameters.items()}
    return model.spec_json(), safetensors.numpy.save(less)


def one_less(model):
    names = sorted(model.parameters)[1:]
    return model.spec_json(), safetensors.numpy.save({name: model.parameters[name] for name in names})


def unfit_calibration(model):
    beside = {"calibration/bias": np.zeros(7, np.float32)}
    return model.spec_json(), safetensors.numpy.save(model.parameters | beside)


def no_model(model):
    return json.dumps({"booster": "gbtree"}), b"\x80\x04K\x01."


@pytest.mark.parametrize("under", ["its own digest", "the model's digest"])
@pytest.mark.parametrize(
    "change",
    [cut_spec, cut_parameters, flipped, anothers, doubles, narrower, one_less, unfit_calibration, no_model],
)
def test_what_is_no_whole_model_is_refused_in_a_sentence(
    shop, model, record_model, monkeypatch, change, under
):
    """By all that would decide by it, whether the digest tells or what stands there; nothing is written."""
    shop.at(5.3)
    shop.events([("ann", 5.0, "purchase", 9.0), ("bob", 5.0, "view", None)])
    spec, parameters = change(model)
    digest = model.digest if under == "the model's digest" else digest_of(spec, parameters)
    if under == "its own digest" and change in (flipped, anothers):
        pytest.skip("a model whose numbers are others is a model, under its own digest")
    monkeypatch.setattr(deciders, "_scorers", {})
    with shop.open() as s:
        record_model(s, Blob(spec, parameters, digest, model.kind, model.labels), name="odd")
        before = s.store.head()
        for use in (lambda: promote(s, "odd"), lambda: list(score(s, model="odd"))):
            refused(use, digest)
        assert s.store.head() == before
        with s.store.transaction(actor="test", source="promote") as tx:
            body = {"segmentation": "value", "model": digest, "previous": None, "labels": list(model.labels)}
            tx.append_decision("model_promoted", body)
        before = s.store.head()
        refused(lambda: rescore(s), digest)
        assert s.store.head() == before


def refused(use, digest):
    with pytest.raises(EngineError) as caught:
        use()
    said = str(caught.value)
    assert said.endswith(".")
    assert "\n" not in said
    assert digest[:8] in said
