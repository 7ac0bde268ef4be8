"""How much of a stream's speed scoring it as it comes leaves."""

import pytest

from tests.benchmarks.bench_stream import bench


@pytest.mark.bench
@pytest.mark.timeout(7_200)
def test_a_stream_is_scored_as_it_comes(tmp_path):
    scored, appended = bench(tmp_path)
    assert 0 < scored <= appended
