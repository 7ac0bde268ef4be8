"""What is computed for a user: windows, kinds and columns, and the names of the features that follow."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from engine.errors import EngineError
from engine.schema import BOOKKEEPING
from engine.ticks import zone_of

WINDOWS = (7, 28, 90, 365)
WIDE_WINDOWS = (1, *WINDOWS)

FIELDS = (
    "order", "item", "category", "platform", "device", "session", "amount", "quantity", "rating", "duration",
)  # fmt: skip
"""Columns of an event that features are made of, in the catalogue's order."""
PLACES = ("platform", "device", "region")
"""Columns that say where; the last is read by the family `places` alone."""

FAMILIES = {
    "sums": "money paid and refunded, pieces, lines, and each kind's amounts and durations",
    "moments": "variance, extremes and the latest of quantities, durations and ratings",
    "variety": "different items and categories, window by window",
    "rates": "from view to cart to order, and refunds, window by window",
    "trends": "spend and each kind's count against the window before",
    "places": "platforms, devices and regions, and the share of each frequent one",
    "rhythm": "hours of the day and days of the week",
    "btyd": "frequency, recency, age and mean value as buy-till-you-die models define them",
}
"""What a spec may have beyond the core."""

FILLABLE = ("duration", "rating", "quantity", "amount")
"""Columns that can be interpolated."""

MOST_PLACES = 8
RAREST_PLACE = 0.01

PLURALS = {
    "view_list": "list_views",
    "view": "views",
    "click": "clicks",
    "search": "searches",
    "add_to_cart": "carts",
    "remove_from_cart": "cart_removals",
    "add_to_wishlist": "wishlists",
    "begin_checkout": "checkouts",
    "refund": "refunds",
    "review": "reviews",
    "share": "shares",
}


def plural(kind: str) -> str:
    """The stem of a kind's counts: `views` for view, `count_KIND` for a kind without a name here."""
    # A kind that ends like a window must not take the name of another kind's count in that window.
    return PLURALS.get(kind, f"count_{kind}_" if re.search(r"_[0-9]+d_*$", kind) else f"count_{kind}")


