"""Quality and speed of the models, printed by `make bench`; the scripts also run by themselves."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.bench
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("script", ["bench_models.py", "bench_training.py", "bench_warm.py"])
def test_quality_and_speed_of_the_models(script):
    subprocess.run([sys.executable, Path(__file__).with_name(script)], check=True)
