"""How long a command takes from the shell, on a store of a million events."""

import os
import statistics
import subprocess
import sys
import time

import pytest

RUNS = 7
SIZES = """
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    "SELECT segmentation, label, count(*) FROM members GROUP BY 1, 2").fetchall()
print(rows)
"""


def seconds(command, **environment):
    """The median of several runs of a whole process, after one that is not counted."""
    times = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


@pytest.mark.bench
@pytest.mark.timeout(900)
def test_commands_from_the_shell(million, report):
    segtui = [sys.executable, "-m", "segtui"]
    at = ["--store", str(million)]
    python = seconds([sys.executable, "-c", "import typer"])
    bare = seconds([sys.executable, "-c", SIZES, str(million)])
    report(
        "from the shell, 1,000,000 events",
        [
            ("segtui --help, against a Python that imports Typer", seconds([*segtui, "--help"]), python, "s"),
            (
                "segtui segments --json, against a bare GROUP BY over the members",
                seconds([*segtui, "segments", "--json", *at]),
                bare,
                "s",
            ),
            (
                "segtui members value=high --json",
                seconds([*segtui, "members", "value=high", "--json", *at]),
                None,
                "s",
            ),
            *(
                (f"segtui {' '.join(command)} --json", seconds([*segtui, *command, "--json", *at]), None, "s")
                for command in (
                    ["members", "value=low", "--order=-since", "--limit", "50"],
                    ["user", "777"],
                    ["changes", "--first", "--limit", "50"],
                    ["status"],
                )
            ),
        ],
    )
