"""Whatever an operator and a shop do, in whatever order: incremental, full and from zero agree.

Three stores live through the same story. One rescores who is due, one everyone, and one is given what comes
inside a tick in pieces, with a rescore after each.
"""

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from db import log, projections, vocabulary
from engine.errors import EngineError
from engine.models.parameters import BESIDE
from segtui.operations import segment
from segtui.operations.decide import decide
from segtui.operations.erase import erase
from segtui.operations.errors import OperationError
from segtui.operations.label import merge, rename
from segtui.operations.models import promote
from segtui.operations.policies import Wish
from segtui.operations.replay import replay
from segtui.operations.rescore import rescore, rescore_range
from segtui.operations.session import open_session
from segtui.operations.undo import undo
from segtui.operations.verify import verify
from segtui.operations.what_if import what_if

NUMBER = re.compile(r"\d+")
"""The number of a row in the log, which one store's rescores push further than another's."""
START = datetime(2026, 1, 5, tzinfo=UTC)
PEOPLE = ["ann", "bob", "cat", "dan", "eve", "web-1", "web-2"]
RULES = [
    "recency_days < 20",
    "value = 'high' OR orders_28d >= 2",
    "lately AND spend_28d > 5000",
    "spend_90d > 8000 AND NOT listed",
    "silence_days > 12",
]
SEGMENTS = ["lately", "spenders"]
LABELS = ["high", "medium", "low", "top"]
LAST_TICKS = 6
"""How many ticks are decided again from zero at the end of a story."""

visits = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.floats(0, 0.9),  # of the tick that is open
        st.sampled_from(["purchase", "purchase", "view"]),
        st.sampled_from([5.0, 40.0, 120.0]),
    ),
    min_size=1,
    max_size=4,
)


def line(user, day, kind, amount=None, **more) -> dict:
    """One event line."""
    fields = {"user": user, "time": (START + timedelta(days=day)).isoformat(), "kind": kind, **more}
    return fields if amount is None else fields | {"amount": amount, "currency": "EUR"}


