"""Blocks that stand for numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtui.tui.widgets.bars import bar, chart, sample, sparkline
from segtui.tui.widgets.charts import size_chart

SIZES = st.lists(st.integers(0, 2_000_000), min_size=1, max_size=400)


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([0, 7], "▁█"), ([5, 5, 5], "▄▄▄"), ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█")],
)
def test_sparkline(values, line):
    assert sparkline(values, 20) == line


@given(SIZES, st.integers(1, 80))
def test_a_sample_fits_and_keeps_both_ends(values, width):
    shown = sample(values, width)
    assert len(shown) == min(width, len(values))
    assert shown[-1] == values[-1]
    if width > 1:
        assert shown[0] == values[0]


@pytest.mark.parametrize(
    ("part", "drawn"), [(0.0, ""), (1.0, "████"), (0.5, "██"), (0.53125, "██▏"), (1e-9, "▏"), (1.5, "████")]
)
def test_bar(part, drawn):
    assert bar(part, 4) == drawn


def test_chart_fills_from_the_bottom():
    assert chart([0, 8, 16], 0, 16, 2) == ["  █", "▁██"]


@given(SIZES, st.integers(0, 120), st.integers(0, 20))
def test_a_chart_takes_the_room_it_is_given(values, width, height):
    lines = size_chart(values, len(values) // 2, width, height).plain.split("\n")
    assert len(lines) == max(1, height)
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= max(width, len(f"{max(values):,}") + 2)
