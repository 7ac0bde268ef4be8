"""Who is one person: aliases as links between users, and the canonical user of each at an instant.

A link joins two users from its instant on, until one that ends it. Users joined directly or through others
are one person, whom the smallest of their numbers stands for; so neither the order in which links came nor
the way they point can change who is who, and links that go round in a circle do no harm.
"""

from collections.abc import Iterable

import polars as pl

from engine.schema import IDENTITY, empty, require

LINKS: dict[str, pl.DataType] = {
    "seq": pl.Int64(),
    "occurred_at": pl.Int64(),
    "user": pl.Int64(),
    "other": pl.Int64(),
    "joins": pl.Boolean(),
}
"""An alias (joins) or its end (not), of two users."""


def identity_at(links: pl.DataFrame, as_of: int | None = None, position: int | None = None) -> pl.DataFrame:
    """IDENTITY of everyone whose canonical user is another, ascending, by the links before `as_of`.

    links: LINKS. Of each pair the newest link by occurred_at, then seq, counts; `position` leaves out those
    with a larger seq. Without an as-of or a position all count.
    """
    require(links, LINKS, "links")
    known = links
    if as_of is not None:
        known = known.filter(pl.col("occurred_at") < as_of)
    if position is not None:
        known = known.filter(pl.col("seq") <= position)
    pair = {"low": pl.min_horizontal("user", "other"), "high": pl.max_horizontal("user", "other")}
    newest = (
        known.with_columns(**pair)
        .sort("occurred_at", "seq")
        .unique(["low", "high"], keep="last")
        .filter("joins")
    )
    return _joined(newest.select("low", "high").iter_rows())


def kin(links: pl.DataFrame) -> pl.DataFrame:
    """IDENTITY under which all that were ever joined are one, ended or not: who can matter to whom."""
    require(links, LINKS, "links")
    return _joined(links.select("user", "other").iter_rows())


def _joined(pairs: Iterable[tuple[int, int]]) -> pl.DataFrame:
    """The smallest user of each one's component, for those who are not the smallest themselves."""
    above: dict[int, int] = {}

    def root(user: int) -> int:
        while (parent := above.get(user, user)) != user:
            above[user] = above.get(parent, parent)
            user = above[user]
        return user

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        above[high] = low
    found = sorted((user, root(user)) for user in above)
    moved = [(user, canonical) for user, canonical in found if user != canonical]
    return pl.DataFrame(moved, schema=IDENTITY, orient="row") if moved else empty(IDENTITY)
