"""Recorded, decided again, what if: the other frames of a replay, and the job that makes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.content import Content

from segtui.tui import words
from segtui.tui.screens.dialogs import Again, Prompt
from segtui.tui.screens.page import Page
from segtui.tui.widgets.virtual_list import Column

if TYPE_CHECKING:
    from segtui.operations.trials import Trial

RECORDED, RECOMPUTE, WHAT_IF = MODES = ("recorded", "recompute", "what if")
NAMED = 50
"""Users who differ are told by name up to here, frame by frame."""
HINT = (
    "mlp-3f9a                           had another model decided\n"
    "lapsing = recency_days > 60        had this been the rule\n"
    "value --margin 0.1                 had it been decided so"
)
DIFFERING = (
    Column("USER", 12, lambda row, _: row["user"], grow=1),
    Column("SEGMENT", 10, lambda row, _: row["segmentation"], drop=1),
    Column("RECORDED > INSTEAD", 23, lambda row, _: words.move(_instead(row), 9), grow=1),
    Column("EVENTS", 9, lambda row, _: "came late" if row["late"] else "", drop=2),
)


@dataclass(frozen=True)
class Other:
    """The frames of a trial by as-of, and the log position they are of."""

    trial: Trial
    position: int
    frames: dict[str, dict[str, Any]]


class Modes(Page):
    """A page of recorded frames that can show others beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.mode = RECORDED
        self._others: dict[str, Other] = {}
        self.frames: list[dict[str, Any]] = []
        self._drawn: tuple[str, str] = ("", "")
        """The segmentation and label whose size is drawn over time, as they were asked for."""

    @property
    def frame(self) -> dict[str, Any] | None:
        """The frame shown."""
        raise NotImplementedError

    def _draw(self) -> None:
        raise NotImplementedError

    @property
    def other(self) -> Other | None:
        """What is shown beside the recorded frames."""
        return self._others.get(self.mode)

    @property
    def beside(self) -> dict[str, Any] | None:
        """The frame beside the one shown; None as recorded, and at ticks that were not tried."""
        frame, other = self.frame, self.other
        return None if frame is None or other is None else other.frames.get(frame["as_of"])

    @property
    def outdated(self) -> bool:
        """Whether the log has moved on since the frames beside were made."""
        status, other = self.segtui.status, self.other
        return other is not None and status is not None and status["position"] != other.position

    def draw_of(self, segmentation: str) -> None:
        """Draws a label of this segmentation from now on."""
        self._drawn = (segmentation, "")

    def _pairs(self) -> list[tuple[str, str]]:
        """Every segmentation and label of the frame shown."""
        frame = self.beside or self.frame
        return [(name, label) for name, labels in frame["sizes"].items() for label in labels] if frame else []

    def _drawn_label(self) -> tuple[str, str]:
        """What was asked for as far as the frame has it: the segmentation alone, else the first there is."""
        pairs = self._pairs()
        if self._drawn in pairs:
            return self._drawn
        first = next((name.partition("=")[0] for name in self.segtui.known_segments), "")
        for name in (self._drawn[0], first):
            own = [pair for pair in pairs if pair[0] == name]
            if own:
                return own[0]
        return pairs[0] if pairs else ("", "")

    def banner(self) -> Content:
        """What is shown, in a few words; loud once the log has moved on under it."""
        other = self.other
        if other is None:
            return Content("recorded")
        told = f"{self.mode}: {other.trial.text}" if other.trial.text else self.mode
        if self.outdated:
            again = f"{self.key('what_if')} tries again"
            return Content.styled(f" THE LOG HAS MOVED ON, {again} │ {told} ", f"reverse {words.WARN}")
        return Content.styled(told, f"bold {words.WARN}")

    def action_mode(self) -> None:
        """The next mode, a what-if only where one was tried; deciding again is made first."""
        modes = [each for each in MODES if each != WHAT_IF or each in self._others]
        mode = modes[(modes.index(self.mode) + 1) % len(modes)]
        if mode == RECORDED or mode in self._others:
            self._show_mode(mode)
        else:
            from segtui.operations.trials import Trial

            self._try(RECOMPUTE, Trial())

    def action_what_if(self) -> None:
        """Asks what to try; where the log has moved on, offers what was tried. Deciding again, which takes no
        line, is then done anew at once."""
        if self.mode == RECOMPUTE and self.outdated:
            self._try(RECOMPUTE, self._others[RECOMPUTE].trial)
            return
        held = self._others.get(WHAT_IF)
        self.app.push_screen(self._line(held.trial.text if held else ""), self._asked)

    def _line(self, text: str, said: str = "") -> Prompt:
        return Prompt(
            "What if, over these ticks", HINT, lambda typed: self.segtui.data.trial(typed), text, said
        )

    def _asked(self, answer: tuple[Trial] | None) -> None:
        if answer is not None:
            self._try(WHAT_IF, answer[0])

    def _try(self, mode: str, trial: Trial) -> None:
        """Decides the ticks again in a job, which can be called off, and then shows them."""
        if not self.frames:
            return
        first = words.microseconds(self.frames[0]["as_of"])
        self.segtui.look(
            mode,
            lambda progress, cancelled: self.segtui.data.what_if(trial, first, NAMED, progress, cancelled),
            partial(self._tried, mode, trial),
            Again(self.segtui, lambda said: self._line(trial.text, said), self._asked)
            if trial.text
            else None,
        )

    def _tried(self, mode: str, trial: Trial, found: dict[str, Any]) -> None:
        frames = {frame["as_of"]: frame for frame in found["frames"]}
        self._others[mode] = Other(trial, found["position"], frames)
        self._show_mode(mode)
        changed = trial.define or trial.decide
        if changed is not None:
            self.draw_of(changed[0])
            self._draw()

    def _show_mode(self, mode: str) -> None:
        self.mode = mode
        self.set_class(self.other is not None, "-beside")
        self._draw()


def _instead(row: dict[str, Any]) -> dict[str, Any]:
    return {"from": row["recorded"], "to": row["decided"]}
