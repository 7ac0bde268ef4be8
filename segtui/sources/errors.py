"""What a source cannot read, told in one sentence."""


class SourceError(Exception):
    """A file that cannot be read at all; its text is one sentence: what, where, what to do.

    Single bad rows never raise: they are rejected with their line and a reason.
    """
