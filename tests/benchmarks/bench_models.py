"""How good the models are on real data, split by split against the logistic baseline, and how fast.

Run as `python tests/benchmarks/bench_models.py [--quick]`: prints tables, then one JSON line per table. Data
are found through SEGTUI_TEST_DATA, by default beside the project; what is absent is left out with a
sentence.
"""

import argparse
import json
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import polars as pl
from flax import nnx
from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from engine.encoding import Encoder
from engine.evaluation import Sample, baselines, metrics
from engine.features import FeatureSpec, features, spec_for
from engine.labels import VALUE_LABELS, future_value, given_labels, value_labels
from engine.model import Model
from engine.models import KINDS, build
from engine.replay import CHANGES, frames
from engine.schema import ATTRIBUTES, EVENTS
from engine.scoring import Scorer
from engine.sequences import sequence_spec_for, sequences
from engine.training import Inputs, TrainingSpec, split, train
from segtui.sources import Options, read

DATA = Path(os.environ.get("SEGTUI_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
CONSOLE = Console(width=150)
NOW = 1_750_000_000_000_000
DAY = 86_400_000_000
TEST = 2


@dataclass
class Case:
    """Users to learn from: features, sequences when there are any, and labels for each split."""

    frame: pl.DataFrame
    spec: FeatureSpec
    cells: np.ndarray | None
    names: tuple[str, ...]
    outcomes: pl.DataFrame | None
    given: np.ndarray | None

    def labels(self, parts):
        return self.given if self.outcomes is None else value_labels(self.outcomes, parts == 0)[0]

    @property
    def value(self):
        return None if self.outcomes is None else self.outcomes["spend"].to_numpy()


def midnight(date):
    return int(np.datetime64(date, "us").astype(np.int64))


def future_case(path, form, cutoff, days):
    """Users seen before the cutoff, labelled by what they bought in the days after it."""
    parsed = pl.concat([batch.accepted for batch in read(path, form, Options(now=NOW))])
    numbered = {name: pl.col(name).cast(pl.Categorical).to_physical() for name in ("order", "item", "region")}
    unused = dict.fromkeys(("category", "platform", "device", "session"))
    events = parsed.with_columns(
        seq="line", user=pl.col("user").rank("dense"), occurred_at="time", **unused, **numbered
    ).select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items())
    at = midnight(cutoff)
    past = events.filter(pl.col("occurred_at") < at)
    spec = spec_for(past, "UTC")
    frame = features(past, None, at, spec)
    users = frame["user"].to_numpy()
    cells = sequences(past, None, at, sequence_spec_for(spec), users)
    outcomes = future_value(events, None, at, at + days * DAY, users)
    return Case(frame, spec, cells, VALUE_LABELS, outcomes, None)


def table_case(path, label):
    """Users as rows of a table, with the label they were given."""
    batches = list(read(path, "table", Options(now=NOW)))
    rows = pl.concat([batch.accepted for batch in batches])
    events = pl.DataFrame(
        {"seq": rows["line"], "user": rows["line"], "occurred_at": rows["time"], "kind": "identify"}
    )
    events = events.select(
        (pl.col(name) if name in events.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in EVENTS.items()
    )
    known = pl.concat([batch.attributes for batch in batches if batch.attributes is not None])
    known = known.with_columns(seq="line", user="line", occurred_at=NOW).select(
        pl.col(name).cast(dtype) for name, dtype in ATTRIBUTES.items()
    )
    others = known.filter(pl.col("name") != label)
    spec = spec_for(events, "UTC", others)
    frame = features(events, None, NOW + 1, spec, others)
    given, names = given_labels(known, label, frame["user"].to_numpy())
    return Case(frame, spec, None, names, None, given)


def judged(case, kind, seed, shares):
    """One model on one split: its metrics on the test users, epochs and seconds."""
    parts = split(case.frame["user"].to_numpy(), seed, shares)
    labels = case.labels(parts)
    columns = [name for name in case.frame.columns if name != "user"]
    encoder = Encoder.fit(case.frame.filter(pl.Series(parts == 0)), columns, kind=KINDS[kind].encoding)
    reads = KINDS[kind].reads_sequences
    fitted = train(
        kind,
        Inputs(encoder.transform(case.frame), case.cells if reads else None),
        labels,
        parts,
        len(case.names),
        TrainingSpec(seed=seed, **KINDS[kind].training),
    )
    model = Model(
        kind,
        case.names,
        case.spec,
        sequence_spec_for(case.spec) if reads else None,
        encoder,
        {},
        {},
        fitted.parameters,
    )
    test = parts == TEST
    scores = Scorer(model).scores(case.frame.filter(pl.Series(test)), case.cells[test] if reads else None)
    value = None if case.value is None else case.value[test]
    return metrics(labels[test], scores / 1_000_000, value, case.names), fitted


def plain(case, seed, shares):
    parts = split(case.frame["user"].to_numpy(), seed, shares)
    everyone = Sample(case.frame, case.labels(parts), case.value)
    return baselines(everyone.only(parts == 0), everyone.only(parts == TEST), case.names)


def quality(title, case, kinds, seeds, shares=(0.70, 0.15, 0.15)):
    """A line per model over the same splits; differences are paired with the logistic baseline's."""
    told = {name: [] for name in ("majority", "recency_frequency", "rfm_quintiles", "logistic")}
    for seed in seeds:
        for name, each in plain(case, seed, shares).items():
            told[name].append(each)
    cost = {}
    for kind in kinds:
        runs = [judged(case, kind, seed, shares) for seed in seeds]
        told[f"our {kind}"] = [each for each, _ in runs]
        cost[f"our {kind}"] = [(fitted.epochs, fitted.seconds) for _, fitted in runs]
    rows = []
    for name, each in told.items():
        row = {"model": name, "splits": len(each)}
        for metric in ("log_loss", "auc", "macro_f1", "ece", "value_capture_10"):
            values = [run[metric] for run in each]
            if None not in values:
                row |= {metric: float(np.mean(values)), f"{metric}_spread": float(np.std(values))}
        apart = [run["log_loss"] - peer["log_loss"] for run, peer in zip(each, told["logistic"], strict=True)]
        row |= {"over_logistic": float(np.mean(apart)), "over_logistic_spread": float(np.std(apart))}
        row |= {"over_logistic_worst": float(np.max(apart))}
        if name in cost:
            epochs, seconds = np.mean(cost[name], axis=0)
            row |= {"epochs": float(epochs), "seconds": float(seconds)}
        rows.append(row)
    show_quality(title, rows)


def show_quality(title, rows):
    table = Table(title=f"{title}, {rows[0]['splits']} splits, mean ± spread")
    heads = (
        "model",
        "log-loss",
        "over logistic",
        "worst",
        "AUC",
        "macro-F1",
        "top-10 % value",
        "epochs",
        "s",
    )
    for head in heads:
        table.add_column(head, justify="left" if head == "model" else "right", no_wrap=True)

    def spread(row, metric, form=".4f"):
        return f"{row[metric]:{form}} ± {row[metric + '_spread']:.4f}" if metric in row else "-"

    for row in rows:
        table.add_row(
            row["model"],
            spread(row, "log_loss"),
            spread(row, "over_logistic", "+.4f"),
            f"{row['over_logistic_worst']:+.4f}",
            spread(row, "auc"),
            f"{row['macro_f1']:.3f}",
            spread(row, "value_capture_10"),
            f"{row['epochs']:.0f}" if "epochs" in row else "-",
            f"{row['seconds']:.1f}" if "seconds" in row else "-",
        )
    CONSOLE.print(table)
    print(json.dumps({"benchmark": title, "rows": [rounded(row) for row in rows]}))


def rounded(row):
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in row.items()}


def speed(title, rows):
    """Rows of (what, ours, peer or None, unit); ratio = ours / peer."""
    table = Table(title=title)
    for head in ("what", "ours", "peer", "ratio", "unit"):
        table.add_column(head, justify="left" if head in ("what", "unit") else "right")
    told = []
    for what, ours, peer, unit in rows:
        ratio = ours / peer if peer else None
        table.add_row(
            what, f"{ours:,.4g}", f"{peer:,.4g}" if peer else "-", f"{ratio:.2f}" if ratio else "-", unit
        )
        told.append({"what": what, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit})
    CONSOLE.print(table)
    print(json.dumps({"benchmark": title, "rows": [rounded(row) for row in told]}))


def best(work, repeats=3):
    """The least seconds of some runs: what else the machine does can only add."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def epochs_per_second(n, epochs, width=64, batch=256):
    """The same work, epochs of Adam on a 64-32 network without dropout or early stopping: ours,
    scikit-learn's."""
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(n, width)).astype(np.float32)
    labels = np.digitize(inputs[:, 0] + draw.normal(size=n), [-0.5, 0.5]).astype(np.int32)
    parts = np.zeros(n, np.int8)
    parts[:batch] = 1
    spec = TrainingSpec(epochs=epochs + 1, patience=epochs + 1, batch_size=batch)

    def ours():
        """Seconds of the epochs after the first, which compiles."""
        ends = []
        options = {"dropout": 0.0, "members": 1}
        train(
            "mlp",
            Inputs(inputs),
            labels,
            parts,
            3,
            spec,
            options,
            on_epoch=lambda _: ends.append(time.perf_counter()),
        )
        return ends[-1] - ends[0]

    def peer():
        model = MLPClassifier(
            (64, 32), batch_size=batch, max_iter=epochs, n_iter_no_change=epochs + 1, tol=0, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs[batch:], labels[batch:])

    return epochs / min(ours() for _ in range(3)), epochs / best(peer)


