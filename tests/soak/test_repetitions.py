"""Long repetitions of tests that also run once in `make test`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REPETITIONS = 20
SCREENS = ("tests/tui/test_snapshots.py", "tests/tui/test_states.py")


def run_tests(*arguments, **environment):
    """Runs pytest in a process of its own; returns its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout[-4_000:]


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(REPETITIONS))
def test_every_screen_looks_the_same_in_any_order(seed):
    code, said = run_tests(*SCREENS, f"--randomly-seed={seed}")
    assert code == 0, said


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    "file",
    [
        "test_rescoring.py",
        "test_persons.py",
        "test_promotion.py",
        "test_decide.py",
        "test_segment.py",
        "test_any_order.py",
        "importing/test_ingest_again.py",
    ],
)
def test_what_holds_for_a_few_stories_holds_for_many(file):
    code, said = run_tests(f"tests/operations/{file}", "--timeout=3000", SEGTUI_SOAK="1")
    assert code == 0, said
