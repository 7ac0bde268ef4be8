"""The mapping file: a TOML file in which an operator says which column of a foreign file is what.

The formats that a mapping can express are mappings themselves: their presets are parsed here too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Container
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from segtui.sources import nearest, numbers, times
from segtui.sources.delimited import BLANKS
from segtui.sources.errors import SourceError

COALESCED = (
    *("user", "email", "previous", "kind", "order", "item", "category", "platform", "device", "region"),
    *("currency", "session", "id"),
)
FIGURES = ("amount", "price", "quantity", "less", "refunded", "rating", "duration")
FIELDS = (*COALESCED, "time", *FIGURES)
CONSTANTS = ("kind", "category", "platform", "device", "region", "currency", "quantity")
BOUGHT = ("order", "currency", *FIGURES[:5])  # the fields that purchase_only may name
FILE_FORMATS = ("csv", "parquet", "ndjson")
DURATIONS = {"milliseconds": 1, "seconds": 1_000, "minutes": 60_000}
ORDER = ("by", "subtotal", "total", "refunded", "unpriced", "all_refunded", "unpaid", "known_by_place")
KEYS: dict[str, tuple[str, ...]] = {
    "": (
        *("format", "delimiter", "names", "optional", "fill_down", "nobody", "purchase_only"),
        *("columns", "constants", "time", "kinds", "numbers", "negative", "order"),
    ),
    "time": ("format", "zone"),
    "numbers": ("decimal", "thousands", "stars", "duration"),
    "negative": ("amount", "quantity"),
    "order": ORDER,
    "columns": FIELDS,
    "constants": CONSTANTS,
}
PLAIN_KEYS = KEYS[""].index("columns")  # entries before the sections
SIGNS = ("refund", "reject", "in refunds")


@dataclass(frozen=True)
class Orders:
    """What a file tells of whole orders; see `segtui.sources.orders`.

    by: the column that is the same in an order's rows, which follow each other; else that of `order`.
    subtotal, total, refunded: columns with an order's figures. unpriced: the column with what an order cost
    none of whose rows has an amount or a price. all_refunded: values of the kind column of orders that were
    given back whole. unpaid: kinds whose rows cost nothing. known_by_place: whether a row is known by its
    order, its item, and which of the order's rows of that item it is.
    """

    by: str | None = None
    subtotal: str | None = None
    total: str | None = None
    refunded: str | None = None
    unpriced: str | None = None
    all_refunded: tuple[str, ...] = ()
    unpaid: tuple[str, ...] = ()
    known_by_place: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file this needs."""
        named = (self.by, self.subtotal, self.total, self.refunded, self.unpriced)
        return tuple(name for name in named if name is not None)


@dataclass(frozen=True)
class Mapping:
    """What a mapping file says; see docs/sources.md for the file itself.

    columns: field to column names, of which the first filled one counts (of `less`, all). constants: field
    to the value of every row. names: the columns of a file without a header. optional: columns that a file
    may lack. fill_down: columns that stand on an order's first row only. nobody: user ids that mean nobody.
    purchase_only: fields that only purchases and refunds keep. kinds: value in the file to kind, where *
    stands for anything. stars: the best rating.
    negative_*: one of SIGNS, what a negative number in a purchase means.
    """

    path: Path
    columns: MappingType[str, tuple[str, ...]]
    constants: MappingType[str, str] = field(default_factory=dict)
    format: str | None = None
    delimiter: str | None = None
    names: tuple[str, ...] | None = None
    optional: tuple[str, ...] = ()
    fill_down: tuple[str, ...] = ()
    nobody: tuple[str, ...] = ()
    purchase_only: tuple[str, ...] = ()
    time_formats: tuple[str, ...] = ("iso",)
    zone: str | None = None
    kinds: MappingType[str, str] = field(default_factory=dict)
    decimal: str = "."
    thousands: str | None = None
    stars: int = 5
    duration: str = "seconds"
    negative_amount: str = "reject"
    negative_quantity: str = "reject"
    order: Orders | None = None

    @property
    def needed(self) -> list[str]:
        """Every column of the file that is used, once."""
        named = [name for names in self.columns.values() for name in names]
        return list(dict.fromkeys([*named, *self.fill_down, *(self.order.columns if self.order else ())]))

    def fitting(self, there: Container[str]) -> Mapping:
        """The same for a file that has these columns: without those optional ones that are not among them.

        What no row can do without stays, so that it is missed as any other column is.
        """
        absent = {name for name in self.optional if name not in there}
        for names in self._indispensable:
            if absent.issuperset(names):
                absent.difference_update(names)
        if not absent:
            return self
        columns = {
            name: tuple(one for one in names if one not in absent) for name, names in self.columns.items()
        }
        order = self.order
        if order is not None:
            order = replace(
                order,
                subtotal=None if order.subtotal in absent else order.subtotal,
                total=None if order.total in absent else order.total,
                refunded=None if order.refunded in absent else order.refunded,
                unpriced=None if order.unpriced in absent else order.unpriced,
            )
        return replace(
            self,
            columns={name: names for name, names in columns.items() if names},
            fill_down=tuple(name for name in self.fill_down if name not in absent),
            order=order,
        )

    @property
    def _indispensable(self) -> list[tuple[str, ...]]:
        """Columns of each of which a file must have one: for the time, the kind, the user and the order."""
        fields = [("time",), ("user", "email"), ("kind",)]
        by = self.order.by if self.order else None
        if (self.order or self.fill_down) and by is None:
            fields.append(("order",))
        # A preset that was cut to the columns of a file may lack any field.
        return [tuple(one for name in names for one in self.columns.get(name, ())) for names in fields]

    @property
    def told(self) -> dict[str, str]:
        """Each field and where its value comes from: columns, or a constant in quotes."""
        columns = {
            name: (" and " if name == "less" else " or ").join(names) for name, names in self.columns.items()
        }
        return columns | {name: f"'{value}'" for name, value in self.constants.items()}

    @property
    def order_columns(self) -> tuple[str, ...]:
        """The columns of which the first filled one says which rows are one order."""
        by = self.order.by if self.order else None
        return self.columns["order"] if by is None else (by,)

    @property
    def identifying(self) -> list[str]:
        """The columns that say who the user is."""
        return [name for field in ("user", "email", "previous") for name in self.columns.get(field, ())]


