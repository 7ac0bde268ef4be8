"""Invariant 6 over small shops: whoever is erased, whatever else happens in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import projections, vocabulary
from db.backup import backup
from segtui.operations.erase import erase
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.key import rotate
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.restore import restore
from segtui.operations.session import Session, open_session
from segtui.operations.verify import verify

PEOPLE = [f"person-{number:03}@example.org" for number in range(8)]
DAY = 86_400_000_000
FIRST = 1_767_571_200_000_000  # 2026-01-05
STEPS = st.one_of(
    st.tuples(st.just("erase"), st.sets(st.integers(0, 7), min_size=1, max_size=2), st.booleans()),
    st.tuples(st.sampled_from(["import", "again", "rescore", "range", "rotate", "backup", "restore"])),
)


class Shop:
    """A store, the files that were imported into it, and who was erased from it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, vault: bool) -> None:
        self.store = folder / "store" / "shop.db"
        self.outside = folder / "outside"
        for each in (self.store.parent, self.outside):
            each.mkdir()
        self.monkeypatch = monkeypatch
        self.day = 0
        self.files: list[Path] = []
        self.gone: set[int] = set()
        self.traces: set[bytes] = set()
        self.backups: list[Path] = []
        init(self.store, currency="EUR", clock="wall", vault=vault)
        self.vault = vault
        self.take("import", None)

    def take(self, step: str, s: Session | None) -> None:
        """Does something an operator or a night does."""
        self.monkeypatch.setenv("SEGTUI_NOW", str(FIRST + (self.day + 1) * DAY))
        if step == "restore":
            if self.backups:
                restore(self.backups[0], self.store)
            return
        if s is None:
            with open_session(self.store) as own:
                self.take(step, own)
            return
        if step == "import":
            import_files(s, [self.file()], format="events")
        elif step == "again":
            import_files(s, self.files, format="events")
        elif step == "rescore":
            rescore(s)
        elif step == "range" and projections.rescores(s.store).height and self.day > 2:
            list(rescore_range(s, FIRST + (self.day - 2) * DAY))
        elif step == "rotate" and self.vault:
            rotate(s)
        elif step == "backup":
            self.backups.append(self.outside / f"backup-{len(self.backups)}.db")
            backup(s.store, self.backups[-1])

    def file(self) -> Path:
        """A day's events of everyone, and a row of each that cannot be read."""
        self.day += 1
        path = self.outside / f"day-{self.day}.ndjson"
        lines = []
        for at, who in enumerate(PEOPLE):
            when = f"2026-01-{4 + self.day:02}T{at:02}:00:00Z"
            lines.append(
                {"user": who, "time": when, "kind": "purchase", "amount": (at * self.day) % 9 + 1}
                | {"currency": "EUR", "order": f"{at}-{self.day}", "id": f"{at}-{self.day}"}
            )
            lines.append({"user": who, "time": "when?", "kind": "view"})
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.files.append(path)
        return path

    def erase(self, s: Session, who: set[int], purge: bool) -> None:
        for each in sorted(who - self.gone):
            self.traces.add(PEOPLE[each].encode())
            if self.vault:
                sealed = "SELECT lookup, ciphertext FROM vault WHERE user = ?"
                rows = s.store.rows(sealed, (s.user(PEOPLE[each]),))
                self.traces |= {blob for row in rows for blob in row}
        erase(s, [PEOPLE[each] for each in sorted(who)], purge=purge)
        self.gone |= who

    def holders(self, s: Session) -> dict[str, str]:
        """Who of those not erased holds what."""
        number = vocabulary.number(s.store, "segmentation", "value")
        if number is None:
            return {}
        held = projections.memberships(s.store, number).select("user", "label").rows()
        names = s.store.vault.external_ids([user for user, _ in held])
        return {names[user]: label for user, label in held}

    def left(self) -> Iterator[bytes]:
        """Traces of erased persons in the store's folder."""
        contents = [path.read_bytes() for path in self.store.parent.rglob("*") if path.is_file()]
        return (trace for trace in self.traces if any(trace in content for content in contents))


def lived_through(folder: Path, steps: list[tuple], *, vault: bool) -> None:
    """Takes the steps, and looks after each whether everything holds."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("SEGTUI_KEY", raising=False)
        shop = Shop(folder, monkeypatch, vault=vault)
        for step in steps:
            if step[0] == "restore":
                shop.take("restore", None)
            with open_session(shop.store) as s:
                if step[0] == "erase":
                    before = shop.holders(s)
                    shop.erase(s, step[1], step[2])
                    gone = {PEOPLE[each] for each in shop.gone}
                    assert shop.holders(s) == {who: held for who, held in before.items() if who not in gone}
                elif step[0] != "restore":
                    shop.take(step[0], s)
                assert list(shop.left()) == []
                assert not set(shop.holders(s)) & {PEOPLE[each] for each in shop.gone}
                known = {text for _, _, text in s.store.vault.entries()}
                assert known == {who for at, who in enumerate(PEOPLE) if at not in shop.gone}
                failed = [check for check in verify(s, deep=True)["checks"] if not check["ok"]]
                assert failed == []
                assert pl.Series(list(shop.holders(s))).n_unique() == len(shop.holders(s))


HISTORIES = given(steps=st.lists(STEPS, min_size=2, max_size=6), vault=st.booleans())
ANY = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=10, **ANY)
@HISTORIES
def test_whoever_is_erased_is_gone_stays_gone_and_nobody_else_notices(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple], vault: bool
) -> None:
    lived_through(tmp_path_factory.mktemp("erasing"), steps, vault=vault)


@pytest.mark.soak
@settings(max_examples=300, **ANY)
@HISTORIES
def test_whoever_is_erased_is_gone_after_any_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple], vault: bool
) -> None:
    lived_through(tmp_path_factory.mktemp("erasing"), steps, vault=vault)
