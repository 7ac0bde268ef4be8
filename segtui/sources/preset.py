"""Formats that a mapping can express: read as their preset says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from segtui.sources import mapped
from segtui.sources.mapping import Mapping, parse
from segtui.sources.schema import Batch, Columns, Options


@dataclass(frozen=True)
class Preset:
    """A format's name and its mapping file."""

    name: str
    text: str

    @cached_property
    def mapping(self) -> Mapping:
        """The mapping, under the format's name in errors."""
        return parse(self.text, Path(self.name))

    def columns(self, path: Path) -> Columns:
        """What becomes of a file's columns."""
        return mapped.columns(path, self.mapping)

    def fields(self, path: Path) -> dict[str, str]:
        """Where each field of a file comes from."""
        return mapped.fields(path, self.mapping)

    def read(self, path: Path, options: Options) -> Iterator[Batch]:
        """The rows of a file."""
        return mapped.read(path, options, self.mapping)
