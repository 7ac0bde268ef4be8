"""Speed and memory of imports, printed by `make bench`; the script also runs by itself."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.bench
@pytest.mark.timeout(3_600)
def test_speed_and_memory_of_imports():
    subprocess.run([sys.executable, Path(__file__).with_name("bench_import.py")], check=True)
