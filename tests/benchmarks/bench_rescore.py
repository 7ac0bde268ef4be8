"""What a batch of events inside a tick costs, from append to changes committed, whatever the users.

Run as `python tests/benchmarks/bench_rescore.py [--users N …] [--batches N] [--stores DIR]`: prints tables,
then one JSON line. A model of the default kind is trained on the smallest store and decides in all of them;
every user has ten events. All is measured in one warm process, in wall and processor time. With --stores the
stores are kept there, and taken from there the next time.
"""

import argparse
import json
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from db import log
from segtui.operations.deciders import Evidence, model_decider
from segtui.operations.definitions import definitions
from segtui.operations.follow import ingest
from segtui.operations.ingest import import_files
from segtui.operations.init import init
from segtui.operations.promotion import promotion
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from segtui.operations.train import train

EACH, BATCH, DAYS = 10, 1_000, 400
START = 1_740_000_000
KINDS, SHARES = ["view", "add_to_cart", "purchase"], [0.6, 0.15, 0.25]
COLUMNS = ("user", "time", "kind", "item", "order", "amount")
MAP = "[columns]\n" + "".join(f'{name} = "{name}"\n' for name in COLUMNS) + '[constants]\ncurrency = "EUR"\n'


def events(users, seed=1):
    """Ten events of each user, spread over a part of the days; some spend more than others."""
    draw = np.random.default_rng(seed)
    count = users * EACH
    who = np.repeat(np.arange(users), EACH)
    since = draw.uniform(0, DAYS * 0.8, users)
    day = since[who] + draw.random(count) * (draw.uniform(0.05, 1, users) * (DAYS - since))[who]
    amount = (draw.gamma(2.0, 30.0, users)[who] * draw.uniform(0.5, 1.5, count)).round(2)
    frame = pl.DataFrame(
        {
            "user": pl.Series(who).cast(pl.String),
            "time": pl.Series(((START + day * 86_400) * 1e6).astype(np.int64), dtype=pl.Datetime("us")),
            "kind": draw.choice(KINDS, count, p=SHARES),
            "item": pl.Series(draw.integers(0, 5_000, count)).cast(pl.String),
            "amount": amount,
        }
    ).sort("time")
    bought = pl.col("kind") == "purchase"
    return frame.with_row_index("number").select(
        "user",
        pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "kind",
        "item",
        pl.when(bought).then("number").alias("order"),
        pl.when(bought).then("amount").alias("amount"),
    )


def make(folder, users):
    """A store with these users' events, its clock that of the data."""
    folder.mkdir(parents=True, exist_ok=True)
    data, mapping, store = folder / "made.parquet", folder / "made.toml", folder / "shop.db"
    if store.exists():
        return store
    events(users).write_parquet(data)
    mapping.write_text(MAP)
    init(store, clock="data")
    with open_session(store) as s:
        import_files(s, [data], mapping=mapping)
    data.unlink()
    return store


def give(source, store):
    """Makes the model of one store decide in another, without going back over past ticks."""
    with open_session(source) as s, open_session(store) as other:
        trained = log.decisions(s.store, kinds=("model_trained",))[-1].body
        if trained["model"] in definitions(other).models:
            return
        spec, parameters = s.store.rows(
            "SELECT spec, parameters FROM models WHERE digest = ?", (trained["model"],)
        )[0]
        with other.store.transaction(actor="bench", source="train") as tx:
            tx.put_model(trained["model"], spec, parameters)
            tx.append_decision("model_trained", trained)
            tx.append_decision(*promotion(trained))


@contextmanager
def timed(into):
    """Appends (wall, processor) seconds of what runs inside."""
    began, used = time.perf_counter(), time.process_time()
    yield
    into.append((time.perf_counter() - began, time.process_time() - used))


def lines(users, at, draw):
    """A thousand event lines of users drawn anew, one in a hundred of them unknown."""
    names = np.where(draw.random(BATCH) < 0.01, users, 0) + draw.integers(0, users, BATCH)
    told = []
    for name, kind in zip(names.tolist(), draw.choice(KINDS, BATCH, p=SHARES).tolist(), strict=True):
        line = {"user": str(name), "time": at, "kind": kind, "item": str(draw.integers(0, 5_000))}
        if kind == "purchase":
            amount = round(float(draw.uniform(5, 300)), 2)
            line |= {"order": f"b{draw.integers(0, 2**60)}", "amount": amount, "currency": "EUR"}
        told.append(json.dumps(line))
    return "\n".join(told) + "\n"