class Story(RuleBasedStateMachine):
    """The three stores, and what may happen to them."""

    def __init__(self, shops: Callable, record: Callable, models: list) -> None:
        super().__init__()
        self.due, self.full, self.pieces = self.shops = [shops() for _ in range(3)]
        self.record, self.models = record, models
        self.today = 3
        self.events = 0
        self.scored = False

    @initialize()
    def begin(self) -> None:
        self.clock()
        first = [("zoe", 0.1, "purchase", 80.0), ("yan", 0.2, "purchase", 10.0), ("ann", 0.3, "view", None)]
        self.give(self.shops, [(name, 0 + at, kind, amount) for name, at, kind, amount in first])
        for shop in self.shops:
            with shop.open() as s:
                for name, model, horizon in self.models:
                    self.record(s, model, name=name, horizon=horizon)
                segment.define(s, "lately", RULES[0])
        # From the beginning, as what a list and its rule have in common hangs on who is somebody else when.
        self.a_list_is_given({"zoe", "ann", "bob"})
        self.a_rule_is_defined_or_edited("spenders", "listed AND orders >= 1")
        self.scored = True

    def clock(self) -> None:
        for shop in self.shops:
            shop.at(self.today + 0.95)

    def lines(self, rows) -> list[dict]:
        """Event lines with ids of their own: what comes in pieces is not to be taken for what came before."""
        self.events += len(rows)
        first = self.events - len(rows)
        return [
            line(name, day, kind, amount if kind == "purchase" else None, id=f"e{first + each}")
            for each, (name, day, kind, amount) in enumerate(rows)
        ]

    def give(self, shops, rows) -> None:
        self.put(shops, self.lines(rows))

    @staticmethod
    def put(shops, lines) -> None:
        from segtui.operations.ingest import import_files

        for shop in shops:
            path = shop.path.with_name("lines.ndjson")
            path.write_text("".join(json.dumps(each) + "\n" for each in lines))
            with shop.open() as s:
                import_files(s, [path], format="events")

    def everywhere(self, act: Callable) -> bool:
        """Does the same to all three; what one refuses all refuse, in the same words. Whether it was done."""
        said = []
        for shop in self.shops:
            with shop.open() as s:
                try:
                    act(s)
                    said.append(None)
                except (EngineError, OperationError) as error:
                    said.append(NUMBER.sub("#", str(error).replace(str(shop.path), "the store")))
        assert said[0] == said[1] == said[2]
        return said[0] is None

    def rescored(self) -> None:
        for shop in self.shops:
            with shop.open() as s:
                rescore(s, full=shop is self.full)
        self.scored = True
        self.agree()

    def agree(self) -> None:
        """Everyone holds the same everywhere; where rescores were at the same times, causes are the same."""
        with self.due.open() as s, self.full.open() as t, self.pieces.open() as u:
            held, moves = labels(s, None), moved(s)
            assert held == labels(t, None) == labels(u, None)
            assert moves == moved(t)
            closed = s.ticks.previous(s.as_of())
            assert labels(s, closed) == labels(u, closed)

    @rule(days=st.sampled_from([1, 1, 2, 7, 23]))
    def time_passes(self, days) -> None:
        self.today += days
        self.clock()

    @rule(rows=visits)
    def visits_come(self, rows) -> None:
        self.give(self.shops, [(name, self.today + at, kind, amount) for name, at, kind, amount in rows])

    @rule(rows=visits, back=st.integers(1, 40))
    def late_ones_come(self, rows, back) -> None:
        day = max(0, self.today - back)
        self.give(self.shops, [(name, day + at, kind, amount) for name, at, kind, amount in rows[:2]])

    @rule(rows=visits, back=st.sampled_from([0, 0, 3]))
    def visits_come_in_pieces(self, rows, back) -> None:
        """Two imports, in one store with a rescore between them: no label differs at the tick's close."""
        self.rescored()
        day = max(0, self.today - back)
        lines = self.lines([(name, day + at, kind, amount) for name, at, kind, amount in rows])
        self.put([self.due, self.full], lines)
        for each in lines:
            self.put([self.pieces], [each])
            with self.pieces.open() as s:
                rescore(s)

    @rule(
        name=st.sampled_from(PEOPLE),
        other=st.sampled_from(PEOPLE),
        kind=st.sampled_from(["alias", "unalias"]),
    )
    def persons_turn_out_to_be_one(self, name, other, kind) -> None:
        self.put(self.shops, [line(name, self.today + 0.5, kind, previous=other)])

    @rule()
    def everyone_due_is_rescored(self) -> None:
        self.rescored()

    @precondition(lambda self: self.scored)
    @rule(back=st.integers(1, 9))
    def past_ticks_are_gone_over(self, back) -> None:
        for shop in self.shops:
            with shop.open() as s:
                start = max(shop.instant(self.today - back), shop.instant(1))
                rescore_range(s, start, full=shop is self.full)
        self.agree()

    @rule(name=st.sampled_from(SEGMENTS), where=st.sampled_from(RULES))
    def a_rule_is_defined_or_edited(self, name, where) -> None:
        def act(s):
            from segtui.operations.definitions import definitions

            known = definitions(s).segmentations
            (segment.edit if name in known else segment.define)(s, name, where)

        self.tried(act)

    @rule(names=st.sets(st.sampled_from([*PEOPLE, "zoe"]), min_size=1, max_size=3))
    def a_list_is_given(self, names) -> None:
        def act(s):
            path = s.store.path.with_name("listed.txt")
            path.write_text("\n".join(sorted(names)))
            segment.from_file(s, "listed", path)

        self.tried(act)

    @rule(name=st.sampled_from([*SEGMENTS, "listed"]))
    def a_segment_is_retired(self, name) -> None:
        self.tried(lambda s: segment.retire(s, name))

    @rule(
        margin=st.sampled_from([0, 200_000]),
        stay=st.sampled_from(["0d", "5d"]),
        minimum=st.sampled_from([{}, {"high": 250_000}]),
    )
    def a_policy_is_decided(self, margin, stay, minimum) -> None:
        self.tried(lambda s: decide(s, "value", Wish(margin=margin, min_stay=stay, minimum=minimum)))

    @rule(which=st.integers(0, 1))
    def a_model_is_promoted(self, which) -> None:
        self.tried(lambda s: promote(s, self.models[which][0]))

    @rule(old=st.sampled_from(LABELS), new=st.sampled_from(LABELS))
    def a_label_is_renamed(self, old, new) -> None:
        self.tried(lambda s: rename(s, "value", old, new))

    @rule(one=st.sampled_from(LABELS), other=st.sampled_from(LABELS), into=st.sampled_from([None, *LABELS]))
    def labels_are_merged(self, one, other, into) -> None:
        self.tried(lambda s: merge(s, "value", one, other, into))

    @rule()
    def the_newest_edit_is_undone(self) -> None:
        from segtui.operations.undo import EDITS

        def act(s):
            edits = log.decisions(s.store, kinds=EDITS)
            if edits:
                undo(s, edits[-1].seq)

        self.tried(act)

    @rule(name=st.sampled_from(PEOPLE), purge=st.booleans())
    def somebody_is_erased(self, name, purge) -> None:
        self.everywhere(lambda s: erase(s, [name], purge=purge))

    def tried(self, act) -> None:
        """An edit, which unless it is refused brings everyone up to now first; then all agree."""
        done = self.everywhere(act)
        with self.due.open() as s:
            self.scored = not projections.rescores(s.store).is_empty()
        if self.scored and done:
            self.agree()

    def teardown(self) -> None:
        if self.events:
            self.rescored()
            # Long enough for time alone to move whoever was lately there.
            self.today += 21
            self.clock()
            self.rescored()
            self.from_zero()

    def from_zero(self) -> None:
        """Every label decided again; a full rescore of a copy; the last ticks gone over, as what-if told."""
        with self.due.open() as s:
            found = verify(s, deep=True)
            assert found["ok"], [each for each in found["checks"] if not each["ok"]]
            start = s.ticks.shift(s.as_of(), -LAST_TICKS)
            start = max(start, self.due.instant(1))
            again = [(each["as_of"], each["state_digest"]) for each in what_if(s, from_=start)]
        for full in (False, True):
            with copied(self.due) as s:
                state = projections.state_digest(s.store)
                told = rescore(s, full=True)
                assert (told["changed"], told["state_digest"]) == (0, state)
                rescore_range(s, start, full=full)
                walked = replay(s, from_=start)
                assert [(each["as_of"], each["state_digest"]) for each in walked] == again


