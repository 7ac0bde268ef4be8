"""Whoever is linked between two cutoffs is one person at both: nobody is judged whom a model has met."""

import json
import shutil
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from engine.splits import EARLIER, TEST, TRAIN, VALID, held_out
from segtui.operations import fitting
from segtui.operations.deciders import Evidence, load_model
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.evaluate import compare as side_by_side
from segtui.operations.evaluate import evaluate
from segtui.operations.ingest import import_files
from segtui.operations.judgement import compare
from segtui.operations.persons import Persons
from segtui.operations.preparing import CORE
from segtui.operations.retain import retain
from segtui.operations.session import open_session
from segtui.operations.settings import training_settings
from segtui.operations.tasks import outcome_task
from segtui.operations.train import train
from segtui.operations.unseen import Past, parts_going_on, past
from segtui.operations.warm import Warm
from tests.operations.conftest import START, line

PAIRS, LATE = 700, 10
LINKED = 87
"""The day on which each customer turns out to be a device: after the cutoffs at 75 and 85, before 90. Every
LATE-th customer comes on that day."""
QUICK = {"policy": "will_buy", "kind": "logistic", "horizon": "15d", "origins": 0, "promote": False}


def linked(pair, day):
    at = (START + timedelta(days=day)).isoformat()
    return {"user": f"c{pair}", "previous": f"d{pair}", "time": at, "kind": "alias"}


@pytest.fixture(scope="module")
def shop_of_pairs(shops, tmp_path_factory):
    """A shop in which everybody was seen under two ids until they were linked; read only."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = shops(tmp_path_factory.mktemp("pairs") / "shop", monkeypatch, clock="data")
    draw, rows = np.random.default_rng(0), []
    for pair in range(PAIRS):
        begins = LINKED if pair % LATE == 0 else 0
        rows += [
            line(f"c{pair}", day, "view") for day in begins + draw.uniform(0, 74 if not begins else 1, 2)
        ]
        rows += [line(f"d{pair}", day, "view") for day in draw.uniform(0, 74, 2)]
        bought = draw.uniform(max(begins, 76), 119, draw.poisson(1.5))
        rows += [line(f"c{pair}", day, "purchase", 9) for day in bought]
        rows.append(linked(pair, LINKED))
    path = made.path.with_name("rows.ndjson")
    path.write_text("".join(map(json.dumps, [*rows, line("last", 120.5, "view")])).replace("}{", "}\n{"))
    with made.open() as s:
        import_files(s, [path], format="events")
    return made


@pytest.fixture
def s(shop_of_pairs, tmp_path):
    """A copy of it, to write to."""
    shutil.copytree(shop_of_pairs.path.parent, tmp_path / "copy")
    with open_session(tmp_path / "copy" / "shop.db") as session:
        yield session


def households(s, folder):
    """Every two pairs turn out to be one person, which is told late."""
    rows = [linked(f"{pair}", 80) | {"previous": f"c{pair + 1}"} for pair in range(0, PAIRS, 2)]
    path = folder / "late.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_files(s, [path], format="events")


def persons(s, users):
    """The pairs that users are of, as text."""
    names = s.external(np.asarray(users).tolist())
    return np.array([names[user][1:] for user in np.asarray(users).tolist()])


def homes(s, users):
    """The households that users are of, once they are told."""
    return persons(s, users).astype(int) // 2


def new_to(s, task, *others):
    """bool[users]: of which pairs models of the others' cutoff and seed learnt from neither id."""
    known = [outcome_task(s, "will_buy", "x", cutoff, 15, seed) for cutoff, seed in others]
    learnt = [persons(s, each.users[each.parts != TEST]) for each in known]
    return ~np.isin(persons(s, task.users), np.concatenate(learnt))


def test_two_ids_of_one_person_have_one_part(s, shops):
    """Also where they are two users as of the cutoff, and were linked later."""
    task = outcome_task(s, "will_buy", "x", shops.instant(75), 15, 0)
    parts = pl.DataFrame({"person": persons(s, task.users), "part": task.parts})
    by_person = parts.group_by("person").agg(pl.col("part").n_unique(), ids=pl.len())
    assert by_person["part"].max() == 1
    assert (by_person["ids"] == 2).sum() > 500
    assert parts["part"].value_counts(normalize=True)["proportion"].min() > 0.1


