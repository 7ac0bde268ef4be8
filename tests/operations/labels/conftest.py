"""A shop whose `value` a model decides, and what its labels are asked for."""

import pytest

from segtui.operations.log import log
from segtui.operations.members import members
from segtui.operations.segments import segments
from segtui.operations.verify import verify

PEOPLE = 240
EVENTS = [
    (f"u{n}", day + 0.1 + n / 1_000, "purchase", 4.0 + (n * 7) % 60)
    for n in range(PEOPLE)
    for day in range(n % 11, 40, 9 + n % 7)
] + [(f"u{n}", 38.2 + k / 100, "view", None) for n in range(0, PEOPLE, 6) for k in range(12)]


@pytest.fixture
def decided(lived_through, give_model):
    """Two hundred and forty people whose `value` a model decides; every sixth looks around a lot."""

    def story(shop):
        shop.at(40.5)
        shop.events(EVENTS)
        with shop.open() as s:
            give_model(s)

    return lived_through(story)


def held(s):
    (value,) = (each for each in segments(s)["segmentations"] if each["name"] == "value")
    return {
        each["label"]: {who["user"] for who in members(s, f"value={each['label']}", limit=None)["members"]}
        for each in value["labels"]
        if each["users"]
    }


def names(s, kind):
    return [each for each in log(s) if each["kind"] == kind]


def value(s):
    (each,) = (each for each in segments(s)["segmentations"] if each["name"] == "value")
    return each


def passed(s):
    found = verify(s, deep=True)
    assert found["ok"], [each for each in found["checks"] if not each["ok"]]


def last_edit(s):
    return names(s, "label_edited")[-1]["seq"]
