"""Making the next item beside the caller changes neither order nor errors, and never runs far ahead."""

import threading

import pytest

from segtui.operations.ahead import ahead


def test_items_come_in_their_order_and_nulls_are_items():
    assert list(ahead(iter([3, None, 1]))) == [3, None, 1]
    assert list(ahead(iter([]))) == []


def test_an_error_comes_where_its_item_would_have_come():
    def broken():
        yield 1
        raise ValueError("no second")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="no second"):
        next(items)


def test_one_item_is_made_ahead_and_no_more():
    made, second = [], threading.Event()

    def counted():
        for number in range(5):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    items = ahead(counted())
    assert next(items) == 0
    assert second.wait(10)
    items.close()
    assert made == [0, 1]
