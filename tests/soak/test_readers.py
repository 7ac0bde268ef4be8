"""Every reader, fed with spoilt files for ten minutes in all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUZZ = "tests/contract/test_fuzz.py"
MINUTES = 10


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_no_reader_fails_on_anything():
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", FUZZ]
    listed = subprocess.run([*run, "--collect-only"], cwd=ROOT, capture_output=True, text=True)
    tests = sum("::" in line for line in listed.stdout.splitlines())
    assert tests > 0, listed.stdout
    each = os.environ | {"SEGTUI_FUZZ_SECONDS": str(MINUTES * 60 / tests)}
    done = subprocess.run([*run, "--timeout=3000"], cwd=ROOT, env=each, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4_000:]
