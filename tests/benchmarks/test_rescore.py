"""What a batch inside a tick costs against rescoring everyone, and how that grows with the users."""

import pytest

from tests.benchmarks.bench_rescore import bench


@pytest.mark.bench
@pytest.mark.timeout(3_600)
def test_a_batch_costs_what_it_touches(tmp_path):
    _, ratios = bench([10_000, 100_000, 1_000_000], 40, tmp_path)
    assert ratios["growth"] <= 1.3
    assert ratios["full_over_batch"] >= 50
    assert ratios["scoring_over_bare"] >= 0.5
