"""Formats that a mapping can express: read as their preset says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from segtui.sources import mapped
from segtui.sources.mapping import Mapping, parse
from segtui.sources.schema import Batch, Columns, Options
from segtui.sources.tabular import Table


@dataclass(frozen=True)
class Preset:
    """A format's name, its mapping file, and those of its columns that a file may lack."""

    name: str
    text: str
    optional: tuple[str, ...] = ()

    @cached_property
    def mapping(self) -> Mapping:
        """The mapping, under the format's name in errors."""
        return parse(self.text, Path(self.name))

    def columns(self, path: Path) -> Columns:
        """What becomes of a file's columns."""
        return mapped.columns(path, self._fitting(path))

    def read(self, path: Path, options: Options) -> Iterator[Batch]:
        """The rows of a file."""
        return mapped.read(path, options, self._fitting(path))

    def _fitting(self, path: Path) -> Mapping:
        if not self.optional:
            return self.mapping
        there = Table(path, self.mapping.delimiter, self.mapping.names).names
        return self.mapping.without({name for name in self.optional if name not in there})
