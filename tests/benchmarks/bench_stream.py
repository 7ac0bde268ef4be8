"""How many events a second can be offered for a while, scored as they come, and be done within two seconds.

Run as `python -m tests.benchmarks.bench_stream [--users N] [--seconds S] [--store DIR]`: prints a table, then
the same as one JSON line. A file grows at a steady rate; `ingest --follow` commits its lines and `rescore
--follow` moves their users, each a process as an operator runs it. The lag of a line goes from when it is due
to be written, to when the rescore that saw it told that its moves are committed; the peer is the same stream
with `ingest --follow` alone, up to the line's commit. Every rate is tried on a copy of the same store, rates
are halved between the highest that held and the lowest that did not, and the one found held for all the
seconds. With --store the store is kept there, and taken from there the next time.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from db import log
from segtui.operations.definitions import definitions
from segtui.operations.rescore import rescore
from segtui.operations.session import open_session
from segtui.operations.train import train
from tests.benchmarks.bench_rescore import KINDS, SHARES, make
from tests.benchmarks.shown import show

USERS, SECONDS = 100_000, 60.0
LAG = 2.0
BEAT = 0.05
"""Seconds between two writes to the file."""
LEAD = 3.0
"""Seconds at the rate before lags count."""
WARM, PATIENCE = 500, 180.0
STEP = 1.15
"""Rates nearer to each other than that are not told apart."""
SHORT = 0.25
"""The share of the seconds for which a rate is tried on the way."""
FIRST = {True: 1_000.0, False: 4_000.0}
LEAST = 20.0


def prepared(folder, users, **training):
    """A store with ten events of each user, its model deciding and everyone scored."""
    store = make(folder, users)
    with open_session(store) as s:
        if not definitions(s).models:
            train(s, twin=False, **training)
        rescore(s)
    return store


def lines(count, users, at, draw):
    """So many event lines of users drawn anew, one in a hundred of them unknown, as bytes."""
    kinds = draw.choice(KINDS, count, p=SHARES)
    bought = pl.col("kind") == "purchase"
    frame = pl.DataFrame(
        {
            "user": pl.Series(
                np.where(draw.random(count) < 0.01, users, 0) + draw.integers(0, users, count)
            ).cast(pl.String),
            "kind": kinds,
            "item": pl.Series(draw.integers(0, 5_000, count)).cast(pl.String),
            "order": pl.Series(draw.integers(0, 2**60, count)).cast(pl.String),
            "amount": draw.uniform(5, 300, count).round(2),
        }
    ).with_columns(
        pl.lit(at).alias("time"),
        *(pl.when(bought).then(name).alias(name) for name in ("order", "amount")),
        pl.when(bought).then(pl.lit("EUR")).alias("currency"),
    )
    told = frame.select(pl.struct(pl.all()).struct.json_encode().str.replace_all(r',"[a-z]+":null', ""))
    return [line.encode() + b"\n" for line in told.to_series().to_list()]


class Told:
    """What a command prints, line by line, each with the instant at which it came."""

    def __init__(self, store, *arguments):
        command = [sys.executable, "-m", "segtui", *map(str, arguments), "--store", str(store), "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), json.loads(line)))

    def stop(self):
        """Ends it as an operator does."""
        self.process.terminate()
        self.process.wait(60)
        self._reader.join(60)
        self.process.stdout.close()


class Stream:
    """A file that grows, those who follow it, and how far each has come."""

    def __init__(self, store, *, scoring):
        self.file = store.with_name("lines.ndjson")
        self.file.touch()
        self.offset, self._writes = 0, []
        self._end = self.file.open("ab", buffering=0)
        self._ingest = Told(store, "ingest", self.file, "--follow")
        self._rescore = Told(store, "rescore", "--follow") if scoring else None

    def write(self, texts, due):
        """Appends lines that were due at an instant."""
        self._end.write(b"".join(texts))
        self.offset += sum(map(len, texts))
        self._writes.append((due, self.offset))

    def lags(self):
        """(due, seconds until done or None) of each write; in order, what is done comes first."""
        commits, rescores = (
            list(told.lines) if told is not None else [] for told in (self._ingest, self._rescore)
        )
        found, commit, scored = [], 0, 0
        for due, offset in self._writes:
            while commit < len(commits) and commits[commit][1]["offset"] < offset:
                commit += 1
            if commit == len(commits):
                found.append((due, None))
                continue
            done, told = commits[commit]
            if self._rescore is not None:
                while scored < len(rescores) and rescores[scored][1]["position"] < told["last_seq"]:
                    scored += 1
                done = rescores[scored][0] if scored < len(rescores) else None
            found.append((due, None if done is None else max(done - due, 0.0)))
        return found

    def settle(self, seconds):
        """Waits until all that was written is done; raises TimeoutError."""
        until = time.monotonic() + seconds
        while any(lag is None for _, lag in self.lags()):
            ended = [told.process.poll() for told in (self._ingest, self._rescore) if told is not None]
            if time.monotonic() > until or any(code is not None for code in ended):
                raise TimeoutError(f"What was written is not done after {seconds:.0f} s ({ended}).")
            time.sleep(BEAT)

    def close(self):
        """Ends all."""
        for told in (self._ingest, self._rescore):
            if told is not None:
                told.stop()
        self._end.close()


@contextmanager
def copied(store):
    """A copy of a store, for one trial."""
    with tempfile.TemporaryDirectory(dir=store.parent.parent) as folder:
        there = shutil.copytree(store.parent, Path(folder) / "trial")
        yield there / store.name


def offered(store, users, rate, seconds, *, scoring):
    """Lags in seconds of a stream at a rate; None when one reached the limit, which ends it."""
    draw = np.random.default_rng(5)
    with copied(store) as trial:
        with open_session(trial) as s:
            at = s.iso(log.summary(s.store).last)
        texts = lines(math.ceil(rate * (LEAD + seconds)) + 2 * WARM, users, at, draw)
        stream = Stream(trial, scoring=scoring)
        try:
            for _ in range(2):
                stream.write(texts[:WARM], time.monotonic())
                del texts[:WARM]
                stream.settle(PATIENCE)
            began = time.monotonic()
            written = 0
            while written < len(texts):
                now = time.monotonic()
                beats = math.floor((now - began) / BEAT)
                upto = min(math.floor(beats * BEAT * rate), len(texts))
                if upto > written:
                    stream.write(texts[written:upto], began + beats * BEAT)
                    written = upto
                counted = [each for each in stream.lags() if each[0] >= began + LEAD]
                if _late(counted, time.monotonic()):
                    return None
                time.sleep(max(0.0, began + (beats + 1) * BEAT - time.monotonic()))
            until = time.monotonic() + LAG
            while time.monotonic() < until and any(lag is None for _, lag in stream.lags()):
                time.sleep(BEAT)
            counted = [each for each in stream.lags() if each[0] >= began + LEAD]
            return None if _late(counted, math.inf) else [lag for _, lag in counted]
        finally:
            stream.close()


def _late(lags, now):
    """Whether anything took, or waits, longer than it may."""
    return any((now - due if lag is None else lag) >= LAG for due, lag in lags)


def highest(store, users, seconds, *, scoring, tell=print):
    """The highest rate that held for the seconds, in events/s, and its lags; RuntimeError when none did."""

    def tried(rate, seconds):
        lags = offered(store, users, rate, seconds, scoring=scoring)
        held = "did not hold" if lags is None else f"held, {max(lags):.2f} s at most"
        tell(f"{'scored' if scoring else 'appended'}: {rate:,.0f} events/s for {seconds:.0f} s {held}")
        return lags

    good, bad, rate = 0.0, math.inf, FIRST[scoring]
    while bad > max(good, LEAST) * STEP:
        if tried(rate, seconds * SHORT) is None:
            bad = rate
        else:
            good = rate
        rate = good * 2 if bad == math.inf else math.sqrt(good * bad) if good else bad / 2
    while good > LEAST:
        lags = tried(good, seconds)
        if lags is not None:
            return good, lags
        good /= STEP
    raise RuntimeError(f"No rate of {LEAST:g} events/s or more held for {seconds:.0f} s.")


def bench(folder, *, users=USERS, seconds=SECONDS, **training):
    """Measures and prints; returns events/s scored and only appended."""
    store = prepared(folder / "store", users, **training)
    (scored, own), (appended, peer) = (
        highest(store, users, seconds, scoring=scoring) for scoring in (True, False)
    )
    rows = [(f"highest rate for {seconds:.0f} s", scored, appended, "events/s")]
    rows += [
        (f"its lag, {name}", float(np.quantile(own, share)), float(np.quantile(peer, share)), "s")
        for name, share in (("p50", 0.5), ("p95", 0.95), ("longest", 1.0))
    ]
    show(f"a stream scored as it comes, {users:,} users, lag under {LAG:g} s, against only appended", rows)
    return scored, appended


def main():
    """Parses and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--store", type=Path, metavar="DIR")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(told.store or Path(folder), users=told.users, seconds=told.seconds)


if __name__ == "__main__":
    main()
