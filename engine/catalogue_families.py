"""The words of the families of features beyond the core, in the way of engine.catalogue_words."""

from engine.catalogue_words import SINGULAR, Words
from engine.feature_names import DAYS, PARTS
from engine.feature_spec import FILLABLE


def _spans(unit: str, what: str, formula: str, more: str, less: str, group: str) -> tuple[Words, Words]:
    """Words of a statistic in a window, and of the same over all time."""
    within = Words(
        unit,
        f"{what} in the last {{W}} d",
        f"{formula} with A - {{W}} d <= t",
        f"{more} in the last {{W}} d",
        f"{less} in the last {{W}} d",
        f"{group} {{W}} d",
    )
    return within, Words(unit, f"{what} ever", formula, more, less, group)


SPANS: dict[str, tuple[Words, Words]] = {
    "lines": _spans(
        "lines", "purchase lines", "count of purchases", "a new purchase", "fewer purchases", "purchases"
    ),
    "paid": _spans(
        "minor units", "paid", "sum of amount of purchases", "more paid", "less paid", "purchases"
    ),
    "refunded": _spans(
        "minor units", "refunded", "- sum of amount of refunds", "more refunded", "less refunded", "refunds"
    ),
    "pieces": _spans(
        "pieces",
        "pieces bought",
        "sum of quantity of purchases",
        "more pieces bought",
        "fewer pieces bought",
        "quantities",
    ),
    "duration": _spans("ms", "time spent", "sum of duration", "more time spent", "less time", "activity"),
    "items": _spans(
        "items", "different items", "distinct item of events", "a new item", "fewer items", "variety"
    ),
    "categories": _spans(
        "categories",
        "different categories",
        "distinct category of events",
        "a new category",
        "fewer categories",
        "variety",
    ),
    "conversion": _spans(
        "ratio",
        "orders for each view",
        "orders / views",
        "more orders for each view",
        "fewer orders for each view",
        "activity",
    ),
    "view_to_cart": _spans(
        "ratio",
        "items put into the cart for each view",
        "carts / views",
        "more into the cart for each view",
        "less into the cart for each view",
        "activity",
    ),
    "cart_to_order": _spans(
        "ratio",
        "orders for each item put into the cart",
        "orders / carts",
        "more orders for each item in the cart",
        "fewer orders for each item in the cart",
        "activity",
    ),
    "refund_share": _spans(
        "share",
        "refunded of what was paid",
        "- sum of amount of refunds / sum of amount of purchases",
        "a refund",
        "a smaller share refunded",
        "refunds",
    ),
}


def _spread(unit: str, what: str, column: str, of: str, group: str) -> dict[str, Words]:
    """Variance, least and latest of an event's column."""
    return {
        f"{column}_variance": Words(
            f"{unit} squared",
            f"variance of {what}",
            "(n sum of squares - square of sum) / (n (n - 1))",
            f"more uneven {what}",
            f"more even {what}",
            group,
        ),
        f"{column}_min": Words(
            unit,
            f"least of {what}",
            f"min of {column}{of}",
            f"a larger least of {what}",
            f"less than ever of {what}",
            group,
        ),
        f"{column}_last": Words(
            unit,
            f"latest of {what}",
            f"{column} with the largest (t, seq){of}",
            f"more the last time of {what}",
            f"less the last time of {what}",
            group,
        ),
    }


