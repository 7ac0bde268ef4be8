"""Texts cut and padded to a width in terminal cells: a Chinese character takes two."""

from __future__ import annotations

from textual.content import Content


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly `width` cells, `…` where it was cut."""
    content = Content(text).truncate(width, ellipsis=True)
    room = width - content.cell_length
    return (content.pad_left(room) if right else content.pad_right(room)).plain
