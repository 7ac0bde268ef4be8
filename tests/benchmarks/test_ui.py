"""How quick the terminal UI is: first paint, keys, a replay; a million users by `bench_ui`."""

import pytest

from tests.benchmarks.bench_ui import FACTOR, FIRST, KEY, PICTURES, bench

KEYS = (
    "line", "half a page", "last row", "first row", "letter of a search", "what a later one finds",
    "what one finds before enter", "what a later one by id finds",
)  # fmt: skip


@pytest.mark.bench
@pytest.mark.timeout(1_800)
def test_the_terminal_answers_at_once(tmp_path):
    rows = bench(tmp_path, users=10_000, runs=5, keys=20, seconds=3.0)
    ours, empty = rows["first paint, against an empty Textual app"]
    assert ours <= FIRST
    assert ours <= FACTOR * empty
    for beside in ("nothing", "replay", "training"):
        for what in KEYS:
            assert rows[f"{what}, p95; beside: {beside}"][0] < KEY
    assert rows["replay at full speed"][0] >= PICTURES
    assert rows["space to paused, p95"][0] < KEY
