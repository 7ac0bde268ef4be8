"""On CDNOW: what an explanation names matters, who leaves if silent does, the smallest change moves."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from engine.attribution import attribute
from engine.explain import _parts
from engine.scoring import Arrays
from segtui.operations.changes import changes
from segtui.operations.deciders import Evidence, model_decider
from segtui.operations.definitions import definitions
from segtui.operations.held import held_labels
from segtui.operations.ingest import import_files
from segtui.operations.members import member_frame, members
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from segtui.operations.silence import leaving
from segtui.operations.smallest import smallest_change

pytestmark = [pytest.mark.real, pytest.mark.bench, pytest.mark.timeout(1_800)]

USERS = 1_000
TRIED = 100


@pytest.fixture
def shop(trained, tmp_path):
    """A copy of the trained store to write to."""
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy" / "shop.db"


def test_removing_the_top_group_changes_more_than_removing_any(shop):
    with open_session(shop) as s:
        decider = model_decider(s.store, definitions(s).segmentations["value"].model)
        as_of = s.as_of()
        evidence = Evidence(s.events(before=as_of), s.identity(), s.attributes())
        frame = evidence.features(as_of, decider.spec)
    draw, rows = np.random.default_rng(0), np.arange(USERS)
    some = frame[np.sort(draw.choice(frame.height, USERS, replace=False))]
    order = np.argsort(-decider.scorer.scores(some), axis=1)
    label, against = order[:, 0], order[:, 1]
    usual = frame.select(pl.exclude("user").median().cast(pl.Float64))
    own, base = decider.scorer.arrays(some), decider.scorer.arrays(usual)
    found = attribute(decider.scorer, own, base, label, against)
    assert np.abs(found.total - (found.lead - found.usual)).max() < 1e-3
    parts = _parts(decider.scorer)
    everywhere = Arrays(np.repeat(base.raw, USERS, axis=0), None)
    changed = []
    for part in parts:
        logits = decider.scorer.logits_of(part.put(own, everywhere))
        changed.append(np.abs(logits[rows, label] - logits[rows, against] - found.lead))
    weights = [np.abs(found.features[:, list(part.columns)].sum(axis=1)) for part in parts]
    top, drawn = np.argmax(weights, axis=0), draw.integers(0, len(parts), USERS)
    of_top, of_any = (float(np.array(changed)[which, rows].mean()) for which in (top, drawn))
    print(json.dumps({"removed": "top group", "logits": of_top, "random": of_any, "ratio": of_top / of_any}))
    assert of_top > 2 * of_any


def test_who_leaves_if_silent_does_so_in_a_month_that_nobody_saw(shop, cdnow, tmp_path):
    header, rows = cdnow
    month = [row for row in rows if "19980131" < row.split()[1] <= "19980228"]
    (tmp_path / "month.txt").write_text("\n".join([header, *month]) + "\n")
    with open_session(shop) as s:
        start, told = s.as_of(), {}
        for label in definitions(s).segmentations["value"].labels:
            frame, when = member_frame(s, f"value={label}")
            told |= leaving(s, "value", frame["user"], when, s.ticks.shift(start, 28))
        import_files(s, [tmp_path / "month.txt"])
        rescore(s)
        moves = {}
        for move in changes(s, from_=start, segment="value", limit=None):
            moves.setdefault(move["user"], (move["as_of"], move["to"]))
        acted = set(s.events().filter(pl.col("occurred_at") >= start)["user"].to_list())
        names = s.external(list(told))
        right = {user: moves.get(names[user]) == (s.iso(each.as_of), each.to) for user, each in told.items()}
    silent = [user for user in told if user not in acted]
    shares = {
        "named": len(told),
        "right": np.mean(list(right.values())).item(),
        "silent": len(silent),
        "right_of_silent": np.mean([right[user] for user in silent]).item(),
    }
    print(json.dumps(shares))
    assert len(silent) > 50
    assert shares["right_of_silent"] >= 0.95


def test_the_smallest_change_moves_the_user(shop, tmp_path):
    with open_session(shop) as s:
        told, held = {}, {}
        for label in definitions(s).segmentations["value"].labels:
            page = members(s, f"value={label}", limit=3 * TRIED, order="margin")["members"]
            for each in page if len(told) < TRIED else []:
                user = s.user(each["user"])
                own = held_labels(s, user, None, None)["value"]
                evidence = Evidence(
                    s.events(before=own.when.as_of, users=[user]), s.identity(), s.attributes(users=[user])
                )
                found = smallest_change(s, own, evidence)
                if found is not None:
                    told[each["user"]], held[each["user"]] = found, label
                if len(told) == TRIED:
                    break
        lines = [json.dumps(line) + "\n" for found in told.values() for line in found["events"]]
        (tmp_path / "tried.ndjson").write_text("".join(lines))
        import_files(s, [tmp_path / "tried.ndjson"], format="events", source="tried")
        rescore(s)
        after = {name: held_labels(s, s.user(name), None, None)["value"].label for name in told}
    moved = sum(after[name] != held[name] for name in told)
    as_told = sum(after[name] == found["to"] for name, found in told.items())
    print(json.dumps({"tried": len(told), "moved": moved, "as_told": as_told}))
    assert len(told) == TRIED
    assert moved >= 99
