"""Events to one row of features per user: the first of the two pure functions everything is folded with.

Only events before the as-of count. Sums are of integers and exact (squares in 128 bits where 64 do not do),
with one division at the end, so the order of rows and the company of other users change nothing, not even the
last bit. What each feature means stands in engine.catalogue.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.errors import EngineError
from engine.feature_families import family_features
from engine.feature_folds import Folds, activity_features, purchase_features
from engine.feature_names import attribute_columns, feature_names, narrowed, text_columns
from engine.feature_prepared import Prepared
from engine.feature_rows import lay_out
from engine.feature_spec import (
    FAMILIES,
    FIELDS,
    FILLABLE,
    PLACES,
    WIDE_WINDOWS,
    WINDOWS,
    FeatureSpec,
    longest_window,
    spec_for,
)
from engine.interpolation import interpolated
from engine.schema import ATTRIBUTES, canonical, empty, require

__all__ = [
    "FAMILIES",
    "FIELDS",
    "FILLABLE",
    "PLACES",
    "WIDE_WINDOWS",
    "WINDOWS",
    "FeatureSpec",
    "Prepared",
    "Unfilled",
    "feature_names",
    "features",
    "latest_attributes",
    "longest_window",
    "narrowed",
    "prepare",
    "spec_for",
    "text_columns",
]

Users = Sequence[int] | npt.NDArray[np.int64]


@dataclass(frozen=True)
class Unfilled:
    """Events of a spec with interpolated columns, which are laid out anew for each as-of."""

    events: pl.DataFrame
    identity: pl.DataFrame | None
    spec: FeatureSpec
    attributes: pl.DataFrame | None
    users: Users | None

    def at(self, as_of: int) -> tuple[Prepared, pl.DataFrame]:
        """Laid out for one as-of, and how many values of each user were filled in."""
        spec, known = self.spec, self.events.filter(pl.col("occurred_at") < as_of)
        events, filled = interpolated(known, self.identity, spec.filled)
        rows = lay_out(events, self.identity, spec.zone, spec.fields, self.users)
        return Prepared.of(rows, spec, self.attributes), filled


def prepare(
    events: pl.DataFrame,
    identity: pl.DataFrame | None,
    spec: FeatureSpec,
    attributes: pl.DataFrame | None = None,
    users: Users | None = None,
) -> Prepared | Unfilled:
    """`events` (EVENTS) laid out once for `features` at many as-ofs, as long as `identity` stays the same.

    users: canonical users to lay out; everyone when None.
    """
    known = _canonical_attributes(attributes, identity)
    if spec.filled:
        # What is interpolated at one as-of is known better at the next.
        return Unfilled(events, identity, spec, known, users)
    return Prepared.of(lay_out(events, identity, spec.zone, spec.fields, users), spec, known)


def features(
    events: pl.DataFrame | Prepared | Unfilled,
    identity: pl.DataFrame | None,
    as_of: int,
    spec: FeatureSpec,
    attributes: pl.DataFrame | None = None,
    users: Users | None = None,
) -> pl.DataFrame:
    """One row per canonical user with an event before `as_of`, ascending: `user` and the spec's features.

    events: EVENTS, or what `prepare` made of them (then `identity` and `attributes` are those given there).
    attributes: ATTRIBUTES. users: canonical users to answer for; everyone when None.
    Counts, days and sums are Int64; what may be missing (quotients, extremes, the last) is Float64.
    """
    if isinstance(events, pl.DataFrame):
        events = prepare(events.filter(pl.col("occurred_at") < as_of), identity, spec, attributes, users)
    if events.spec != spec:
        raise EngineError("The events were prepared for another feature spec; prepare them for this one.")
    prepared, filled = (events, None) if isinstance(events, Prepared) else events.at(as_of)
    known = prepared.rows.users
    who: npt.NDArray[np.int64] | slice = slice(None)
    if users is not None:
        asked = np.isin(known, np.asarray(users, dtype=np.int64))
        who = who if asked.all() else np.flatnonzero(asked)
    folds = Folds(prepared, as_of, who)
    columns = {**purchase_features(folds), **activity_features(folds)}
    columns |= family_features(folds, columns)
    present = folds.present()
    named = {"user": known[who], **columns}
    frame = pl.DataFrame([pl.Series(name, values, nan_to_null=True) for name, values in named.items()])
    if attribute_columns(spec):
        frame = _with_attributes(frame, prepared.attributes, as_of, spec)
    if filled is not None:
        frame = frame.join(filled, on="user", how="left", maintain_order="left")
        frame = frame.with_columns(pl.col(filled.columns[1:]).fill_null(0))
    frame = frame.select("user", *feature_names(spec))
    return frame if present.all() else frame.filter(pl.Series(present))


def latest_attributes(attributes: pl.DataFrame, as_of: int | None = None) -> pl.DataFrame:
    """The newest row of each user and name before `as_of`, by occurred_at, then seq."""
    known = attributes if as_of is None else attributes.filter(pl.col("occurred_at") < as_of)
    return known.sort("occurred_at", "seq").unique(["user", "name"], keep="last", maintain_order=True)


def _canonical_attributes(
    attributes: pl.DataFrame | None, identity: pl.DataFrame | None
) -> pl.DataFrame | None:
    if attributes is None:
        return None
    require(attributes, ATTRIBUTES, "attributes")
    return attributes.with_columns(canonical(attributes, identity).alias("user"))


def _with_attributes(
    frame: pl.DataFrame, attributes: pl.DataFrame | None, as_of: int, spec: FeatureSpec
) -> pl.DataFrame:
    columns = attribute_columns(spec)
    given = empty(ATTRIBUTES) if attributes is None else attributes
    newest = latest_attributes(given.filter(pl.col("name").is_in(list(columns))), as_of)
    # Numbers told before an attribute was first given a text stay what they were, as a file would write them.
    written = pl.col("number").cast(pl.String).str.replace(r"\.0$", "")
    # And who reads numbers goes on reading those that stand among texts since.
    among = pl.col("text").str.strip_chars().cast(pl.Float64, strict=False)
    read = pl.coalesce("number", pl.when(among.is_finite()).then(among))
    for name, column in columns.items():
        value = read if name in spec.attributes_number else pl.coalesce("text", written)
        one = newest.filter(pl.col("name") == name).select("user", value.alias(column))
        frame = frame.join(one, on="user", how="left", maintain_order="left")
    return frame
