"""What a model reads and how it is made ready, told by `--set`: part of its spec, and told back."""

import json

import numpy as np
import pytest

from engine.errors import EngineError
from engine.features import FAMILIES, WINDOWS
from segtui.operations.deciders import Evidence, load_model, model_decider
from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.models import promote
from segtui.operations.preparing import CORE, Choice
from segtui.operations.rescore import rescore
from segtui.operations.train import train
from segtui.operations.verify import verify

pytestmark = pytest.mark.xdist_group("simulated-shop")


def test_told_nothing_a_model_reads_the_core():
    assert Choice.parse({"epochs": "2"}) == (CORE, {"epochs": "2"})
    assert (CORE.families, CORE.windows) == ((), WINDOWS)
    assert Choice.parse({"features": "all"})[0].families == tuple(FAMILIES)
    chosen, rest = Choice.parse({"features": "btyd,rates", "windows": "14,60d", "interpolate": "duration"})
    assert (chosen.families, chosen.windows, chosen.filled, rest) == (
        ("btyd", "rates"),
        (14, 60),
        ("duration",),
        {},
    )


def test_a_prepared_model_is_stored_promoted_and_verified(s):
    settings = {
        "features": "all",
        "windows": "7,30,90",
        "outliers": "quantiles:0.01",
        "missing": "median",
        "missing.gap_mean_days": "constant:90",
        "scaling.recency_days": "robust",
        "encoding": "piecewise",
        "select": "mutual:25",
        "pca": "0.99",
        "duplicates": "drop",
        "epochs": "2",
    }
    told = train(s, kind="logistic", horizon="30d", promote=True, options=settings)
    model = load_model(s.store, told["model"])
    assert model.digest == told["model"]
    assert model.feature_spec.families == tuple(FAMILIES)
    assert model.feature_spec.windows == (7, 30, 90)
    assert (model.encoder.kind, len(model.encoder.names)) == ("piecewise", 25)
    assert model.encoder.width == len(model.encoder.components)
    assert told["preparation"]["settings"] == json.loads(json.dumps(model.encoder.preparation.to_json()))
    touched = told["preparation"]["features"]
    assert sum(not line["kept"] for line in touched) > 50
    assert any(line.get("above") for line in touched)
    assert all(set(line) >= {"feature", "kept", "missing"} for line in touched)
    # Whoever is scored alone gets the bits they get among all.
    decider = model_decider(s.store, told["model"])
    evidence = Evidence(s.events(), s.identity(), s.attributes())
    everyone = evidence.features(s.as_of(), decider.spec)
    some = everyone["user"][::97].to_numpy()
    alone = decider.scorer.scores(evidence.only(some).features(s.as_of(), decider.spec))
    assert np.array_equal(alone, decider.scorer.scores(everyone)[::97])
    full = rescore(s, full=True)
    assert full["changed"] == 0
    assert verify(s)["ok"]


def test_repeated_training_users_are_dropped(shop):
    shop.at(3)
    lines = ["user_id,visits,plan,value"]
    lines += [f"u{number},{number % 3},gold,{'high' if number % 2 else 'low'}" for number in range(300)]
    path = shop.path.with_name("table.csv")
    path.write_text("\n".join(lines) + "\n")
    with shop.open() as s:
        import_files(s, [path], format="table")
        quick = {"kind": "logistic", "label": "value", "promote": False}
        kept = train(s, **quick, options={"epochs": "2"})
        dropped = train(s, **quick, options={"epochs": "2", "duplicates": "drop"})
    assert kept["preparation"]["duplicates"] == 0
    # Six kinds of user are left of all that were learnt from.
    assert 200 - 6 < dropped["preparation"]["duplicates"] < 300 - 6


def test_models_of_other_features_can_follow_each_other(s):
    wide = train(s, kind="logistic", horizon="30d", promote=True, options={"features": "all", "epochs": "2"})
    core = train(s, kind="logistic", horizon="30d", promote=False, options={"epochs": "2"})
    assert core["model"] != wide["model"]
    promote(s, core["name"])
    assert rescore(s, full=True)["changed"] == 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"features": "wide"}, "names 'wide': give core or all, or some of sums,"),
        ({"interpolate": "durations"}, "give none, or some of duration,"),
        ({"windows": "7,month"}, "windows='7,month' is not a list of days"),
        ({"encoding": "fourier"}, "encoding='fourier' is none: give standard or piecewise"),
        ({"outliers": "mad"}, "outliers must be"),
    ],
)
def test_settings_that_are_none_are_refused_in_a_sentence(settings, says):
    with pytest.raises((OperationError, EngineError), match=says) as caught:
        Choice.parse(settings)
    assert str(caught.value).endswith(".")


def test_settings_that_the_log_cannot_meet_are_refused_in_a_sentence(s):
    for settings, says in (
        ({"windows": "90,7"}, "Windows"),
        ({"missing.spent": "median"}, "no feature 'spent' to prepare; the nearest"),
        ({"colour": "red"}, "there are .*duplicates.*features"),
    ):
        with pytest.raises((OperationError, EngineError), match=says) as caught:
            train(s, kind="logistic", horizon="30d", options=settings)
        assert str(caught.value).endswith(".")
