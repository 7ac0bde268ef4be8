"""Models that were asked for lately are compiled already."""

from dataclasses import replace

from segtui.operations import deciders


def test_few_models_are_kept_ready(model, monkeypatch):
    monkeypatch.setattr(deciders, "_ready", {})
    first = deciders.ready(model)
    others = [replace(model, labels=(f"{number}", "b", "c")) for number in range(deciders.READY)]
    for other in others[:-1]:
        assert deciders.ready(other).labels == other.labels
    assert deciders.ready(model) is first
    for other in others:
        deciders.ready(other)
    assert deciders.ready(model) is not first
