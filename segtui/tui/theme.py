"""The colours: quiet ground, one blue for where you are, amber for keys and warnings; and others to choose.

A colour only repeats what a sign says: arrows, marks and words stand in every theme.
"""

from __future__ import annotations

from textual.theme import Theme

THEMES = {
    "dark": Theme(
        name="dark",
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
        variables={"muted": "#8792a5", "line": "#444C5A"},
    ),
    "light": Theme(
        name="light",
        primary="#0a58b0",
        secondary="#52607a",
        accent="#8a4b00",
        success="#136c36",
        warning="#8a4b00",
        error="#b01024",
        foreground="#1b2330",
        background="#fbfbf8",
        surface="#f1f1ec",
        panel="#e0e2e0",
        dark=False,
        variables={"muted": "#5a6374", "line": "#a9b0b8"},
    ),
    "high-contrast": Theme(
        name="high-contrast",
        primary="#ffff00",
        secondary="#ffffff",
        accent="#00ffff",
        success="#00ff7f",
        warning="#ffb000",
        error="#ff8080",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#262626",
        dark=True,
        variables={"muted": "#d0d0d0", "line": "#909090"},
    ),
    "no-colour": Theme(
        name="no-colour",
        primary="#ffffff",
        secondary="#c8c8c8",
        accent="#ffffff",
        success="#e8e8e8",
        warning="#ffffff",
        error="#ffffff",
        foreground="#e0e0e0",
        background="#000000",
        surface="#101010",
        panel="#303030",
        dark=True,
        variables={"muted": "#a8a8a8", "line": "#6a6a6a"},
    ),
}
