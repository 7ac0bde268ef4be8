"""Drift is told against what the model learnt from, as long as the log can tell that."""

import pytest

from segtui.operations.drift import drifted
from segtui.operations.retain import retain
from segtui.operations.session import open_session
from segtui.operations.train import train
from tests.operations.conftest import QUICK
from tests.operations.training import days_ago

pytestmark = pytest.mark.xdist_group("simulated-shop")


def test_what_was_cut_is_not_taken_for_drift(made_copy):
    with open_session(made_copy) as s:
        train(s, **QUICK, cutoff=days_ago(s, 70), horizon="30d", promote=True)
        before = {each.name: each for each in drifted(s)}
        assert before["drift"].value is not None
        retain(s, "80d")
        after = {each.name: each for each in drifted(s)}
        for name in ("drift", "drift_ks", "shares"):
            assert after[name].value is None
            assert "Nothing tells how far value drifted: events before " in after[name].says
