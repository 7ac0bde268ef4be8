"""What a source cannot read, told in one sentence."""

import unicodedata

BREAKING = ("Cc", "Zl", "Zp")
"""The Unicode categories of control characters and of separators of lines and paragraphs."""


class SourceError(Exception):
    """A file that cannot be read at all; its text is one sentence: what, where, what to do.

    Single bad rows never raise: they are rejected with their line and a reason. Names that come out of a
    file may hold anything: what would break the line or steer a terminal is written as an escape.
    """

    def __init__(self, text: str) -> None:
        super().__init__("".join(_escaped(each) for each in text))


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in BREAKING:
        return character
    return character.encode("unicode_escape").decode()
