"""The data the models are judged on: features, sequences and outcomes at a cutoff and at earlier ones."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from engine.features import FeatureSpec, features, spec_for
from engine.labels import apply_outcome, future_value, given_labels, value_labels
from engine.schema import ATTRIBUTES, EVENTS
from engine.sequences import SequenceSpec, sequence_spec_for, sequences
from engine.splits import EARLIER, TEST, TRAIN, split
from engine.starter import VALUE_LABELS
from segtui.simulator import simulate
from segtui.sources import Options, read

DATA = Path(os.environ.get("SEGTUI_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
NOW = 1_750_000_000_000_000
DAY = 86_400_000_000
TEXTS = ("order", "item", "category", "platform", "device", "region", "session")


@dataclass
class Snapshot:
    """Everyone known at an instant: features, sequences where there are any, and what they did after it (or
    the label they were given)."""

    frame: pl.DataFrame
    cells: np.ndarray | None
    outcomes: pl.DataFrame | None
    given: np.ndarray | None = None

    @property
    def users(self):
        return self.frame["user"].to_numpy()

    @property
    def value(self):
        return None if self.outcomes is None else self.outcomes["spend"].to_numpy()

    def only(self, chosen):
        return Snapshot(
            self.frame.filter(pl.Series(chosen)),
            None if self.cells is None else self.cells[chosen],
            None if self.outcomes is None else self.outcomes.filter(pl.Series(chosen)),
            None if self.given is None else self.given[chosen],
        )


@dataclass
class Case:
    """What is learnt (the latest cutoff first), and who is judged: None for the test users of that cutoff."""

    title: str
    spec: FeatureSpec
    sequence_spec: SequenceSpec | None
    names: tuple[str, ...]
    learnt: list[Snapshot]
    judged: Snapshot | None = None
    shares: tuple[float, float, float] = (0.70, 0.15, 0.15)

    def split(self, seed):
        """One split: every model gets this and nothing else."""
        latest = self.learnt[0]
        parts = split(latest.users, seed, self.shares)
        if latest.outcomes is None:
            labels, thresholds = latest.given, None
        else:
            labels, thresholds = value_labels(latest.outcomes, parts == TRAIN)
        earlier = []
        for each in self.learnt[1:]:
            own = split(each.users, seed, self.shares)
            known = each.only(own != TEST)
            targets = apply_outcome("future_value", known.outcomes, thresholds)
            earlier.append((known, targets, own[own != TEST] + EARLIER))
        if self.judged is None:
            test, truth = latest.only(parts == TEST), labels[parts == TEST]
        else:
            held_out = split(self.judged.users, seed, self.shares) == TEST
            test = self.judged.only(held_out | ~np.isin(self.judged.users, latest.users))
            truth = apply_outcome("future_value", test.outcomes, thresholds)
        return Split(self, seed, latest, parts, labels, earlier, test, truth)


@dataclass
class Split:
    """`parts` and `labels` are of the `latest` users; `earlier` holds by cutoff all but the test users, their
    labels and parts; `truth` are the labels of `test`."""

    case: Case
    seed: int
    latest: Snapshot
    parts: np.ndarray
    labels: np.ndarray
    earlier: list[tuple[Snapshot, np.ndarray, np.ndarray]]
    test: Snapshot
    truth: np.ndarray


def midnight(day):
    return int(np.datetime64(day, "us").astype(np.int64))


def future_case(title, events, cutoff, horizon, origins=1, judged=None):
    """Users seen before the cutoff, labelled by what they bought in the days after it; earlier cutoffs lie a
    third of the horizon apart. `judged` is the later instant of a deployment."""
    at = midnight(cutoff)
    past = events.filter(pl.col("occurred_at") < at)
    spec = spec_for(past, "UTC")
    binned = sequence_spec_for(spec)

    def seen(instant):
        before = events.filter(pl.col("occurred_at") < instant)
        frame = features(before, None, instant, spec)
        users = frame["user"].to_numpy()
        outcomes = future_value(events, None, instant, instant + horizon * DAY, users)
        return Snapshot(frame, sequences(before, None, instant, binned, users), outcomes)

    first = events["occurred_at"].min()
    instants = [at - back * (horizon // 3) * DAY for back in range(origins + 1)]
    learnt = [seen(instant) for instant in instants if instant > first]
    return Case(title, spec, binned, VALUE_LABELS, learnt, None if judged is None else seen(midnight(judged)))


def events_of(name, form):
    """The events of a file of the data folder, texts as numbers; None with a sentence where it is absent."""
    if not (DATA / name).exists():
        print(f"{name} is not in {DATA}: set SEGTUI_TEST_DATA to the folder that holds it.")
        return None
    parsed = pl.concat([batch.accepted for batch in read(DATA / name, form, Options(now=NOW))])
    return numbered(parsed)


def simulated(users=5_000, days=400, seed=7):
    """The events of the simulated shop that `segtui demo` makes."""
    shop = simulate(users=users, days=days, seed=seed, end=date(2026, 3, 1), dirty=0.0)
    return numbered(shop.with_row_index("line", offset=1))


def numbered(parsed):
    codes = {name: pl.col(name).cast(pl.Categorical).to_physical() for name in TEXTS}
    whole = parsed.with_columns(seq="line", user=pl.col("user").rank("dense"), occurred_at="time", **codes)
    return whole.select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items())


def table_case(title, name, label):
    """Users as rows of a table, with the label they were given."""
    if not (DATA / name).exists():
        print(f"{name} is not in {DATA}: set SEGTUI_TEST_DATA to the folder that holds it.")
        return None
    batches = list(read(DATA / name, "table", Options(now=NOW)))
    rows = pl.concat([batch.accepted for batch in batches])
    told = {"seq": rows["line"], "user": rows["line"], "occurred_at": rows["time"], "kind": "identify"}
    events = pl.DataFrame(told).select(
        (pl.col(each) if each in told else pl.lit(None)).cast(dtype).alias(each)
        for each, dtype in EVENTS.items()
    )
    known = pl.concat([batch.attributes for batch in batches if batch.attributes is not None])
    known = known.with_columns(seq="line", user="line", occurred_at=NOW).select(
        pl.col(each).cast(dtype) for each, dtype in ATTRIBUTES.items()
    )
    others = known.filter(pl.col("name") != label)
    spec = spec_for(events, "UTC", others)
    frame = features(events, None, NOW + 1, spec, others)
    given, names = given_labels(known, label, frame["user"].to_numpy())
    learnt = [Snapshot(frame, None, None, given)]
    return Case(title, spec, None, names, learnt, shares=(0.65, 0.15, 0.20))


def cases(chosen=None):
    """What makes each set, then each deployment, by name: a case, or None where data are absent."""

    def future(name, form, *told, **more):
        events = events_of(name, form)
        return None if events is None else future_case(*told[:1], events, *told[1:], **more)

    cdnow, retail = ("CDNOW_master.txt.gz", "cdnow"), ("online_retail.parquet", "online-retail")
    found = {
        "shoppers": lambda: table_case(
            "Online Shoppers, given label", "online_shoppers_intention.csv.gz", "Revenue"
        ),
        "retail": lambda: future(*retail, "Online Retail, cutoff 2011-09-10, 91 d", "2011-09-10", 91),
        "simulator": lambda: future_case(
            "Simulated shop, cutoff 2025-12-01, 90 d", simulated(), "2025-12-01", 90
        ),
        "cdnow": lambda: future(*cdnow, "CDNOW, cutoff 1997-10-01, 270 d", "1997-10-01", 270),
        "retail-deployed": lambda: future(
            *retail, "Online Retail, learnt at 2011-06-11, judged at 2011-09-10, 91 d", "2011-06-11", 91,
            judged="2011-09-10",
        ),
        "simulator-deployed": lambda: future_case(
            "Simulated shop, learnt at 2025-09-02, judged at 2025-12-01, 90 d", simulated(), "2025-09-02",
            90, judged="2025-12-01",
        ),
        "cdnow-deployed": lambda: future(
            *cdnow, "CDNOW, learnt at 1998-01-01, judged at 1998-04-01, 90 d", "1998-01-01", 90,
            judged="1998-04-01",
        ),
    }  # fmt: skip
    return {name: make for name, make in found.items() if not chosen or name in chosen}
