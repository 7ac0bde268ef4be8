"""A year of the simulated shop, replayed and sought in."""

import pytest

from tests.benchmarks.bench_replay import bench


@pytest.mark.bench
@pytest.mark.timeout(7_200)
def test_a_year_is_replayed_as_fast_as_one_looks(tmp_path):
    changes, seek = bench(tmp_path)
    assert changes >= 1_000_000
    assert seek < 0.3
