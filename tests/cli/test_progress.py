"""The bar waits before it shows itself, and leaves nothing behind."""

from __future__ import annotations

from segtui.cli.progress import Bar


def test_what_is_quick_draws_nothing() -> None:
    with Bar(patience=3600) as bar:
        bar.report("reading", None)
    assert bar._drawn is None


def test_what_takes_longer_is_drawn_and_updated() -> None:
    with Bar(patience=0) as bar:
        bar._timer.join()
        assert bar._drawn is not None
        bar.report("epoch 3", 0.25)
        task = bar._drawn.tasks[0]
        assert (task.description, task.completed, task.total) == ("epoch 3", 0.25, 1.0)
        bar.report("digesting", None)
        assert (task.description, task.total) == ("digesting", None)
    assert not bar._drawn.live.is_started


def test_a_bar_that_is_due_after_the_end_stays_away() -> None:
    bar = Bar(patience=3600)
    with bar:
        pass
    bar._show()
    assert bar._drawn is None
    assert bar._timer.finished.is_set()