def load(path: Path) -> Mapping:
    """Reads and checks a mapping file; SourceError names the entry at fault and what may stand there."""
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SourceError(f"There is no mapping file {path}: check its name and folder.") from None
    except UnicodeDecodeError:
        raise SourceError(f"The mapping file {path} is not UTF-8 text: save it as UTF-8.") from None
    except OSError as error:
        raise SourceError(f"The mapping file {path} cannot be read ({error.strerror}).") from error
    return parse(content, path)


def parse(text: str, path: Path) -> Mapping:
    """`load` for a text; `path` names it in errors."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"The mapping file {path} is not TOML: {error}; correct that line.") from None
    _check_keys(path, content, "")
    for name in KEYS[""][PLAIN_KEYS:]:
        if not isinstance(content.get(name, {}), dict):
            raise SourceError(f"{path}: {name} is a section: write [{name}] on its own line.")
        if name in KEYS:
            _check_keys(path, content.get(name, {}), name)
    time, figures, negative = (content.get(name, {}) for name in ("time", "numbers", "negative"))
    mapping = Mapping(
        path=path,
        columns={
            name: _list(path, f"columns.{name}", value) for name, value in content.get("columns", {}).items()
        },
        constants={
            name: _text(path, f"constants.{name}", value)
            for name, value in content.get("constants", {}).items()
        },
        format=_choice(path, "format", content.get("format"), FILE_FORMATS),
        delimiter=_delimiter(path, content.get("delimiter")),
        names=_list(path, "names", content["names"]) if "names" in content else None,
        optional=_list(path, "optional", content["optional"]) if "optional" in content else (),
        fill_down=_list(path, "fill_down", content["fill_down"]) if "fill_down" in content else (),
        nobody=_list(path, "nobody", content["nobody"]) if "nobody" in content else (),
        purchase_only=(
            _list(path, "purchase_only", content["purchase_only"]) if "purchase_only" in content else ()
        ),
        time_formats=_list(path, "time.format", time.get("format", "iso")),
        zone=None if "zone" not in time else _text(path, "time.zone", time["zone"]),
        kinds={name: _text(path, f"kinds.{name}", value) for name, value in content.get("kinds", {}).items()},
        decimal=_character(path, "numbers.decimal", figures.get("decimal")) or ".",
        thousands=_character(path, "numbers.thousands", figures.get("thousands")),
        stars=_stars(path, figures.get("stars", 5)),
        duration=_choice(path, "numbers.duration", figures.get("duration"), tuple(DURATIONS)) or "seconds",
        negative_amount=_choice(path, "negative.amount", negative.get("amount"), SIGNS) or "reject",
        negative_quantity=_choice(path, "negative.quantity", negative.get("quantity"), SIGNS) or "reject",
        order=_orders(path, content["order"]) if "order" in content else None,
    )
    _check_meaning(mapping)
    return mapping


def _orders(path: Path, section: MappingType[str, Any]) -> Orders:
    place = section.get("known_by_place", False)
    if not isinstance(place, bool):
        raise SourceError(f"{path}: order.known_by_place is {place!r}, it must be true or false.")
    texts = {
        name: _text(path, f"order.{name}", section[name])
        for name in ("by", "subtotal", "total", "refunded", "unpriced")
        if name in section
    }
    lists = {
        name: _list(path, f"order.{name}", section[name])
        for name in ("all_refunded", "unpaid")
        if name in section
    }
    return Orders(
        **texts,
        all_refunded=lists.get("all_refunded", ()),
        unpaid=lists.get("unpaid", ()),
        known_by_place=place,
    )


def _check_meaning(mapping: Mapping) -> None:
    path, columns, constants = mapping.path, mapping.columns, mapping.constants
    both = sorted(set(columns) & set(constants))
    if both:
        raise SourceError(f"{path}: {both[0]} stands in [columns] and in [constants], keep one.")
    several = [name for name, names in columns.items() if len(names) > 1 and name not in (*COALESCED, "less")]
    if several:
        raise SourceError(f"{path}: columns.{several[0]} names several columns, it can have one only.")
    if "user" not in columns and "email" not in columns:
        raise SourceError(f"{path}: nothing names the user: add user or email under [columns].")
    if "time" not in columns:
        raise SourceError(f"{path}: nothing names the time: add time under [columns].")
    if "kind" not in columns and "kind" not in constants:
        raise SourceError(f"{path}: nothing names the kind: add kind under [columns] or [constants].")
    if "price" in columns and "quantity" not in columns and "quantity" not in constants:
        raise SourceError(
            f"{path}: price is per unit and needs quantity under [columns]; else call it amount."
        )
    if "less" in columns and "price" not in columns and "amount" not in columns:
        raise SourceError(f"{path}: less is taken off a price or an amount: name one under [columns].")
    gives_back = "refunded" in columns or (mapping.order is not None and mapping.order.refunded is not None)
    known = "id" in columns or (mapping.order is not None and mapping.order.known_by_place)
    if gives_back and not (known and mapping.order):
        raise SourceError(
            f"{path}: refunded tells a row's later state: add [order] with known_by_place = true, "
            "or the row's id under [columns]."
        )
    if mapping.decimal == mapping.thousands:
        raise SourceError(f"{path}: numbers.decimal and numbers.thousands are the same, change one.")
    twice = [name for name in mapping.names or () if (mapping.names or ()).count(name) > 1]
    if twice:
        raise SourceError(f"{path}: names has '{twice[0]}' twice, each column needs a name of its own.")
    for name in mapping.purchase_only:
        if name not in BOUGHT:
            raise SourceError(f"{path}: purchase_only names {name!r}, it may name {', '.join(BOUGHT)}.")
    if (mapping.order or mapping.fill_down) and "order" not in columns:
        what = "[order]" if mapping.order else "fill_down"
        raise SourceError(f"{path}: {what} needs to know the order of a row: add order under [columns].")
    quantity = constants.get("quantity")
    if quantity is not None and not _is_quantity(quantity, signed=mapping.negative_quantity != "reject"):
        raise SourceError(f"{path}: quantity '{quantity}' is not a whole number of pieces, like 1.")
    currency = constants.get("currency")
    if currency is not None and currency.upper() not in numbers.currencies():
        raise SourceError(f"{path}: currency '{currency}' is not an ISO 4217 code, like EUR.")
    if mapping.zone is not None:
        times.check_zone(mapping.zone)
    for one in mapping.time_formats:
        times.check_format(one, str(path))


def _is_quantity(text: str, *, signed: bool) -> bool:
    number = pl.select(numbers.whole(numbers.billionths(pl.lit(text)))).item()
    return number is not None and (signed or number >= 0)


def _check_keys(path: Path, table: MappingType[str, Any], section: str) -> None:
    allowed = KEYS[section]
    for key in table:
        if key not in allowed:
            near = nearest.nearest(key, allowed)
            hint = f"did you mean {near}?" if near else f"there may be {', '.join(allowed)}."
            where = f"[{section}]" if section else "the mapping"
            raise SourceError(f"{path}: {where} has no entry '{key}': {hint}")


def _text(path: Path, name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SourceError(f"{path}: {name} is {value!r}, it must be a text in quotes.")
    return value


def _list(path: Path, name: str, value: object) -> tuple[str, ...]:
    """One text, or a list of at least one."""
    values = value if isinstance(value, list) and value else [value]
    return tuple(_text(path, name, one) for one in values)


def _choice(path: Path, name: str, value: object, allowed: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    if value not in allowed:
        raise SourceError(f"{path}: {name} is {value!r}, it must be one of {', '.join(allowed)}.")
    return str(value)


def _delimiter(path: Path, value: object) -> str | None:
    return BLANKS if value == BLANKS else _character(path, "delimiter", value)


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