def test_an_earlier_cutoff_teaches_of_nobody_who_judges(s, shops, monkeypatch):
    day = shops.instant
    task = outcome_task(s, "will_buy", "x", day(90), 15, 0, origins=1)
    (earlier,) = task.earlier
    assert earlier.as_of == day(85)
    now = dict(zip(persons(s, task.users), task.parts, strict=True))
    assert [now[each] for each in persons(s, earlier.users)] == earlier.parts.tolist()
    assert TEST not in earlier.parts
    # Of everybody else both ids teach that there were.
    others = [int(who) for who, part in now.items() if part != TEST]
    assert len(earlier.users) == sum(1 if pair % LATE == 0 else 2 for pair in others)
    # Nor does a member meet whom it leaves out under the id of then.
    given = {}

    def caught(_kind, _inputs, labels, parts, *_more, users, **_rest):
        given.update(labels=labels, parts=parts, users=users)
        raise InterruptedError

    monkeypatch.setattr("engine.training.train", caught)
    training, structure = training_settings("mlp", "adam", 0, {})
    with pytest.raises(InterruptedError):
        fitting.fit(task, fitting.Recipe("mlp", training, structure, CORE), fitting.Watch())
    own = persons(s, np.concatenate([task.users, earlier.users]))
    held = held_out(given["parts"], given["labels"] >= 0, given["users"], 0, 4)
    for member, judges in enumerate(held.judges):
        assert len(judges)
        assert not np.isin(own[judges], own[held.learners[held.counts[:, member]]]).any()


def test_a_twin_is_judged_on_nobody_it_met(s, shops):
    told = train(s, **QUICK, cutoff=shops.instant(90), options={"epochs": "1"})["metrics"]["twin"]
    task = outcome_task(s, "will_buy", "x", shops.instant(90), 15, 0)
    new = new_to(s, task, (shops.instant(75), 0))
    # Nobody's part depends on the id that was seen, so none who is held out now was met then.
    assert told["window"]["users"] == new.sum() == (task.parts == TEST).sum()
    assert told["window"]["newcomers"] == 0


def test_models_are_compared_on_nobody_they_met(s, shops):
    settings = QUICK | {"twin": False, "options": {"epochs": "1"}}
    early = train(s, **settings, cutoff=shops.instant(75), seed=1)
    late = train(s, **settings, cutoff=shops.instant(90))
    task = outcome_task(s, "will_buy", "x", shops.instant(90), 15, 0)
    new = new_to(s, task, (shops.instant(75), 1))
    assert (
        compare(s, early, load_model(s.store, late["model"]), task).users
        == (new & (task.parts == TEST)).sum()
    )
    task = outcome_task(s, "will_buy", "x", shops.instant(105), 15, 0)
    new = new_to(s, task, (shops.instant(75), 1))
    told = evaluate(s, model=early["name"], cutoff=shops.instant(105))["window"]
    assert (told["users"], told["newcomers"]) == (new.sum(), 0)
    new = new_to(s, task, (shops.instant(75), 1), (shops.instant(90), 0))
    assert side_by_side(s, early["name"], late["name"])["window"]["users"] == new.sum() > 0


def test_where_nobody_is_new_that_is_said(s, shops, monkeypatch):
    monkeypatch.setattr(Persons, "among", lambda _self, users, _others: np.ones(len(users), bool))
    told = train(s, **QUICK, cutoff=shops.instant(90), options={"epochs": "1"})
    assert told["metrics"]["twin"] == {"why": "nobody in the window is new to it"}
    with pytest.raises(OperationError, match=f"Nobody new to {told['name']} was known when"):
        evaluate(s, model=told["name"])


def test_a_link_told_too_late_for_a_model_hides_nobody_it_met(s, shops, tmp_path):
    """The link lies before the model's cutoff, and came after its training: it knew the two ids."""
    early = train(s, **QUICK, twin=False, options={"epochs": "1"}, cutoff=shops.instant(90))
    task = outcome_task(s, "will_buy", "x", shops.instant(90), 15, 0)
    learnt = task.users[task.parts != TEST]
    households(s, tmp_path)
    told = evaluate(s, model=early["name"], cutoff=shops.instant(105))["window"]
    later = outcome_task(s, "will_buy", "x", shops.instant(105), 15, 0).users
    assert told["users"] == (~s.identity().among(later, learnt)).sum()
    assert len(later) < 0.6 * PAIRS


