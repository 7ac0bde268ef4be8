"""Models for tests of what is made of them: trained quickly, and kept aside."""

from engine.model import Model
from segtui.operations.deciders import load_model
from segtui.operations.session import Session
from segtui.operations.train import train
from tests.operations.conftest import QUICK


def trained(s: Session, **settings) -> tuple[Model, dict]:
    """A model, and what training said of it."""
    told = train(s, **QUICK | {"promote": False} | settings)
    return load_model(s.store, told["model"]), told


def days_ago(s: Session, days: int) -> int:
    """The instant of the tick so many days before the present one, µs."""
    return s.ticks.shift(s.as_of(), -days)
