"""Numbers and times as people read them; scripts get the exact ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def count(number: int) -> str:
    """`24,310`; from a million on `1.2 M`, `3.4 G`."""
    if abs(number) < 1_000_000:
        return f"{number:,}"
    size = number / 1_000_000
    # 999.95 would be rounded to the four digits "1000.0"
    return f"{size:.1f} M" if abs(size) < 999.95 else f"{size / 1000:,.1f} G"


def change(number: int) -> str:
    """`▲ 214`, `▼ 12`, `0`."""
    if number == 0:
        return "0"
    return f"{'▲' if number > 0 else '▼'} {count(abs(number))}"


def share(part: float) -> str:
    """0.136 as `13.6 %`."""
    return f"{part:.1%}".replace("%", " %")


SPOKEN_UNITS = ("minor units", "minor units squared", "share", "ms")
"""Units whose quantities need no unit beside them once put into words."""


@cache
def minor_digits(currency: str | None) -> int:
    """Decimals of a currency's minor unit by ISO 4217; 2 while none is known."""
    if currency is None:
        return 2
    from babel.numbers import get_currency_precision

    return int(get_currency_precision(currency))


def money(minor: float, currency: str | None, *, named: bool = True) -> str:
    """Minor units as `1,212.40 EUR`; without the code where not `named`."""
    digits = minor_digits(currency)
    return f"{minor / 10**digits:,.{digits}f}" + (f" {currency}" if named and currency else "")


def quantity(value: float, unit: str, currency: str | None, *, named: bool = True) -> str:
    """A feature's value in its catalogue unit: money, shares in per cent, whole or rounded numbers."""
    if unit == "minor units":
        return money(value, currency, named=named)
    if unit == "minor units squared":
        return f"{value / 100 ** minor_digits(currency):,.2f}"
    if unit == "share":
        return share(value)
    if unit == "ms":
        return seconds(value / 1000)
    return count(int(value)) if float(value).is_integer() else f"{value:,.2f}"


def ago(instant: int, now: int) -> str:
    """How long before `now` (both µs): `just now`, `5 min ago`, `3 h ago`, `3 d ago`; ahead: `in 3 d`."""
    gap = abs(now - instant)
    if gap < MINUTE:
        return "just now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if gap >= unit:
            words = f"{gap // unit:,} {name}"
            break
    return f"{words} ago" if instant <= now else f"in {words}"


def decision(told: Mapping[str, Any]) -> str:
    """`medium for 10 % of users; margin 0.05`; `high from 0.3 on`; `likeliest label; margin 0.05`."""
    parts = [f"{label} for {share(part)} of users" for label, part in told.get("shares", {}).items()]
    parts += [f"{label} from {least:g} on" for label, least in told.get("min", {}).items()]
    parts += [f"{pair} costs {cost:g}" for pair, cost in told.get("costs", {}).items()]
    ways = [", ".join(parts) or "likeliest label", f"margin {told['margin']:g}"]
    if told["min_stay"]:
        ways.append(f"at least {plural(told['min_stay'], 'tick')}")
    return "; ".join(ways)


def seconds(length: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`."""
    if length < 9.95:
        return f"{length:.1f} s"
    whole = round(length)
    return f"{whole} s" if whole < 60 else f"{whole // 60:,} min {whole % 60} s"


def quoted(text: str) -> str:
    """What somebody wrote, in quotes: `'high'`, or `"it's"`. Nothing is escaped, as `repr` would."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def plural(number: int, noun: str) -> str:
    """`1 user`, `2 users`."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"