def labels(s, as_of) -> dict[tuple[str, str], str]:
    """Who holds which label, in names: {(segmentation, user): label}."""
    texts, found = vocabulary.texts(s.store, "label"), {}
    for number, name in vocabulary.texts(s.store, "segmentation").items():
        held = projections.memberships(s.store, number, as_of=as_of)
        names = s.external(held["user"].to_list())
        found |= {
            (name, names[user]): texts[label] for user, label in held.select("user", "label").iter_rows()
        }
    return found


def moved(s) -> list[tuple]:
    """All changes ever recorded, with what their causes point to, in names."""
    rows = log.changes(s.store, governing=False)
    names = s.external(rows["user"].unique().to_list())
    texts = {kind: vocabulary.texts(s.store, kind) for kind in ("segmentation", "label", "reason", "kind")}
    events = log.behaviour(s.store, columns=["seq", "user", "occurred_at", "kind"])
    behind = {
        seq: (names.get(user, user), at, texts["kind"][kind]) for seq, user, at, kind in events.iter_rows()
    }
    behind |= {each.seq: each.kind for each in log.decisions(s.store)}
    return sorted(
        (
            each["pass"],
            each["as_of"],
            texts["segmentation"][each["segmentation"]],
            names[each["user"]],
            str(texts["label"].get(each["from_label"])),
            str(texts["label"].get(each["to_label"])),
            each["cause"],
            str(behind.get(each["cause_seq"])),
            texts["reason"][each["reason"]],
        )
        for each in rows.iter_rows(named=True)
    )


@contextmanager
def copied(shop):
    """A session on a copy of the shop's store."""
    folder = shop.path.parent.with_name(f"{shop.path.parent.name}-copy")
    shutil.copytree(shop.path.parent, folder)
    try:
        with open_session(folder / shop.path.name) as s:
            yield s
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def models(model):
    """Two models of `value` that disagree; the second looks ahead, so as a first one it goes back in time."""
    turned = {
        name: values if name in BESIDE else -values for name, values in model.parameters.items()
    }  # fmt: skip
    return [("small", model, None), ("turned", dataclasses.replace(model, parameters=turned), "30d")]


def test_incremental_full_and_from_zero_agree_whatever_happens(make_shop, record_model, models):
    soak = bool(os.environ.get("SEGTUI_SOAK"))
    run_state_machine_as_test(
        lambda: Story(make_shop, record_model, models),
        settings=settings(
            max_examples=40 if soak else 2,
            stateful_step_count=25 if soak else 7,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking whole stores takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
