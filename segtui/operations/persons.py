"""Who is one person at which instant, by the aliases of the log."""

from __future__ import annotations

import numpy as np
import polars as pl

from engine.identity import LINKS, identity_at, kin
from engine.schema import empty


class Persons:
    """The links of a log, asked at one as-of after the other. False where there are none."""

    def __init__(self, links: pl.DataFrame) -> None:
        self.links = links
        self._instants = np.sort(links["occurred_at"].to_numpy())
        self._at: dict[int, pl.DataFrame] = {}
        families = kin(links)
        roots = families["canonical"].unique().to_numpy()
        members = np.concatenate([families["user"].to_numpy(), roots])
        order = np.argsort(members)
        self._member = members[order]
        self._root = np.concatenate([families["canonical"].to_numpy(), roots])[order]

    def __bool__(self) -> bool:
        return self.links.height > 0

    def epoch(self, as_of: int) -> int:
        """A number that is the same for all as-ofs between two links."""
        return int(np.searchsorted(self._instants, as_of))

    def at(self, as_of: int | None = None) -> pl.DataFrame:
        """IDENTITY at an as-of; without one, by all links there are."""
        epoch = self.links.height if as_of is None else self.epoch(as_of)
        if epoch not in self._at:
            self._at[epoch] = identity_at(self.links, as_of)
        return self._at[epoch]

    def until(self, position: int | None) -> Persons:
        """As the log told it at a position."""
        if position is None or not self or position >= int(self.links["seq"].max()):  # type: ignore[arg-type]
            return self
        return Persons(self.links.filter(pl.col("seq") <= position))

    def kin(self, users: np.ndarray) -> np.ndarray:
        """These users and all who are or were joined with them, ascending."""
        roots = self._root[np.isin(self._member, users)]
        everyone: np.ndarray = np.union1d(users, self._member[np.isin(self._root, roots)]).astype(np.int64)
        return everyone

    def families(self, users: np.ndarray) -> np.ndarray:
        """Who stands for all that each of these is or was joined with, int[n]: at every as-of the same."""
        if not self:
            return users
        place = np.searchsorted(self._member, users).clip(max=len(self._member) - 1)
        found: np.ndarray = np.where(self._member[place] == users, self._root[place], users)
        return found

    def among(self, users: np.ndarray, others: np.ndarray) -> np.ndarray:
        """bool[n]: which of `users` are, or are or were joined with, any of the others."""
        found: np.ndarray = np.isin(self.families(users), self.families(others))
        return found

    def named(self) -> np.ndarray:
        """Everyone a link names, ascending."""
        return np.unique(self._member)

    def canonical(self, user: int, as_of: int) -> int:
        """Whom a user is, at an as-of."""
        found = self.at(as_of).filter(pl.col("user") == user)["canonical"]
        return int(found[0]) if len(found) else user

    def one(self, user: int, as_of: int) -> list[int]:
        """All users who are one person with this one at an as-of, ascending."""
        whom = self.canonical(user, as_of)
        return sorted({whom, *self.at(as_of).filter(pl.col("canonical") == whom)["user"].to_list()})

    def touched(self, as_of: int, seqs: pl.Series | None = None) -> pl.DataFrame:
        """user and seq of the newest link before the as-of (of `seqs` if given) that can have moved them."""
        links = self.links.filter(pl.col("occurred_at") < as_of)
        if seqs is not None:
            links = links.filter(pl.col("seq").is_in(seqs.implode()))
        family = pl.DataFrame({"user": self._member, "root": self._root})
        ends = pl.concat([links.select("seq", user=pl.col(end)) for end in ("user", "other")])
        newest = ends.join(family, on="user").group_by("root").agg(pl.col("seq").max())
        return family.join(newest, on="root").select("user", "seq").sort("user")


NOBODY = Persons(empty(LINKS))
"""Nobody is anybody else."""