def test_a_cut_hides_nobody_behind_a_link_told_since(shops, monkeypatch, tmp_path):
    """Of the id that was learnt from no event is left: it is known by the link alone."""
    shop = shops(tmp_path / "shop", monkeypatch, clock="data")
    draw = np.random.default_rng(0)
    rows = [line(f"{who}{pair}", draw.uniform(0, 74), "view") for pair in range(300) for who in "cd"]
    rows += [line(f"{who}{pair}", draw.uniform(76, 89), "purchase", 9) for pair in range(150) for who in "cd"]
    rows += [line(f"c{pair}", draw.uniform(100, 120), "view") for pair in range(300)]
    links = [linked(pair, 80) for pair in range(300)]
    for name, told in (("rows", rows), ("links", links)):
        (tmp_path / name).write_text("".join(json.dumps(each) + "\n" for each in told))
    with shop.open() as s:
        import_files(s, [tmp_path / "rows"], format="events")
        early = train(s, **QUICK, twin=False, options={"epochs": "1"}, cutoff=shops.instant(75))
        task = outcome_task(s, "will_buy", "x", shops.instant(75), 15, 0)
        learnt = persons(s, task.users[task.parts != TEST])
        import_files(s, [tmp_path / "links"], format="events")
        retain(s, "28d")
        evidence = Evidence(s.events(), s.identity(), s.attributes())
        left = evidence.events["user"].unique().to_numpy()
        met = past(s, definitions(s).models[early["model"]], evidence)
        assert evidence.identity.among(left, met.shown)[np.isin(persons(s, left), learnt)].all()


def test_going_on_judges_nobody_by_whom_it_learnt_from(s, shops, tmp_path):
    settings = {"horizon": "15d", "policy": "will_buy", "options": {"epochs": "1"}}
    old = train(s, **settings, kind="logistic", promote=True, twin=False, origins=0, cutoff=shops.instant(75))
    before = outcome_task(s, "will_buy", "x", shops.instant(75), 15, 0)
    households(s, tmp_path)
    plain = outcome_task(s, "will_buy", "x", shops.instant(90), 15, 0)
    going = Warm(s, "will_buy", "will_buy", shops.instant(90), 15, "adam", {})
    parts, own = going.task.parts, homes(s, plain.users)
    taught = np.isin(own, homes(s, before.users[before.parts == TRAIN]))
    shown = np.isin(own, homes(s, before.users[before.parts != TEST]))
    assert np.array_equal(parts == TEST, (plain.parts == TEST) & ~shown)
    assert np.array_equal(parts == VALID, (plain.parts == VALID) & ~taught)
    assert np.array_equal(parts == TRAIN, plain.parts == TRAIN)
    assert set(parts[(parts != plain.parts)]) == {TRAIN + EARLIER}
    (again,) = going.task.earlier
    assert set(again.parts) == {TRAIN}, "what one network learns from, no validation users"
    judges = own[np.isin(parts, (VALID, TEST))]
    assert not np.isin(homes(s, again.users), judges).any()
    warm = train(s, **settings, warm=True, cutoff=shops.instant(90), promote=False)
    former, new = warm["warm"]["windows"]
    assert new["users"] == warm["metrics"]["window"]["users"] == (parts == TEST).sum()
    held = homes(s, before.users[before.parts == TEST])
    learnt = np.concatenate([homes(s, before.users[before.parts != TEST]), own[parts != TEST]])
    assert former["users"] == (~np.isin(held, learnt)).sum() > 0
    # Whom the model before it met, it knows too.
    told = evaluate(s, model=warm["name"], cutoff=shops.instant(105))["window"]
    later = homes(s, outcome_task(s, "will_buy", "x", shops.instant(105), 15, 0).users)
    assert told["users"] == (~np.isin(later, learnt)).sum() > 0
    assert old["name"] != warm["name"]


def test_a_member_is_not_judged_by_whom_it_learnt_from_before_a_link(s):
    """Users 2 and 3 became one since: their fold is another, so they teach and judge nobody."""
    links = s.identity().links.head(1).with_columns(user=2, other=3)
    users, parts = np.arange(1, 6), np.array([TRAIN, TRAIN, VALID, VALID, TEST], np.int8)
    going = parts_going_on(Persons(links), users, parts, Past(users, parts, users), 4)
    assert going.tolist() == [TRAIN, TRAIN + EARLIER, TRAIN + EARLIER, VALID, TEST]
