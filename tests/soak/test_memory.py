"""The terminal UI is kept open all day: what it holds does not grow while a replay runs."""

import os
import statistics
from pathlib import Path

import pytest

from segtui.operations.rescore import rescore_range
from segtui.operations.session import open_session
from tests.benchmarks.bench_rescore import make
from tests.benchmarks.bench_ui import operator

SECONDS = float(os.environ.get("SEGTUI_SOAK_SECONDS", 300))
WARM, PART = 0.2, 0.2
"""The first part of the samples, not counted; what is compared: the part after it, and the last one."""
GROWTH = 1.1


@pytest.fixture
def year(tmp_path):
    """A store of a few hundred users, rescored at every tick of a year."""
    store = make(tmp_path, 300)
    with open_session(store) as s:
        end = s.require_as_of()
        for _ in rescore_range(s, s.ticks.shift(end, -365), end):
            pass
    return store


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here to read memory from")
def test_a_replay_of_a_year_over_and_over_holds_no_more(year):
    held, _ = operator("play", year, SECONDS)
    warm, part = round(len(held) * WARM), round(len(held) * PART)
    before, after = statistics.median(held[warm : warm + part]), statistics.median(held[-part:])
    print(f"{before:.0f} MB after a warm-up, {after:.0f} MB at the end of {SECONDS:.0f} s")
    assert after <= before * GROWTH