def measured(store, users, batches):
    """Seconds of batches inside a tick, of a rescore of everyone, of a tick's end; users moved and due."""
    file = store.with_name(f"lines-{time.time_ns()}.ndjson")
    file.touch()
    draw = np.random.default_rng(time.time_ns() % 2**32)
    found = {"append": [], "batch": [], "boundary": [], "full": []}
    moved = due = 0
    with open_session(store) as s:
        rescore(s)
        last = log.summary(s.store).last
        stream = ingest(s, file, follow=True, rows=BATCH, delay=0.0)
        for number in range(batches + 2):
            kept = number > 1  # the first ones compile, and open what stays open
            with file.open("a") as end:
                end.write(lines(users, s.iso(last), draw))
            append, whole = [], []
            with timed(whole):
                with timed(append):
                    told = next(stream)
                result = rescore(s)
            assert told["accepted"] == BATCH
            if kept:
                found["append"] += append
                found["batch"] += whole
                moved, due = moved + result["changed"], due + result["due"]
        stream.close()
        with timed(found["full"]):
            full = rescore(s, full=True)
        assert full["changed"] == 0
        assert full["state_digest"] == result["state_digest"]
        with file.open("a") as end:
            end.write(lines(users, s.iso(last + 86_400_000_000), draw))
        for _ in ingest(s, file):
            pass
        with timed(found["boundary"]):
            rescore(s)
    file.unlink()
    return found, moved, due


def scoring(store):
    """Users/s of deciding for everyone, features ready, and of a bare loop of the jitted model."""
    with open_session(store) as s:
        model = definitions(s).segmentation("value").model
        decider = model_decider(s.store, model)
        evidence = Evidence(s.events(), s.identity(), s.attributes())
        as_of = s.require_as_of()
        frame = evidence.features(as_of, decider.spec)
    closed = np.full(frame.height, -1, np.int32)
    scorer, ours, bare = decider.scorer, [], []
    arrays = scorer.arrays(frame)
    size = scorer.kind.tile
    tiles = [
        np.pad(arrays.raw[start : start + size], ((0, max(0, start + size - len(arrays.raw))), (0, 0)))
        for start in range(0, len(arrays.raw), size)
    ]
    for _ in range(5):
        with timed(bare):
            given = (scorer._parameters, scorer._constants, scorer._beside)
            jax.block_until_ready([scorer._tile(*given, tile, None)[1] for tile in tiles])
        with timed(ours):
            decider.decide(frame, evidence, as_of, closed)
    return [frame.height / min(seconds)[0] for seconds in (ours, bare)]


def table(title, names, rows):
    """Prints rows of numbers."""
    shown = Table(title=title)
    for name in names:
        shown.add_column(name, justify="right")
    for row in rows:
        shown.add_row(*(f"{each:,.3f}" if isinstance(each, float) else f"{each:,}" for each in row))
    Console(width=120).print(shown)


def at(seconds, share, which=0):
    """A quantile of wall (0) or processor (1) seconds."""
    return float(np.quantile([each[which] for each in seconds], share))


def bench(sizes, batches, folder, **training):
    """Measures every size; returns what was found, also as printed."""
    stores = {users: make(folder / str(users), users) for users in sizes}
    with open_session(stores[sizes[0]]) as s:
        if not definitions(s).models:
            train(s, promote=False, **training)
    rows, told = [], []
    for users, store in stores.items():
        give(stores[sizes[0]], store) if users != sizes[0] else promoted(store)
        found, moved, due = measured(store, users, batches)
        row = {
            "users": users,
            "p50": at(found["batch"], 0.5),
            "p95": at(found["batch"], 0.95),
            "p50_cpu": at(found["batch"], 0.5, 1),
            "append_p50": at(found["append"], 0.5),
            "full": found["full"][0][0],
            "full_cpu": found["full"][0][1],
            "boundary": found["boundary"][0][0],
            "boundary_cpu": found["boundary"][0][1],
            "due": due,
            "changed": moved,
        }
        told.append(row)
        rows.append([row[name] for name in row])
    table(f"{BATCH:,} events inside a tick, append to commit (s); {batches} batches", list(told[0]), rows)
    ours, bare = scoring(stores[sizes[-1]])
    big, before = told[-1], told[-2]
    ratios = {
        "growth": big["p50"] / before["p50"],
        "growth_cpu": big["p50_cpu"] / before["p50_cpu"],
        "full_over_batch": big["full"] / big["p50"],
        "full_over_batch_cpu": big["full_cpu"] / big["p50_cpu"],
        "scoring_users_s": ours,
        "bare_users_s": bare,
        "scoring_over_bare": ours / bare,
    }
    table("ratios", list(ratios), [list(ratios.values())])
    print(json.dumps({"benchmark": "rescore", "rows": told, "ratios": ratios}))
    return told, ratios


def promoted(store):
    """Makes the one model of a store decide in it."""
    with open_session(store) as s:
        trained = log.decisions(s.store, kinds=("model_trained",))[-1].body
        if definitions(s).segmentation("value").model is None:
            with s.store.transaction(actor="bench", source="train") as tx:
                tx.append_decision(*promotion(trained))


def main():
    """Parses and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--stores", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(given.users, given.batches, given.stores or Path(folder))


if __name__ == "__main__":
    main()
