"""The colours: quiet ground, one blue for where you are, amber for keys and warnings."""

from textual.theme import Theme

MUTED = "#8792a5"

THEME = Theme(
    name="segtui",
    primary="#7cb7ff",
    secondary="#9aa8c0",
    accent="#f0b866",
    success="#7fd1a0",
    warning="#f0b866",
    error="#f2808a",
    foreground="#d8dee9",
    background="#11151c",
    surface="#161b24",
    panel="#232b38",
    dark=True,
)