@dataclass(frozen=True)
class FeatureSpec:
    """Which features there are. Part of a model, so every difference in it is another model.

    zone: IANA time zone of local days. windows: lengths in local days, ascending. kinds: event kinds that are
    counted; without `purchase` there are no order and spend features. fields: event columns in use; a column
    that never varies is left out, since what is made of it would be constant. attributes: those that become
    a feature as they are, the latest value before the as-of.

    families: what there is beyond the core, names of FAMILIES. sums: (column, kind) pairs that the family of
    that name adds up. places: (column, number, text) of those that get a share of their own. filled: event
    columns whose missing values are interpolated along the user's own events (engine.interpolation).
    """

    zone: str = "UTC"
    windows: tuple[int, ...] = WINDOWS
    kinds: tuple[str, ...] = ("purchase",)
    attributes_number: tuple[str, ...] = ()
    attributes_text: tuple[str, ...] = ()
    fields: tuple[str, ...] = FIELDS
    families: tuple[str, ...] = ()
    sums: tuple[tuple[str, str], ...] = ()
    places: tuple[tuple[str, int, str], ...] = ()
    filled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        zone_of(self.zone)
        windows = tuple(self.windows)
        if not windows or list(windows) != sorted(set(windows)) or windows[0] < 1 or windows[-1] > 3660:
            raise EngineError(
                f"Windows {list(windows)} cannot be used; give whole days from 1 to 3660, ascending."
            )
        columns = dict.fromkeys((*FIELDS, *PLACES))
        unknown = [name for name in self.fields if name not in columns]
        if unknown:
            raise EngineError(
                f"No event column is called {unknown[0]!r}; those for features are {', '.join(columns)}."
            )
        unfit = [name for name in self.filled if name not in FILLABLE or name not in self.fields]
        if unfit:
            raise EngineError(
                f"The column {unfit[0]!r} cannot be interpolated: choose those of "
                f"{', '.join(name for name in FILLABLE if name in self.fields) or 'none'} that events have."
            )
        strange = [name for name in self.families if name not in FAMILIES]
        if strange:
            raise EngineError(
                f"There is no family of features {strange[0]!r}: choose among {', '.join(FAMILIES)}."
            )

    @property
    def purchases(self) -> bool:
        """Whether there are order features."""
        return "purchase" in self.kinds

    @property
    def counted(self) -> tuple[str, ...]:
        """Kinds that have plain counts: all but purchases, which count as orders."""
        return tuple(kind for kind in self.kinds if kind != "purchase" and kind not in BOOKKEEPING)

    @property
    def doubled(self) -> tuple[int, ...]:
        """Windows W that have a trend: 2 W still lies within the longest one."""
        return tuple(days for days in self.windows if 2 * days <= self.windows[-1])

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_json` gives an equal spec back."""
        # What a core spec has no use for is left out, so that its JSON is what it was before there was more.
        spare = [name for name in ("families", "sums", "places", "filled") if not getattr(self, name)]
        return {name: _listed(value) for name, value in asdict(self).items() if name not in spare}

    @classmethod
    def from_json(cls, spec: Mapping[str, Any]) -> "FeatureSpec":
        """The spec that `to_json` wrote."""
        return cls(**{name: _tupled(value) for name, value in spec.items()})


def _listed(value: Any) -> Any:
    return [_listed(each) for each in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(each) for each in value) if isinstance(value, list) else value


def longest_window(spec: FeatureSpec) -> int:
    """Days of the longest window; what grows with time alone is capped at one more."""
    return spec.windows[-1]


def spec_for(
    events: pl.DataFrame,
    zone: str,
    attributes: pl.DataFrame | None = None,
    windows: tuple[int, ...] = WINDOWS,
    families: Sequence[str] = (),
    texts: Mapping[int, str] | None = None,
    filled: Sequence[str] = (),
) -> FeatureSpec:
    """The spec a log asks for: the kinds that occur, the columns that vary, the attributes there are.

    An attribute with any text is a text attribute, of which numbers are texts too. Leave out of `attributes`
    what is to be predicted.
    families: names of FAMILIES. texts: of the numbers in PLACES, the frequent ones of which then get shares.
    filled: names of FILLABLE.
    """
    kinds = sorted(events["kind"].unique().drop_nulls().cast(pl.String).to_list())
    number: list[str] = []
    text: list[str] = []
    if attributes is not None and not attributes.is_empty():
        kinds_of = (
            attributes.group_by("name")
            .agg(worded=pl.col("text").is_not_null().any())
            .sort("name")
            .iter_rows()
        )
        for name, worded in kinds_of:
            (text if worded else number).append(name)
    return FeatureSpec(
        zone=zone,
        windows=windows,
        kinds=tuple(kind for kind in kinds if kind not in BOOKKEEPING),
        attributes_number=tuple(number),
        attributes_text=tuple(text),
        fields=_varying(events, places="places" in families),
        families=tuple(name for name in FAMILIES if name in families),
        sums=_summed(events) if "sums" in families else (),
        places=_frequent(events, texts or {}) if "places" in families else (),
        filled=tuple(name for name in FILLABLE if name in filled),
    )


def _summed(events: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    """(column, kind) of the amounts and durations that are not all zero, purchases' amounts apart."""
    filled = events.group_by(pl.col("kind").cast(pl.String)).agg(
        (pl.col(name) != 0).any() for name in ("amount", "duration") if name in events.columns
    )
    kinds = filled.filter(~pl.col("kind").is_in([*BOOKKEEPING, "purchase"])).sort("kind")
    return tuple(
        (name, kind) for name in kinds.columns[1:] for kind in kinds.filter(pl.col(name))["kind"].to_list()
    )


def _frequent(events: pl.DataFrame, texts: Mapping[int, str]) -> tuple[tuple[str, int, str], ...]:
    """(column, number, text) of the places that events name most often, where there are several."""
    found: list[tuple[str, int, str]] = []
    for column in PLACES:
        counts = (
            events[column].drop_nulls().value_counts(name="n").sort(["n", column], descending=[True, False])
        )
        often = counts.filter(pl.col("n") >= RAREST_PLACE * pl.col("n").sum()).head(MOST_PLACES)
        if counts.height > 1:
            found += [(column, number, texts[number]) for number in often[column] if number in texts]
    return tuple(found)


def _varying(events: pl.DataFrame, *, places: bool) -> tuple[str, ...]:
    """Columns from which a feature can be made that is not the same for everyone."""
    purchase = pl.col("kind") == "purchase"
    present = {
        # Without order numbers every purchase is its own order, and lines and orders are the same.
        "order": pl.col("order").filter(purchase).is_not_null().any(),
        "item": _differs(pl.col("item")),
        "category": _differs(pl.col("category")),
        "platform": _differs(pl.col("platform")),
        "device": _differs(pl.col("device")),
        "session": pl.col("session").is_not_null().any(),
        "amount": (pl.col("amount") != 0).any(),
        "quantity": _differs(pl.col("quantity").filter(purchase)),
        "rating": pl.col("rating").is_not_null().any(),
        "duration": (pl.col("duration") != 0).any(),
    }
    if places:
        present["region"] = _differs(pl.col("region"))
    row = events.select(**{name: rule for name, rule in present.items() if name in events.columns})
    return tuple(name for name in present if name in row.columns and row[name].any())


def _differs(column: pl.Expr) -> pl.Expr:
    return column.min() != column.max()
