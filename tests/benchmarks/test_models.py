"""Quality and speed of the models, printed by `make bench`; the script also runs by itself."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.bench
@pytest.mark.timeout(3_600)
def test_quality_and_speed_of_the_models():
    subprocess.run([sys.executable, Path(__file__).with_name("bench_models.py")], check=True)
