"""What the screens write: each call opens a session in a worker thread and asks one operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segtui.operations.errors import OperationError
from segtui.operations.progress import Cancelled, Progress
from segtui.operations.session import open_session
from segtui.tui.apart import apart
from segtui.tui.filtering import is_expression

if TYPE_CHECKING:
    from segtui.operations.policies import Wish
    from segtui.tui.screens.labels import LabelEdit

Heard = Callable[[float, float], None]
"""Told the training and the validation loss of each epoch."""


def train(
    store: Path, wanted: dict[str, str], *, progress: Progress, cancelled: Cancelled, heard: Heard
) -> dict[str, Any]:
    """Trains a model as `{kind, horizon, seed, …}` says."""
    from segtui.operations.train import train as operation

    known = dict(wanted)
    seed = known.pop("seed", "0")
    if not seed.isdigit():
        raise OperationError(f"{seed!r} is no seed: use a whole number.")
    named: dict[str, Any] = {
        name: known.pop(name) for name in ("kind", "horizon", "name", "optimizer") if name in known
    }
    with open_session(store) as s:
        return operation(
            s, seed=int(seed), options=known, progress=progress, cancelled=cancelled, heard=heard, **named
        )


class Writes:
    """Decisions about the store at `path`; with `preview` they only tell who would move."""

    path: Path

    def undo(self, seq: int, preview: bool, progress: Progress, cancelled: Cancelled) -> dict[str, Any]:
        """Takes a decision back, or tells who would move."""
        from segtui.operations.undo import undo

        with open_session(self.path) as s:
            return undo(s, seq, preview=preview, progress=progress, cancelled=cancelled)

    def rule(
        self, name: str, where: str, new: bool, preview: bool, progress: Progress, cancelled: Cancelled
    ) -> dict[str, Any]:
        """Saves a rule, or tells what saving it would do."""
        from segtui.operations.segment import define, edit

        saved = define if new else edit
        with open_session(self.path) as s:
            return saved(s, name, where, preview=preview, progress=progress, cancelled=cancelled)

    def retire(self, name: str, preview: bool, progress: Progress, cancelled: Cancelled) -> dict[str, Any]:
        """Ends a segment of the operator's own, or tells who would leave it."""
        from segtui.operations.segment import retire

        with open_session(self.path) as s:
            return retire(s, name, preview=preview, progress=progress, cancelled=cancelled)

    def label(
        self, segmentation: str, asked: LabelEdit, preview: bool, progress: Progress, cancelled: Cancelled
    ) -> dict[str, Any]:
        """Edits a segmentation's labels."""
        from segtui.operations import label

        how: dict[str, Any] = {"preview": preview, "progress": progress, "cancelled": cancelled}
        with open_session(self.path) as s:
            if asked.kind == "add":
                return label.add(
                    s, segmentation, *asked.names, where=asked.where, examples=asked.users, **how
                )
            edit: Any = {"rename": label.rename, "merge": label.merge, "remove": label.remove}[asked.kind]
            told: dict[str, Any] = edit(s, segmentation, *asked.names, **how)
            return told

    def discover(
        self, name: str, clusters: int | None, preview: bool, progress: Progress, cancelled: Cancelled
    ) -> dict[str, Any]:
        """Groups users into segments of a name."""
        from segtui.operations.discover import discover

        with open_session(self.path) as s:
            return discover(
                s, name, clusters=clusters, preview=preview, progress=progress, cancelled=cancelled
            )

    def promote(self, model: str, preview: bool, progress: Progress, cancelled: Cancelled) -> dict[str, Any]:
        """Makes a model current, or tells who would move."""
        from segtui.operations.models import promote

        with open_session(self.path) as s:
            return promote(s, model, preview=preview, progress=progress, cancelled=cancelled)

    def read_decision(self, name: str, text: str) -> Wish:
        """What the words after `segtui decide NAME` ask for."""
        from segtui.operations.policies import parse_decide

        return parse_decide(f"{name} {text}")[1]

    def decide(
        self, name: str, asked: Wish, preview: bool, progress: Progress, cancelled: Cancelled
    ) -> dict[str, Any]:
        """Decides a segmentation otherwise, or tells who would move."""
        from segtui.operations.decide import decide

        with open_session(self.path) as s:
            return decide(s, name, asked, preview=preview, progress=progress, cancelled=cancelled)

    def train(
        self, wanted: dict[str, str], progress: Progress, cancelled: Cancelled, heard: Heard
    ) -> dict[str, Any]:
        """Trains a model as `{kind, horizon, seed, …}` says; so long that a process of its own does it."""
        return apart(train, self.path, wanted, progress=progress, cancelled=cancelled, heard=heard)

    def rescore(self, preview: bool, progress: Progress, cancelled: Cancelled) -> dict[str, Any]:
        """Evaluates who is due and records the moves, or tells them."""
        from segtui.operations.rescore import rescore

        with open_session(self.path) as s:
            return rescore(s, preview=preview, progress=progress, cancelled=cancelled)

    def erase(self, user: str, purge: bool, progress: Progress) -> dict[str, Any]:
        """Forgets a user; what they did as well when asked to purge."""
        from segtui.operations.erase import erase

        with open_session(self.path) as s:
            return erase(s, [user], purge=purge, progress=progress)

    def export(
        self,
        segment: str,
        out: Path,
        asked: str | None,
        at: int | None,
        users: Sequence[str] | None,
        identified: bool,
    ) -> dict[str, Any]:
        """Writes a segment's members to a file: those asked for, see `members`, or `users` of them."""
        from segtui.operations.export import export

        where, part = (asked, None) if is_expression(asked or "") else (None, asked)
        with open_session(self.path) as s:
            return export(s, segment, out, where=where, part=part, at=at, users=users, identified=identified)

    def require_key(self) -> None:
        """Raises KeyMissing where nobody's real id can be told."""
        with open_session(self.path) as s:
            s.store.vault.require()

    def add_users(
        self, name: str, users: Sequence[str], preview: bool, progress: Progress, cancelled: Cancelled
    ) -> dict[str, Any]:
        """Puts users into a list segment, a new one where there is none of the name."""
        from segtui.operations.segment import add_users

        with open_session(self.path) as s:
            return add_users(s, name, users, preview=preview, progress=progress, cancelled=cancelled)
