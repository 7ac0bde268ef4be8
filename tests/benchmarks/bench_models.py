"""How good the models are beside what an analyst would reach for, split by split, on real and simulated data.

Run as `python tests/benchmarks/bench_models.py [--splits 10] [--only cdnow …] [--keep FILE]`: prints a table
per set, then the same as one JSON line. Every model gets the same users, features and splits; differences are
in pairs, against tuned LightGBM. With `--keep` each result is written as it comes and never computed twice.
Data are found through SEGTUI_TEST_DATA; what is absent is left out with a sentence.
"""

import argparse
import json
import time
from pathlib import Path

import model_rivals as rivals
import numpy as np
from model_cases import cases
from rich.console import Console
from rich.table import Table

from engine.evaluation import ece_if_true, metrics
from engine.models import KINDS

CONSOLE = Console(width=170)
YARDSTICK = "lightgbm"
PLAIN = ("majority", "recency_frequency", "rfm_quintiles", "logistic")
RIVALS = {
    "past spend": rivals.past_spend,
    "sklearn MLP": rivals.sklearn_mlp,
    YARDSTICK: rivals.lightgbm,
    "lightgbm, earlier cutoffs too": lambda split: rivals.lightgbm(split, earlier=True),
}


def entrants(case, kinds):
    """(name, function of a split) of all that are judged."""
    found = dict(RIVALS)
    if len(case.learnt) == 1:
        found.pop("lightgbm, earlier cutoffs too")
    for kind in kinds:
        found[f"our {kind}"] = lambda split, kind=kind: rivals.ours(split, kind, earlier=False)
        if len(case.learnt) > 1 and KINDS[kind].reads_features:
            found[f"our {kind}, earlier cutoffs too"] = lambda split, kind=kind: rivals.ours(split, kind)
    return found


def told(split, given, seconds):
    """One line of results."""
    value = split.test.value
    found = metrics(split.truth, given, value, split.case.names)
    return found | {"ece_if_true": ece_if_true(given), "users": len(split.truth), "seconds": seconds}


class Results:
    """Results by set, model and seed, kept in a file where one is named."""

    def __init__(self, path):
        self.path, self.found = path, {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                *key, result = json.loads(line)
                self.found[tuple(key)] = result

    def add(self, key, result):
        self.found[key] = result
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps([*key, result]) + "\n")


def judge(name, case, seed, kinds, results):
    """All models on one split of one set, but for those that were judged before."""
    split = case.split(seed)
    if any((name, plain, seed) not in results.found for plain in PLAIN):
        for plain, given in rivals.plain(split).items():
            results.add((name, plain, seed), told(split, given, None))
    for entrant, model in entrants(case, kinds).items():
        if (name, entrant, seed) in results.found:
            continue
        began = time.process_time()
        given = model(split)
        if given is not None:
            results.add((name, entrant, seed), told(split, given, time.process_time() - began))


def rows_of(name, results, seeds):
    """A row per model over the splits that all of them have."""
    found = {}
    for (set_, model, seed), result in results.found.items():
        if set_ == name and seed in seeds:
            found.setdefault(model, {})[seed] = result
    shared = sorted(set.intersection(*(set(each) for each in found.values())))
    yardstick = found.get(YARDSTICK, found["logistic"])
    rows = []
    for model, by_seed in found.items():
        row = {"model": model, "splits": len(shared)}
        for metric in ("log_loss", "auc", "macro_f1", "ece", "ece_if_true", "value_capture_10", "seconds"):
            values = [by_seed[seed][metric] for seed in shared]
            if None not in values:
                row |= {metric: float(np.mean(values)), f"{metric}_spread": float(np.std(values))}
        for metric in ("log_loss", "value_capture_10"):
            if metric in row:
                apart = [by_seed[seed][metric] - yardstick[seed][metric] for seed in shared]
                row |= {
                    f"{metric}_over": float(np.mean(apart)),
                    f"{metric}_over_spread": float(np.std(apart)),
                }
                row[f"{metric}_lower_in"] = int((np.array(apart) < 0).sum())
        row["calibrated_in"] = sum(by_seed[s]["ece"] <= by_seed[s]["ece_if_true"] for s in shared)
        rows.append(row)
    return rows


def show(title, rows):
    table = Table(title=f"{title}, {rows[0]['splits']} splits, mean ± spread; Δ in pairs against {YARDSTICK}")
    heads = ("model", "log-loss", "Δ log-loss", "lower in", "AUC", "top-10 % value", "Δ value", "ECE")
    for head in (*heads, "ECE 95 % if true", "within", "CPU s"):
        table.add_column(head, justify="left" if head == "model" else "right", no_wrap=True)

    def spread(row, metric, form=".4f"):
        return f"{row[metric]:{form}} ± {row[metric + '_spread']:.4f}" if metric in row else "-"

    for row in sorted(rows, key=lambda row: row["log_loss"]):
        table.add_row(
            row["model"],
            spread(row, "log_loss"),
            spread(row, "log_loss_over", "+.4f"),
            f"{row['log_loss_lower_in']}/{row['splits']}",
            f"{row['auc']:.4f}",
            spread(row, "value_capture_10"),
            spread(row, "value_capture_10_over", "+.4f"),
            f"{row['ece']:.4f}",
            f"{row['ece_if_true']:.4f}",
            f"{row['calibrated_in']}/{row['splits']}",
            f"{row['seconds']:.1f}" if "seconds" in row else "-",
        )
    CONSOLE.print(table)
    print(json.dumps({"benchmark": title, "rows": [rounded(row) for row in rows]}), flush=True)


def rounded(row):
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in row.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--only", nargs="*", help="some of: " + ", ".join(cases()))
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--keep", type=Path, help="where results are kept, to go on later")
    asked = parser.parse_args()
    results, made = Results(asked.keep), {}
    for seed in range(asked.splits):
        for name, make in cases(asked.only).items():
            made[name] = made[name] if name in made else make()
            if made[name] is not None:
                judge(name, made[name], seed, asked.kinds, results)
    for name, case in made.items():
        if case is not None:
            show(case.title, rows_of(name, results, range(asked.splits)))


if __name__ == "__main__":
    main()