def users_per_second(case, n):
    """Scores of n users from a frame of features, against a bare loop of the jitted network over ready
    arrays."""
    fitted = TrainingSpec(epochs=1)
    parts = split(case.frame["user"].to_numpy(), 0)
    names = [name for name in case.frame.columns if name != "user"]
    encoder = Encoder.fit(case.frame, names, kind=KINDS["mlp"].encoding)
    ready = encoder.transform(case.frame)
    trained = train("mlp", Inputs(ready), case.labels(parts), parts, len(case.names), fitted)
    scorer = Scorer(Model("mlp", case.names, case.spec, None, encoder, {}, {}, trained.parameters))
    rows = np.arange(n) % case.frame.height
    frame, ready = case.frame[rows].rechunk(), ready[rows]
    shape = {"features": ready.shape[1], "bins": 0, "channels": 0, "labels": len(case.names)}
    graph, state = nnx.split(build("mlp", **shape, seed=0, options={}))
    network = jax.jit(lambda state, x: nnx.merge(graph, state)(x))
    tile = KINDS["mlp"].tile

    def bare():
        jax.block_until_ready([network(state, ready[at : at + tile]) for at in range(0, n - tile + 1, tile)])

    bare()
    scorer.scores(frame)
    return n / best(lambda: scorer.scores(frame)), n / best(bare)


