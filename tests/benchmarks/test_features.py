"""Features against the same aggregates in DuckDB, over one file: that they are the same, and how fast."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("bench_features.py")
EVENTS, USERS = 10_000_000, 1_000_000


def run(*arguments):
    """What the script says, run in a process of its own so that its peak memory is its own."""
    ended = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], check=True, capture_output=True)
    return json.loads(ended.stdout) if ended.stdout else None


def compared(path, *, events, users):
    """What both say of one made file, having found the same."""
    run("make", path, events, users)
    found = {who: run(who, path) for who in ("ours", "duckdb")}
    assert found["ours"]["users"] == found["duckdb"]["users"]
    assert found["ours"]["sums"] == pytest.approx(found["duckdb"]["sums"], rel=1e-9)
    return found["ours"], found["duckdb"]


def test_duckdb_finds_the_same_features(tmp_path):
    pytest.importorskip("duckdb")
    compared(tmp_path / "few.parquet", events=20_000, users=2_000)
    assert run("differing", tmp_path / "few.parquet") == []


@pytest.mark.bench
@pytest.mark.timeout(1_800)
def test_features_of_a_million_users(tmp_path, report):
    pytest.importorskip("duckdb")
    own, peer = compared(tmp_path / "many.parquet", events=EVENTS, users=USERS)
    report(
        "features of 1,000,000 users from 10,000,000 events, against DuckDB",
        [
            ("features", EVENTS / own["seconds"], EVENTS / peer["seconds"], "rows/s"),
            ("peak memory", own["peak_gb"], peer["peak_gb"], "GB"),
        ],
    )
    assert own["seconds"] <= peer["seconds"]