SINGLE: dict[str, Words] = {
    **_spread("pieces", "pieces of a purchase line", "quantity", " of purchases", "quantities"),
    **_spread("ms", "time spent on an event", "duration", "", "activity"),
    "rating_variance": Words(
        "stars squared",
        "variance of the ratings given",
        "(n sum of squares - square of sum) / (10000 n (n - 1))",
        "more uneven ratings",
        "more even ratings",
        "ratings",
    ),
    **{
        f"{column}s": Words(
            f"{column}s",
            f"different {column}s ever",
            f"distinct {column} of events",
            f"a new {column}",
            f"fewer {column}s",
            "habits",
        )
        for column in ("platform", "device", "region")
    },
    **{
        f"{column}_filled": Words(
            "events",
            f"events without {column} that were given one",
            f"count of events whose {column} is interpolated between the user's own of the same kind",
            f"more events without {column}",
            f"fewer events without {column}",
            "habits",
        )
        for column in FILLABLE
    },
    "region_share": Words(
        "share",
        "events in the most frequent region",
        "count in it / count with a region",
        "more in one region",
        "more regions",
        "habits",
    ),
    **{
        f"{part}_share": Words(
            "share",
            f"events from {6 * index} to {6 * index + 6} o'clock",
            f"events with {6 * index} <= hour < {6 * index + 6} / events; hours as clocks show them",
            f"more at {part}" if part == "night" else f"more in the {part}",
            f"less at {part}" if part == "night" else f"less in the {part}",
            "hours",
        )
        for index, part in enumerate(PARTS)
    },
    **{
        f"{day}_share": Words(
            "share",
            f"events on a {day.capitalize()}",
            f"events on a {day.capitalize()} / events",
            f"more on {day.capitalize()}s",
            f"less on {day.capitalize()}s",
            "weekdays",
        )
        for day in DAYS
    },
    "btyd_frequency": Words(
        "days",
        "repeat purchases as buy-till-you-die models count them: x",
        "distinct day of purchases - 1; 0 without a purchase",
        "a repeat purchase",
        "fewer repeat purchases",
        "rhythm",
    ),
    "btyd_recency_days": Words(
        "days",
        "from the first purchase to the last: t_x",
        "day(last purchase) - day(first purchase); 0 without a second day",
        "a repeat purchase",
        "an earlier last purchase",
        "rhythm",
    ),
    "btyd_age_days": Words(
        "days",
        "from the first purchase to the as-of: T",
        "day(A) - day(first purchase), at most {cap} - 1; 0 without a purchase",
        "a customer for longer",
        "a customer for less long",
        "tenure",
    ),
    "btyd_monetary": Words(
        "minor units",
        "mean value of a repeat purchase: m_x",
        "sum of amount of purchases after the first day of them / btyd_frequency",
        "larger repeat purchases",
        "smaller repeat purchases",
        "amounts",
    ),
}


def family_words(name: str, stem: str, days: str | None) -> Words | None:
    """The words of a family's feature `name`, which is `stem` in a window of `days` if it has one."""
    if days is None and name in SINGLE:
        return SINGLE[name]
    if stem in SPANS:
        return SPANS[stem][days is None]
    for prefix, made in (("amount_of_", _amount), ("duration_of_", _duration)):
        if stem.startswith(prefix):
            return made(stem.removeprefix(prefix))[days is None]
    if days is not None and stem.startswith("trend_of_"):
        return _trend(stem.removeprefix("trend_of_"))
    place = name.removeprefix("share_of_")
    if place == name:
        return None
    column, _, text = place.partition("_")
    return Words(
        "share",
        f"events with the {column} {text}",
        f"count with it / count with a {column}",
        f"more with the {column} {text}",
        f"less with the {column} {text}",
        "habits",
    )


def _amount(kind: str) -> tuple[Words, Words]:
    one = SINGULAR.get(kind, kind.removeprefix("count_"))
    return _spans(
        "minor units",
        f"amounts of events of one kind: {one}",
        f"sum of amount of {kind}",
        f"a larger amount of {kind.removeprefix('count_')}",
        f"a smaller amount of {kind.removeprefix('count_')}",
        "activity",
    )


def _duration(kind: str) -> tuple[Words, Words]:
    one = SINGULAR.get(kind, kind.removeprefix("count_"))
    return _spans(
        "ms",
        f"time spent on events of one kind: {one}",
        f"sum of duration of {kind}",
        f"more time on {kind.removeprefix('count_')}",
        f"less time on {kind.removeprefix('count_')}",
        "activity",
    )


def _trend(what: str) -> Words:
    told = what.removeprefix("count_")
    return Words(
        "share",
        f"{told} of the last {{W}} d against the {{W}} d before: 1 all new, -1 all old",
        f"(new - old) / (|new| + |old|) of {what} in {{W}} d and the {{W}} d before",
        f"more {told} than in the {{W}} d before",
        f"less {told} than in the {{W}} d before",
        "purchases {W} d" if what == "spend" else "activity {W} d",
    )
