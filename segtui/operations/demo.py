"""A simulated shop, from nothing to a store that has been trained, backfilled and rescored."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from segtui.operations.errors import OperationError
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.progress import Cancelled, Progress, never, quiet
from segtui.operations.rescore import rescore
from segtui.operations.segments import segments
from segtui.operations.session import Session, open_session
from segtui.operations.status import status
from segtui.operations.train import train

END = date(2026, 3, 1)
"""The simulated shop's last day: fixed, so that a seed gives the same shop on any day."""
FOLLOWING = 7
"""Days at the end that arrive one file at a time, each followed by a rescore."""
LEAST_USERS, LEAST_DAYS = 1_500, 200
"""A smaller or younger shop may have too few buyers to train on."""


def demo(
    folder: Path,
    *,
    users: int = 5_000,
    days: int = 400,
    seed: int = 7,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
) -> dict[str, Any]:
    """Simulates a shop and runs the whole job in `folder`; a finished demo there is only summed up again."""
    folder = Path(folder)
    store = folder / "shop.db"
    started = time.monotonic()
    if not store.exists():
        if users < LEAST_USERS or days < LEAST_DAYS:
            raise OperationError(
                f"A demo shop of {users:,} users and {days:,} days has too few buyers to learn from: "
                f"use --users {LEAST_USERS} and --days {LEAST_DAYS} or more."
            )
        unfinished = folder / "making"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        if folder.exists() and any(folder.iterdir()):
            raise OperationError(f"{folder} holds other files: choose an empty folder with --dir.")
        with _all_or_nothing(folder):
            unfinished.mkdir(parents=True)
            _make(unfinished, users, days, seed, progress, cancelled)
            for path in unfinished.iterdir():
                path.rename(folder / path.name)
            unfinished.rmdir()
    with open_session(store) as s:
        return _summary(s) | {"seconds": round(time.monotonic() - started, 3)}


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[None]:
    """Whatever ends the work inside before its end, Ctrl-C too, leaves nothing in `folder` or above it."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield
    except BaseException:
        for path in folder.iterdir() if folder.exists() else ():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        for each in missing:
            if each.exists():
                each.rmdir()
        raise


def _make(folder: Path, users: int, days: int, seed: int, progress: Progress, cancelled: Cancelled) -> None:
    from segtui.simulator import files, simulate

    progress(f"simulating {users:,} users over {days} days", None)
    shop = simulate(users=users, days=days, seed=seed, end=END)
    history, *daily = files(shop, folder / "events", FOLLOWING)
    store = folder / "shop.db"
    init(store, timezone="Europe/Paris", currency="EUR", clock="data")
    with open_session(store) as s:
        import_files(s, [history], format="events", source="demo", progress=progress)
        train(s, twin=False, progress=progress, cancelled=cancelled)
        for number, path in enumerate(daily, 1):
            progress(f"day {number} of {len(daily)}: import and rescore", number / len(daily))
            import_files(s, [path], format="events", source="demo")
            rescore(s, cancelled=cancelled)


def _summary(s: Session) -> dict[str, Any]:
    told = status(s)
    trained = next(iter(_trained(s)), None)
    return {
        "store": str(s.store.path),
        "events": told["events"],
        "users": told["users"],
        "metrics": trained["metrics"] if trained else None,
        "model": trained["name"] if trained else None,
        "segments": segments(s)["segmentations"],
        "as_of": told["as_of"],
    }


def _trained(s: Session) -> list[dict[str, Any]]:
    from segtui.operations.models import models

    return [each for each in models(s)["models"] if each["promoted"]]