def changes_per_second(n, users, ticks):
    """Recorded changes folded into frames."""
    draw = np.random.default_rng(0)
    as_of = np.sort(draw.integers(1, ticks + 1, n))
    user, came = draw.integers(0, users, n), draw.integers(0, 3, n)
    order = np.lexsort((np.arange(n), user))
    left = np.full(n, -1)
    same = user[order][1:] == user[order][:-1]
    left[order[1:][same]] = came[order[:-1][same]]
    columns = {
        "seq": np.arange(n),
        "segmentation": np.full(n, 9),
        "user": user,
        "as_of": as_of,
        "cause_seq": as_of,
    } | dict.fromkeys(("to_label", "probability", "reason", "model"), came)
    changes = pl.DataFrame(columns).with_columns(
        pl.when(pl.Series(left) >= 0).then(pl.Series(left)).alias("from_label"),
        cause=pl.lit("clock"),
        backfilled=pl.lit(False),
        hindsight=pl.lit(False),
    )
    names = {0: "high", 1: "medium", 2: "low", 9: "value"}
    fold = changes.select(CHANGES)
    return n / best(lambda: list(frames(fold, list(range(1, ticks + 1)), names=names)))


def found(name):
    path = DATA / name
    if not path.exists():
        CONSOLE.print(f"{name} is not in {DATA}: set SEGTUI_TEST_DATA to the folder that holds it.")
    return path if path.exists() else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two splits and small arrays: does it run at all"
    )
    quick = parser.parse_args().quick
    ten, five = (range(2), range(2)) if quick else (range(10), range(5))
    if path := found("CDNOW_master.txt.gz"):
        cdnow = future_case(path, "cdnow", "1997-10-01", 270)
        quality("CDNOW, cutoff 1997-10-01, 270 d", cdnow, ("logistic", "mlp", "cnn"), ten)
    if path := found("online_retail.parquet"):
        retail = future_case(path, "online-retail", "2011-09-10", 91)
        quality("Online Retail, cutoff 2011-09-10, 91 d", retail, ("mlp", "cnn"), five)
    if path := found("online_shoppers_intention.csv.gz"):
        shoppers = table_case(path, "Revenue")
        quality("Online Shoppers, given label", shoppers, ("logistic", "mlp"), five, (0.65, 0.15, 0.20))
    n = 20_000 if quick else 100_000
    rows = [("MLP 64-32, 64 inputs, batch 256", *epochs_per_second(n, 3 if quick else 5), "epochs/s")]
    if found("CDNOW_master.txt.gz"):
        rows.append(("full scoring from features", *users_per_second(cdnow, 10 * n), "users/s"))
    rows.append(("recorded replay, 90 ticks", changes_per_second(10 * n, n, 90), None, "changes/s"))
    speed("Speed", rows)


if __name__ == "__main__":
    main()
