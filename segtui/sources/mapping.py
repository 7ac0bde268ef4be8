"""The mapping file: a TOML file in which an operator says which column of a foreign file is what."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segtui.sources import numbers, times
from segtui.sources.errors import SourceError

FIELDS = (
    *("user", "email", "time", "kind", "order", "item", "category", "platform", "device", "region"),
    *("currency", "session", "id", "amount", "price", "quantity", "rating", "duration"),
)
CONSTANTS = ("kind", "category", "platform", "device", "region", "currency")
FILE_FORMATS = ("csv", "parquet", "ndjson")
DURATIONS = {"milliseconds": 1, "seconds": 1_000, "minutes": 60_000}
KEYS: dict[str, tuple[str, ...]] = {
    "": ("format", "delimiter", "columns", "constants", "time", "kinds", "numbers", "negative"),
    "time": ("format", "zone"),
    "numbers": ("decimal", "thousands", "stars", "duration"),
    "negative": ("amount", "quantity"),
    "columns": FIELDS,
    "constants": CONSTANTS,
}


@dataclass(frozen=True)
class Mapping:
    """What a mapping file says; see docs/sources.md for the file itself.

    columns: field to column name. constants: field to the value of every row. kinds: value in the file to
    kind. stars: the highest rating there is. negative_*: `refund` or `reject`, what such a purchase means.
    """

    path: Path
    columns: MappingType[str, str]
    constants: MappingType[str, str] = field(default_factory=dict)
    format: str | None = None
    delimiter: str | None = None
    time_format: str = "iso"
    zone: str | None = None
    kinds: MappingType[str, str] = field(default_factory=dict)
    decimal: str = "."
    thousands: str | None = None
    stars: int = 5
    duration: str = "seconds"
    negative_amount: str = "reject"
    negative_quantity: str = "reject"


def load(path: Path) -> Mapping:
    """Reads and checks a mapping file; SourceError names the entry at fault and what may stand there."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"There is no mapping file {path}: check its name and folder.") from None
    except UnicodeDecodeError:
        raise SourceError(f"The mapping file {path} is not UTF-8 text: save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"The mapping file {path} is not TOML: {error}; correct that line.") from None
    except OSError as error:
        raise SourceError(f"The mapping file {path} cannot be read ({error.strerror}).") from error
    _check_keys(path, content, "")
    for name in KEYS[""][2:]:
        if not isinstance(content.get(name, {}), dict):
            raise SourceError(f"{path}: {name} is a section: write [{name}] on its own line.")
        if name in KEYS:
            _check_keys(path, content.get(name, {}), name)
    time, figures, negative = (content.get(name, {}) for name in ("time", "numbers", "negative"))
    mapping = Mapping(
        path=path,
        columns=_texts(path, "columns", content.get("columns", {})),
        constants=_texts(path, "constants", content.get("constants", {})),
        format=_choice(path, "format", content.get("format"), FILE_FORMATS),
        delimiter=_character(path, "delimiter", content.get("delimiter")),
        time_format=_text(path, "time.format", time.get("format", "iso")),
        zone=None if "zone" not in time else _text(path, "time.zone", time["zone"]),
        kinds=_texts(path, "kinds", content.get("kinds", {})),
        decimal=_character(path, "numbers.decimal", figures.get("decimal")) or ".",
        thousands=_character(path, "numbers.thousands", figures.get("thousands")),
        stars=_stars(path, figures.get("stars", 5)),
        duration=_choice(path, "numbers.duration", figures.get("duration"), tuple(DURATIONS)) or "seconds",
        negative_amount=_choice(path, "negative.amount", negative.get("amount"), _SIGNS) or "reject",
        negative_quantity=_choice(path, "negative.quantity", negative.get("quantity"), _SIGNS) or "reject",
    )
    _check_meaning(mapping)
    return mapping


_SIGNS = ("refund", "reject")


def _check_meaning(mapping: Mapping) -> None:
    path, columns, constants = mapping.path, mapping.columns, mapping.constants
    both = sorted(set(columns) & set(constants))
    if both:
        raise SourceError(f"{path}: {both[0]} stands in [columns] and in [constants], keep one.")
    if "user" not in columns and "email" not in columns:
        raise SourceError(f"{path}: nothing names the user: add user or email under [columns].")
    if "time" not in columns:
        raise SourceError(f"{path}: nothing names the time: add time under [columns].")
    if "kind" not in columns and "kind" not in constants:
        raise SourceError(f"{path}: nothing names the kind: add kind under [columns] or [constants].")
    if "price" in columns and "amount" in columns:
        raise SourceError(f"{path}: amount and price are both there: keep amount, the total of the row.")
    if "price" in columns and "quantity" not in columns:
        raise SourceError(
            f"{path}: price is per unit and needs quantity under [columns]; else call it amount."
        )
    if mapping.decimal == mapping.thousands:
        raise SourceError(f"{path}: numbers.decimal and numbers.thousands are the same, change one.")
    currency = constants.get("currency")
    if currency is not None and currency.upper() not in numbers.currencies():
        raise SourceError(f"{path}: currency '{currency}' is not an ISO 4217 code, like EUR.")
    if mapping.zone is not None:
        times.check_zone(mapping.zone)
    times.check_format(mapping.time_format, str(path))


def _check_keys(path: Path, table: MappingType[str, Any], section: str) -> None:
    allowed = KEYS[section]
    for key in table:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there may be {', '.join(allowed)}."
            where = f"[{section}]" if section else "the mapping"
            raise SourceError(f"{path}: {where} has no entry '{key}': {hint}")


def _text(path: Path, name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SourceError(f"{path}: {name} is {value!r}, it must be a text in quotes.")
    return value


def _texts(path: Path, section: str, table: MappingType[str, object]) -> dict[str, str]:
    return {key: _text(path, f"{section}.{key}", value) for key, value in table.items()}


def _choice(path: Path, name: str, value: object, allowed: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    if value not in allowed:
        raise SourceError(f"{path}: {name} is {value!r}, it must be one of {', '.join(allowed)}.")
    return str(value)


def _character(path: Path, name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) != 1 or value.isalnum() or value in '"\r\n+-':
        raise SourceError(f'{path}: {name} is {value!r}, it must be one character, like ";".')
    return value


def _stars(path: Path, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100:
        raise SourceError(f"{path}: numbers.stars is {value!r}, it must be a whole number from 1 to 100.")
    return value
