"""What an operation refuses, told in one sentence."""


class OperationError(Exception):
    """Base of every error an operation raises for a person to read."""
