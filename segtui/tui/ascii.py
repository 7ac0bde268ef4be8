"""Screens in ASCII alone, for terminals and fonts where lines, bars and arrows have another width."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

# One cell for one cell; a sparkline rises as ..--=+*#.
SIGNS = {
    **dict(zip("▁▂▃▄▅▆▇█", "..-=++*#", strict=True)),
    **dict(zip("▏▎▍▌▋▊▉", "---==##", strict=True)),
    **dict.fromkeys("│┃┆▕▐", "|"),
    **dict.fromkeys("─━▔", "-"),
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
    "▲": "^",
    "▼": "v",
    "▶": ">",
    "‖": "|",
    "●": "o",
    "…": ".",
    "·": ".",
    "–": "-",
    "↑": "^",
    "↓": "v",
    "←": "<",
    "→": ">",
}
# Of the palette, which is Textual's; two cells for two.
_TABLE = str.maketrans(SIGNS | {"🔎": ": "})


class Ascii(LineFilter):
    """Replaces what the screens draw with; texts that people wrote stay as they are."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        return [*_plain(segments)]


def _plain(segments: Iterable[Segment]) -> Iterable[Segment]:
    for text, style, control in segments:
        yield Segment(text.translate(_TABLE), style, control)
