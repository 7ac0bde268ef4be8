"""Who holds which label of one segmentation while a run of rescores walks its as-ofs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy

import numpy as np
import polars as pl

from engine.deciding import DEFAULT_POLICY, margins, preferences
from engine.ticks import Ticks
from segtui.operations.deciders import Decider
from segtui.operations.due import Evaluated
from segtui.operations.moved_by import Moves, Outcome
from segtui.operations.recorded import Referred
from segtui.operations.stays import Stays
from segtui.operations.steps import Rest, Step, by_identity, caused_by

NONE = -1
WHOLE = 980_000
"""Millionths that the probabilities of all labels add up to at least, however they were rounded."""


class Holdings:
    """Labels, scores and since-when of every user in one segmentation, as arrays over sorted users."""

    def __init__(
        self,
        *,
        name: str,
        number: int,
        labels: Sequence[str],
        numbers: dict[str, int],
        users: np.ndarray,
        shown: pl.DataFrame,
        closed: pl.DataFrame,
        pass_number: int,
        unscored: bool,
        ticks: Ticks,
        stays: Stays,
        number_of: Callable[[str, pl.Series], pl.Series],
        words: Mapping[int, str],
        rest: Rest,
        became: Mapping[int, int],
    ) -> None:
        """`users` are those read; `words` the texts of labels; `rest` what all others hold; `became` the
        numbers of the labels that former ones go on as."""
        self.name = name
        self.number = number
        self.users = users
        self.pass_number = pass_number
        self.opened_from: int | None = None
        self.unscored = unscored
        """Nobody was ever scored in it, whatever happened to other segmentations: all are due at first."""
        self.ticks = ticks
        self.stays = stays
        self._as_of: int | None = None
        self._policy = DEFAULT_POLICY
        self._ended = np.zeros(0, np.int64)
        """Those whose minimum stay was all that kept them, at the step last made."""
        self.number_of = number_of
        self.words = words
        self.rest = rest
        held = set(shown["label"].to_list()) | set(closed["label"].to_list()) | set(rest.users)
        self._numbers = [*numbers.values(), *sorted(held - set(numbers.values()))]
        self.labels = tuple(labels)
        self.became = dict(became)
        self.shown = self._codes(shown)
        self.closed = self._codes(closed)
        self.earlier = self.shown
        self.since = np.zeros(len(users), np.int64)
        self.change_seq = np.zeros(len(users), np.int64)
        self.scores = np.zeros((len(users), len(labels)), np.int32)
        self.scored = np.zeros(len(users), bool)
        self._evaluated = np.zeros(len(users), bool)
        self._load(shown)

    def relabel(self, labels: Sequence[str], numbers: dict[str, int], became: Mapping[int, int]) -> None:
        """Makes another model's labels the first codes; those no longer among them keep later codes."""
        self.became = dict(became)
        self.stays.succeed(became)
        order = [*numbers.values(), *(each for each in self._numbers if each not in set(numbers.values()))]
        recode = np.array([order.index(each) for each in self._numbers] + [NONE], np.int32)
        self.shown, self.closed = recode[self.shown], recode[self.closed]
        self._numbers, self.labels = order, tuple(labels)
        self.words = {**self.words, **{number: label for label, number in numbers.items()}}
        self.scores = np.zeros((len(self.users), len(labels)), np.int32)
        self.scored[:] = False

    def copied(self) -> Holdings:
        """The same labels and scores, to go on from apart from this one."""
        other = copy(self)
        for name in ("shown", "closed", "since", "change_seq", "scores", "scored", "_evaluated"):
            setattr(other, name, getattr(self, name).copy())
        other.stays = self.stays.copied()
        return other

    def open_pass(self, number: int, start: int | None, head: pl.DataFrame) -> None:
        """Goes on from the labels shown here, in a new pass over the as-ofs after `start`.

        `head`: user of all who hold a label in the log so far. Who holds none any more is no member, though
        no step of the pass looks at them.
        """
        self.pass_number, self.opened_from = number, start
        self._evaluated |= np.isin(self.users, head["user"].to_numpy())
        self.close()

    def begin(self) -> None:
        """Remembers who holds what before a step."""
        self.earlier = self.shown.copy()

    def moved(self) -> np.ndarray:
        """The users who moved since the step began, ascending."""
        moved: np.ndarray = self.users[self.earlier != self.shown]
        return moved

    def texts(self, users: np.ndarray, *, earlier: bool = False) -> pl.Series:
        """The label of each user now, or when the step began; null for none or one no longer decided."""
        codes = (self.earlier if earlier else self.shown)[np.searchsorted(self.users, users)]
        names = pl.Series([*self.labels, None], dtype=pl.String)
        known = self._decided(codes)
        return names.gather(np.where(known == NONE, len(self.labels), known)).alias(self.name)

    def close(self) -> None:
        """The labels shown now become those of the last closed tick."""
        if self._as_of is not None:
            numbers = np.array([*self._numbers, 0], np.int64)
            self.stays.close(self._as_of, numbers[self.closed], numbers[self.shown])
        self.closed = self.shown.copy()

    def step(
        self,
        step: Step,
        decider: Decider,
        evaluated: Evaluated,
        referred: Sequence[Referred] = (),
        meanwhile: Callable[[], None] | None = None,
    ) -> Outcome | None:
        """Evaluates the due users; None when nobody was and no time passed.

        `referred`: the segmentations the decider reads, already decided for this as-of; who moved in one of
        them is due here. `meanwhile`: see Decider.
        """
        self._as_of = step.as_of
        ended = self.stays.over(step.as_of, decider.policy) if step.clock_moved else None
        due = evaluated.due(step, decider, referred, ended)
        if due is None:
            return None
        frame = due.frame
        at = np.searchsorted(self.users, frame["user"].to_numpy())
        held = (self._inherited(step) if decider.keeps else self.closed)[at]
        closed = self._decided(held)
        frame = frame.with_columns(other.texts(frame["user"].to_numpy()) for other in referred)
        stays = self.stays.hold(step.as_of, decider.policy, at)
        scores, decided = decider.decide(frame, evaluated.evidence, step.as_of, closed, stays, meanwhile)
        self._ended = self.stays.ended(step.as_of, decider.policy, self.labels, self.scores, at, decided)
        if scores is not None:
            self.scores[at] = scores
            # Of scores made elsewhere a user may have that of the label alone, or none.
            self.scored[at] = scores.sum(axis=1) >= WHOLE
            self._policy = decider.policy or DEFAULT_POLICY
        gone = self._gone(step, due.eligible)
        self.scored[gone] = False
        self._evaluated[at] = self._evaluated[gone] = True
        self.unscored = False
        moves = self._moves(step, decider, evaluated, referred, frame, at, scores, decided, gone)
        by_cause = dict(moves.caused.group_by("cause").len().sort("cause").iter_rows())
        hindsight = decider.known_from is not None and step.as_of < decider.known_from
        return Outcome(due.asked, frame.height, moves, by_cause, hindsight)

    def kept(self, decider: Decider, as_of: int) -> np.ndarray:
        """The users whom a minimum stay may still keep where they are at `as_of`, ascending."""
        return self.stays.lately(as_of, decider.policy, self.shown != self.closed)

    def _decided(self, codes: np.ndarray) -> np.ndarray:
        """The codes as those of labels that are decided: of a former label what it became, or none."""
        first = {number: code for code, number in enumerate(self._numbers[: len(self.labels)])}
        known = [first.get(self.became.get(each, each), NONE) for each in self._numbers]
        # A label that is decided is itself, whatever it was once called.
        known[: len(self.labels)] = range(len(self.labels))
        decided: np.ndarray = np.array([*known, NONE], np.int32)[codes]
        return decided

    def _renamed(self, left: np.ndarray, to: np.ndarray) -> np.ndarray:
        """bool[n]: whether a move is from a former label to what it became."""
        renamed: np.ndarray = (left >= len(self.labels)) & (to != NONE) & (self._decided(left) == to)
        return renamed

    def _inherited(self, step: Step) -> np.ndarray:
        """The labels shown, a person's being the first of those that any part of the person holds."""
        if step.who is None:
            return self.shown
        # Of others, whom this run does not read, nothing is known here.
        identity = step.who.identity
        known = identity.filter(pl.Series(np.isin(identity["user"].to_numpy(), self.users)))
        part, whole = (np.searchsorted(self.users, each.to_numpy()) for each in known)
        last = len(self._numbers)
        first = np.where(self.shown == NONE, last, self.shown)
        np.minimum.at(first, whole, first[part])
        return np.where(first == last, NONE, first)

    def _gone(self, step: Step, eligible: pl.DataFrame) -> np.ndarray:
        """Those who hold a label and are no person of their own: part of another, or nobody any more."""
        if step.who is None:
            return np.zeros(0, np.int64)
        held = np.flatnonzero(self.shown != NONE)
        gone: np.ndarray = held[~np.isin(self.users[held], eligible["user"].to_numpy())]
        return gone

    def _moves(
        self,
        step: Step,
        decider: Decider,
        evaluated: Evaluated,
        referred: Sequence[Referred],
        frame: pl.DataFrame,
        at: np.ndarray,
        scores: np.ndarray | None,
        decided: np.ndarray,
        gone: np.ndarray,
    ) -> Moves:
        """Gives the users at `at`, of whom `frame` is, the labels decided, and those `gone` none."""
        moved = decided != self.shown[at]
        where = np.concatenate([at[moved], gone])
        to = np.concatenate([decided[moved], np.full(len(gone), NONE)]).astype(np.int32)
        left = self.shown[where]
        users = self.users[where]
        stay = int(moved.sum())
        probability = pl.Series([None] * len(where), dtype=pl.Int64)
        if scores is not None:
            own = np.where(to[:stay] == NONE, 0, scores[moved, to[:stay]]).astype(np.int64)
            probability = pl.concat([pl.Series(own).replace(0, None), probability[stay:]])
        caused = caused_by(step, users, self._renamed(left, to))
        if len(gone):
            caused = by_identity(caused, self.users[gone], step)
        hindsight = decider.known_from is not None and step.as_of < decider.known_from
        model = pl.Series([decider.model] if decider.model else [None], dtype=pl.String)
        rows = pl.DataFrame({"user": users}, schema={"user": pl.Int64}).with_columns(
            pl.lit(self.number, dtype=pl.Int64).alias("segmentation"),
            self._label_numbers(left).alias("from_label"),
            self._label_numbers(to).alias("to_label"),
            probability.alias("probability"),
            pl.lit(step.as_of, dtype=pl.Int64).alias("as_of"),
            pl.lit(self.pass_number, dtype=pl.Int64).alias("pass"),
            pl.lit(int(step.backfilled), dtype=pl.Int64).alias("backfilled"),
            pl.lit(int(hindsight), dtype=pl.Int64).alias("hindsight"),
            pl.lit(self.number_of("model", model)[0], dtype=pl.Int64).alias("model"),
        )
        codes, asked = self._reasons(step, users, left, to, caused)
        # Those who are gone are not asked for: they come last, as part of somebody else.
        read = frame[np.flatnonzero(moved)[asked[:stay]]]
        whom = read["user"].to_numpy()
        former, evidence = evaluated.former, evaluated.evidence
        featured = read.clear() if former is None else former.of(whom, step, decider.spec, evidence)
        texts = read.select("user", *(other.texts(whom, earlier=True) for other in referred))
        left = self._decided(left) if step.renames else left
        self.shown[where] = to
        self.since[where] = step.as_of
        return Moves(
            rows=rows,
            caused=caused,
            step=step,
            decider=decider,
            evidence=evidence,
            codes=codes,
            asked=asked,
            moved_from=left[asked],
            moved_to=to[asked],
            former=texts,
            featured=featured,
            frame=read,
        )

    def _reasons(
        self, step: Step, users: np.ndarray, left: np.ndarray, to: np.ndarray, caused: pl.DataFrame
    ) -> tuple[np.ndarray, np.ndarray]:
        """A reason code per mover, and of whom (bool[n]) it is yet to be asked for."""
        codes = np.full(len(users), "first", dtype=object)
        asked = np.zeros(len(users), bool)
        renamed = self._renamed(left, to)
        if step.renames:
            left = self._decided(left)
        if step.edit is not None and not step.renames:
            codes[left != NONE] = step.edit[0]
        elif step.before is not None:
            joined = (caused["cause"] == "identity").to_numpy()
            asked = (left != NONE) & (left < len(self.labels)) & ~joined
            codes[left >= len(self.labels)] = "label"
            codes[(left != NONE) & joined] = "identity"
            stayed = (caused["cause"] == "clock").to_numpy() & np.isin(users, self._ended)
            codes[stayed] = "min_stay"
            asked &= ~stayed
        if step.edit is not None:
            codes[renamed] = "renamed"
            asked &= ~renamed
        return codes, asked

    def memberships(self) -> pl.DataFrame:
        """user, label (vocabulary number) of everyone who holds one, by user."""
        held = self.shown != NONE
        return pl.DataFrame({"user": self.users[held], "label": self._label_numbers(self.shown[held])})

    def members(self, changes: pl.DataFrame | None, first_seq: int) -> pl.DataFrame:
        """Rows for the members projection: everyone evaluated in this run, as it leaves them.

        `changes` are all changes of the run in order, the first of which gets `first_seq`.
        """
        if changes is not None:
            # What a pass opened in this run superseded is not a member's last change.
            governing = pl.col("pass") == self.pass_number
            if self.opened_from is not None:
                governing |= pl.col("as_of") <= self.opened_from
            own = (
                changes.with_row_index("index")
                .filter((pl.col("segmentation") == self.number) & governing)
                .group_by("user")
                .agg(pl.col("index").max())
            )
            at = np.searchsorted(self.users, own["user"].to_numpy())
            self.change_seq[at] = own["index"].cast(pl.Int64).to_numpy() + first_seq
        at = np.flatnonzero(self._evaluated)
        scored = self.scored[at]
        own_scores = self.scores[at]
        held = np.clip(self.shown[at], 0, len(self.labels) - 1)
        probability = np.take_along_axis(own_scores, held[:, None], 1)[:, 0].astype(np.int64)
        margin = margins(preferences(own_scores, self.labels, self._policy), held)
        raw = np.ascontiguousarray(own_scores, "<i4")
        return pl.DataFrame(
            {
                "user": self.users[at],
                "label": self._label_numbers(self.shown[at]),
                "probability": pl.Series(probability, dtype=pl.Int64),
                "margin": pl.Series(margin, dtype=pl.Int64),
                "scores": [row.tobytes() for row in raw],
                "since": self.since[at],
                "change_seq": self.change_seq[at],
            },
            schema_overrides={"scores": pl.Binary},
        ).with_columns(
            pl.when(pl.Series(scored)).then(pl.col(name)).alias(name)
            for name in ("probability", "margin", "scores")
        )

    def sizes(self, as_of: int) -> pl.DataFrame:
        """Rows for the sizes projection: users per label, and the sum of probabilities in millionths.

        The labels of the scores come first, in their order; only they have a sum.
        """
        counts = np.bincount(self.shown[self.shown != NONE], minlength=len(self._numbers))
        counts[: len(self._numbers)] += [self.rest.users.get(number, 0) for number in self._numbers]
        known = self.scored.any() or bool(self.rest.expected)
        expected = self.scores[self.scored].sum(axis=0, dtype=np.int64)
        return pl.DataFrame(
            {
                "segmentation": self.number,
                "pass": self.pass_number,
                "as_of": as_of,
                "label": self._numbers,
                "users": counts[: len(self._numbers)],
                "expected": [
                    int(expected[code]) + self.rest.expected.get(number, 0)
                    if known and code < len(self.labels)
                    else None
                    for code, number in enumerate(self._numbers)
                ],
            },
            schema_overrides={"expected": pl.Int64, "label": pl.Int64, "users": pl.Int64},
        )

    def state(self) -> dict[str, np.ndarray]:
        """Sorted surrogates by label, as the state digest reads them."""
        return {self.words[each]: self.users[self.shown == at] for at, each in enumerate(self._numbers)}

    def _codes(self, held: pl.DataFrame) -> np.ndarray:
        """int32[users]: code of the label each user holds in `held` (user, label), -1 for none."""
        codes = np.full(len(self.users), NONE, np.int32)
        at = np.searchsorted(self.users, held["user"].to_numpy())
        by_number = {number: code for code, number in enumerate(self._numbers)}
        codes[at] = [by_number[label] for label in held["label"]]
        return codes

    def _load(self, shown: pl.DataFrame) -> None:
        """Since-when, last change and scores, as far as the state they come from has them."""
        if shown.is_empty():
            return
        at = np.searchsorted(self.users, shown["user"].to_numpy())
        self.since[at] = shown["since"].to_numpy()
        self.change_seq[at] = shown["seq"].to_numpy()
        if "scores" not in shown.columns:
            return
        width = 4 * len(self.labels)
        blobs = shown["scores"].to_list()
        fits = np.array([blob is not None and len(blob) == width for blob in blobs])
        if fits.any():
            joined = b"".join(blob for blob, fit in zip(blobs, fits, strict=True) if fit)
            self.scores[at[fits]] = np.frombuffer(joined, "<i4").reshape(-1, len(self.labels))
            self.scored[at[fits]] = True

    def _label_numbers(self, codes: np.ndarray) -> pl.Series:
        """Vocabulary numbers of label codes, null for none."""
        numbers = np.array([*self._numbers, 0], np.int64)[codes]
        return pl.select(
            pl.when(pl.Series(codes != NONE)).then(pl.Series(numbers, dtype=pl.Int64))
        ).to_series()
