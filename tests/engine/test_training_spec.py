"""How to train: what is chosen where nobody chooses, and what is refused."""

import pytest

from engine.errors import EngineError
from engine.training_spec import TrainingSpec


def test_the_patience_nobody_asks_for():
    assert TrainingSpec().waits(100) == 15
    assert TrainingSpec(averaging=0.99).waits(100) == 4
    assert TrainingSpec(averaging=0.99, patience=9).waits(1) == 9


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"optimizer": "rmsprop"}, "no optimizer 'rmsprop': choose one of adam, adamw, sgd"),
        ({"learning_rate": 0}, "learning_rate must be from 1e-06 to 10; it is 0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"epochs": 0}, "epochs must be whole, from 1"),
        ({"epochs": 2.5}, "it is 2.5"),
        ({"batch_size": -1}, "batch_size"),
        ({"patience": 0}, "patience"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"weight_decay": 1.5}, "weight_decay must be from 0 to 1"),
        ({"epochs": True}, "epochs"),
        ({"schedule": "linear"}, "no schedule 'linear': choose one of constant, cosine"),
        ({"calibration": "platt"}, "no calibration 'platt': choose one of none, temperature, vector"),
        ({"label_smoothing": 0.6}, "label_smoothing must be from 0 to 0.5"),
        ({"class_weight": -0.1}, "class_weight must be from 0 to 1"),
        ({"averaging": 1}, "averaging must be from 0 to 0.9999"),
    ],
)
def test_settings_out_of_range_are_refused_in_a_sentence(settings, said):
    with pytest.raises(EngineError, match=said) as caught:
        TrainingSpec(**settings)
    assert str(caught.value).endswith(".")
