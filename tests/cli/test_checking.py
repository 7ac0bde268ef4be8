"""`check` as cron meets it: exit codes, limits, drift of a trained model, and training it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
KEYS = {"name", "state", "value", "limit", "hint"}


def test_check_ends_as_the_worst_state_says(cli: Cli, shop: Path) -> None:
    found = cli("check", "--store", shop, "--json")
    assert found.code == 0, found.err
    assert found.document["ok"]
    assert all(each.keys() >= KEYS for each in found.document["checks"])
    by_name = {each["name"]: each for each in found.document["checks"]}
    assert by_name["drift"]["state"] in ("ok", "warn")
    assert by_name["drift"]["more"][0].keys() == {"segmentation", "name", "psi", "ks"}
    assert by_name["calibration"]["state"] == "unknown", "what the model foretold is not over yet"
    assert cli("check", "--store", shop, "--set", "scored=0", "--set", "drift=0.0001,9", "--quiet").code == 0
    assert cli("check", "--store", shop, "--fail-on", "fail").code == 0
    ended = cli("check", "--store", shop, "--fail-on", "warn", "--json")
    assert (ended.code, ended.document["ok"]) == (1, False)
    told = cli("status", "--store", shop)
    assert "! drift: " in told.err
    assert told.err.count("\n") == 2
    assert "! drift: " in cli("segments", "--store", shop).err
    assert "checked" in {each["kind"] for each in cli("log", "--store", shop, "--json").lines}


def test_a_limit_that_cannot_be_is_refused_in_a_sentence(cli: Cli, shop: Path) -> None:
    assert (cli("check", "--set", "drift", "--store", shop).code) == 2
    ended = cli("check", "--set", "drft=0.1", "--store", shop)
    assert ended.code == 1
    assert ended.err.startswith("segtui: There is no check 'drft' to limit; the nearest")
    assert "drift" in ended.err


def test_a_dry_run_leaves_no_trace(cli: Cli, shop: Path) -> None:
    assert cli("check", "--store", shop, "--set", "drift=0", "--quiet").code == 0
    before = cli("status", "--store", shop, "--json").document["position"]
    assert cli("check", "--dry-run", "--store", shop).code == 1
    assert cli("status", "--store", shop, "--json").document["position"] == before


@pytest.fixture
def early(cli: Cli, shop: Path) -> Path:
    """The store with a model of half a year earlier in use."""
    options = ("--model", "logistic", "--set", "epochs=3", "--horizon", "60d", "--cutoff", "2025-08-01")
    assert cli("train", *options, "--name", "early", "--promote", "--store", shop).code == 0
    return shop


def test_what_was_foretold_is_held_against_what_came(cli: Cli, early: Path) -> None:
    by_name = {each["name"]: each for each in cli("check", "--store", early, "--json").document["checks"]}
    found = by_name["calibration"]
    assert found["state"] != "unknown"
    for each in found["more"]:
        assert each["apart"] == pytest.approx(abs(each["expected"] - each["observed"]), abs=2e-6)
    judged = cli("evaluate", "--model", "early", "--store", early, "--json").document
    curve = judged["calibration"]["low"]
    users = sum(each["users"] for each in curve)
    low = next(each for each in found["more"] if each["name"] == "value=low")
    assert low["expected"] == pytest.approx(
        sum(each["predicted"] * each["users"] for each in curve) / users, abs=1e-5
    )


def test_what_was_cut_is_no_drift_and_leaves_no_baselines(cli: Cli, early: Path) -> None:
    assert "logistic" in cli("evaluate", "--model", "early", "--store", early).out
    assert cli("retain", "--keep", "140d", "--yes", "--store", early).code == 0
    judged = cli("evaluate", "--model", "early", "--store", early)
    assert judged.code == 0
    assert "majority" not in judged.out
    assert "There is nothing to fit baselines on: events before " in judged.err
    by_name = {each["name"]: each for each in cli("check", "--store", early, "--json").document["checks"]}
    assert by_name["drift"]["state"] == "unknown"
    assert "drifted: events before " in by_name["drift"]["hint"]


def test_drift_trains_again_where_the_policy_says_so(
    cli: Cli, early: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("check", "--store", early, "--set", "drift=0,99", "--quiet").code == 0
    assert cli("check", "--store", early, "--json").document["retrained"] == [], "nobody asked for it"
    cli("check", "--store", early, "--set", "retrain=on")
    with monkeypatch.context() as patched:
        # The shop's newer model, which is not in use, does not stand in the way.
        patched.setattr("segtui.operations.check.RETRAIN_DAYS", -1)
        first = cli("check", "--store", early, "--json").document["retrained"]
    assert [each["segmentation"] for each in first] == ["value"]
    newest = cli("models", "--store", early, "--json").document["models"][0]
    assert newest["model"] == first[0]["model"]
    assert newest["warm"], "it goes on from the model that drifted"
    (again,) = cli("check", "--store", early, "--json").document["retrained"]
    assert again["model"] is None
    assert "7 d" in again["why"]
