"""The packages know only what lies below them, and what is looked at often loads no learning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("jax", "jaxlib", "flax", "optax", "sklearn", "scipy", "textual", "keyring")
LOADED = """
import json, sys
from segtui.cli import run
code = run(sys.argv[1:])
sys.stderr.write(json.dumps([code, sorted(sys.modules)]))
"""


def test_imports_point_one_way(tmp_path: Path) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--config", ROOT / "pyproject.toml", "--cache-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that a starter rule has decided: enough to list segments and members."""
    folder = tmp_path_factory.mktemp("layers")
    events = folder / "events.ndjson"
    lines = [
        {"user": f"u{n}", "time": f"2026-01-0{1 + n % 8}T10:00:00Z", "kind": "purchase", "amount": 10 + n}
        for n in range(40)
    ]
    events.write_text("".join(json.dumps({**line, "currency": "EUR"}) + "\n" for line in lines))
    path = folder / "shop.db"
    for command in (["init", "--clock", "data"], ["import", str(events)], ["rescore"]):
        done = subprocess.run(
            [sys.executable, "-m", "segtui", *command, "--store", path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return path


def loaded(*arguments: str) -> set[str]:
    """The modules that one command line leaves in memory."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(modules)


def test_help_loads_neither_frames_nor_learning() -> None:
    modules = loaded("--help")
    assert not modules & {*HEAVY, "polars", "numpy", "sqlite_utils"}


@pytest.mark.parametrize("listing", [("segments",), ("members", "value=high"), ("status",)])
def test_listings_load_no_learning(store: Path, listing: tuple[str, ...]) -> None:
    modules = loaded(*listing, "--store", str(store), "--json", "--quiet")
    assert "polars" in modules
    assert not modules & set(HEAVY)


def test_the_first_screen_loads_no_learning() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, segtui.tui.app; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(done.stdout.split())
    assert "textual" in modules
    assert not modules & (set(HEAVY) - {"textual"})
