"""Calibration: what it undoes, and what it leaves alone."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from engine.calibration import calibrate
from engine.training_spec import CALIBRATIONS

DRAW = np.random.default_rng(4)
TRUE = DRAW.normal(size=(20_000, 3))
LABELS = np.array([DRAW.choice(3, p=each) for each in softmax(TRUE, axis=1)])


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_temperature_undoes_too_much_or_too_little_confidence(factor):
    found = calibrate(TRUE * factor, LABELS, "temperature")
    assert found.scale == pytest.approx(1 / factor, rel=0.05)
    assert not found.bias.any()


def test_few_users_hardly_move_it():
    """Calibrated logits stay about as they are, however the noise of 100 users falls."""
    scales = [
        calibrate(TRUE[start : start + 100], LABELS[start : start + 100], "temperature").scale
        for start in range(0, 20_000, 100)
    ]
    assert np.std(np.log(scales)) < 0.08
    assert np.mean(np.log(scales)) == pytest.approx(0, abs=0.03)


def test_vector_undoes_a_shift_too():
    shift = np.array([0.5, -1.0, 0.5])
    found = calibrate(TRUE * 2 + shift, LABELS, "vector")
    assert found.scale == pytest.approx(0.5, rel=0.05)
    assert np.allclose(found.bias, -shift / 2, atol=0.06)
    assert found.bias.sum() == pytest.approx(0, abs=1e-6)


def test_none_changes_nothing():
    found = calibrate(TRUE * 7, LABELS, "none")
    assert found.scale == 1
    assert not found.bias.any()


@pytest.mark.parametrize("method", CALIBRATIONS)
def test_the_loss_never_grows_where_it_was_fitted(method):
    logits = np.float32(TRUE[:300] * 1.3)
    found = calibrate(logits, LABELS[:300], method)
    after = softmax(logits.astype(np.float64) * found.scale + found.bias, axis=1)
    before = log_loss(LABELS[:300], softmax(logits.astype(np.float64), axis=1))
    assert log_loss(LABELS[:300], after) <= before + 1e-6


def test_users_told_apart_perfectly_do_not_make_it_certain():
    perfect = np.eye(3)[LABELS] / 10
    assert calibrate(perfect, LABELS, "temperature").scale == pytest.approx(10, rel=1e-3)
    assert calibrate(np.zeros((50, 3)), LABELS[:50], "temperature").scale == pytest.approx(1)
