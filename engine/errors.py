"""What the engine refuses, told in one sentence."""


class EngineError(Exception):
    """Base of every error the engine raises for a person to read."""


class UnknownName(EngineError):
    """A rule names what nobody told of: with more names it may be one."""
