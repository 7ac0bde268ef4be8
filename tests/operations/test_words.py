"""Numbers and times as people read them."""

from __future__ import annotations

import pytest

from segtui.operations import words


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0"),
        (24_310, "24,310"),
        (999_999, "999,999"),
        (1_000_000, "1.0 M"),
        (1_249_999, "1.2 M"),
        (-1_249_999, "-1.2 M"),
        (999_949_999, "999.9 M"),
        (999_999_999, "1.0 G"),
        (3_400_000_000, "3.4 G"),
    ],
)
def test_counts(number: int, expected: str) -> None:
    assert words.count(number) == expected


def test_changes_shares_and_plurals() -> None:
    assert [words.change(n) for n in (214, -12, 0)] == ["▲ 214", "▼ 12", "0"]
    assert words.share(0.1362) == "13.6 %"
    assert [words.plural(n, "user") for n in (0, 1, 2)] == ["0 users", "1 user", "2 users"]


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (0, "just now"),
        (59 * words.SECOND, "just now"),
        (words.MINUTE, "1 min ago"),
        (words.HOUR - 1, "59 min ago"),
        (words.HOUR, "1 h ago"),
        (words.DAY - 1, "23 h ago"),
        (3 * words.DAY, "3 d ago"),
        (-3 * words.DAY, "in 3 d"),
        (1200 * words.DAY, "1,200 d ago"),
    ],
)
def test_how_long_ago(gap: int, expected: str) -> None:
    assert words.ago(10**15, 10**15 + gap) == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
    ],
)
def test_how_long(length: float, expected: str) -> None:
    assert words.seconds(length) == expected
