"""What is computed for a user: windows, kinds and columns, and the names of the features that follow."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from engine.errors import EngineError
from engine.schema import BOOKKEEPING
from engine.ticks import zone_of

WINDOWS = (7, 28, 90, 365)

FIELDS = (
    "order", "item", "category", "platform", "device", "session", "amount", "quantity", "rating", "duration",
)  # fmt: skip
"""Columns of an event that features are made of, in the catalogue's order."""

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
    """

    zone: str = "UTC"
    windows: tuple[int, ...] = WINDOWS
    kinds: tuple[str, ...] = ("purchase",)
    attributes_number: tuple[str, ...] = ()
    attributes_text: tuple[str, ...] = ()
    fields: tuple[str, ...] = FIELDS

    def __post_init__(self) -> None:
        zone_of(self.zone)
        windows = tuple(self.windows)
        if not windows or list(windows) != sorted(set(windows)) or windows[0] < 1 or windows[-1] > 3660:
            raise EngineError(
                f"Windows {list(windows)} cannot be used; give whole days from 1 to 3660, ascending."
            )
        unknown = [name for name in self.fields if name not in FIELDS]
        if unknown:
            raise EngineError(
                f"No event column is called {unknown[0]!r}; those for features are {', '.join(FIELDS)}."
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
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, spec: Mapping[str, Any]) -> "FeatureSpec":
        """The spec that `to_json` wrote."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in spec.items()
        }
        return cls(**values)


def longest_window(spec: FeatureSpec) -> int:
    """Days of the longest window; what grows with time alone is capped at one more."""
    return spec.windows[-1]


def spec_for(
    events: pl.DataFrame,
    zone: str,
    attributes: pl.DataFrame | None = None,
    windows: tuple[int, ...] = WINDOWS,
) -> FeatureSpec:
    """The spec a log asks for: the kinds that occur, the columns that vary, the attributes there are.

    An attribute with any text is a text attribute. Leave out of `attributes` what is to be predicted.
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
        fields=_varying(events),
    )


def _varying(events: pl.DataFrame) -> tuple[str, ...]:
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
    row = events.select(**{name: rule for name, rule in present.items() if name in events.columns})
    return tuple(name for name in FIELDS if name in row.columns and row[name].any())


def _differs(column: pl.Expr) -> pl.Expr:
    return column.min() != column.max()


def feature_names(spec: FeatureSpec) -> tuple[str, ...]:
    """Names of the spec's features in the order of their columns."""
    statistics = _statistics(spec)
    return (*statistics, *attribute_columns(spec).values())


def attribute_columns(spec: FeatureSpec) -> dict[str, str]:
    """Column of each attribute: its own name, or `attribute_NAME` where that is taken."""
    taken = {"user", *_statistics(spec)}
    columns: dict[str, str] = {}
    for name in (*spec.attributes_number, *spec.attributes_text):
        column = name
        while column in taken:
            column = f"attribute_{column}"
        columns[name] = column
        taken.add(column)
    return columns


def _statistics(spec: FeatureSpec) -> list[str]:
    return [*_purchase_names(spec), *_activity_names(spec)]


def _purchase_names(spec: FeatureSpec) -> list[str]:
    if not spec.purchases:
        return []
    names = [
        "recency_days",
        *_windowed("orders", spec),
        "orders",
        *(f"trend_{days}d" for days in spec.doubled),
    ]
    # Where nothing but purchases is counted, these two are tenure_days and active_days.
    names += ["customer_days", "purchase_days"] if spec.counted else []
    names += ["gap_mean_days", "gap_spread_days", "gap_max_days", "overdue", "weekend_share"]
    names += ["purchase_lines"] if "order" in spec.fields else []
    if "amount" in spec.fields:
        names += [*_windowed("spend", spec), "spend", "order_value_mean", "amount_mean", "amount_variance"]
        names += ["amount_min", "amount_max", "amount_last"]
        names += ["refund_share"] if "refund" in spec.kinds else []
    names += ["quantity_mean", "quantity_max"] if "quantity" in spec.fields else []
    names += ["conversion"] if "view" in spec.kinds else []
    return names


def _activity_names(spec: FeatureSpec) -> list[str]:
    names = ["tenure_days", "active_days"] if spec.purchases or spec.counted else []
    names += ["silence_days", *_windowed("active_days", spec)] if spec.counted else []
    for kind in spec.counted:
        names += [*_windowed(plural(kind), spec), plural(kind)]
    names += [*_windowed("sessions", spec), "sessions"] if "session" in spec.fields else []
    names += (
        [*_windowed("duration", spec), "duration_mean", "duration_max"] if "duration" in spec.fields else []
    )
    names += ["rating_mean", "rating_min", "rating_max", "rating_last"] if "rating" in spec.fields else []
    names += ["items"] if "item" in spec.fields else []
    names += ["categories"] if "category" in spec.fields else []
    names += ["platform_share"] if "platform" in spec.fields else []
    names += ["device_share"] if "device" in spec.fields else []
    return names


def _windowed(stem: str, spec: FeatureSpec) -> list[str]:
    return [f"{stem}_{days}d" for days in spec.windows]
