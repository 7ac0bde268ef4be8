"""The command line: says what people and scripts asked for, and shows what operations answer."""

from segtui.cli.app import main, run

__all__ = ["main", "run"]
