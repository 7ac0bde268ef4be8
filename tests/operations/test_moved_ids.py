"""A row that comes again as another user's: its money goes along, and nobody owes what they never had."""

import json
from datetime import timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segtui.operations.ingest import import_files
from segtui.operations.verify import verify

told = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["ann", "bob", "cat"])), min_size=1, max_size=8
)


def bring(shop, rows, name):
    """Imports (id, user, amount) rows as purchases of one file; returns what the import said."""
    path = shop.path.with_name(name)
    with shop.open() as s:
        at = s.iso(shop.instant(1))
        lines = (
            {"id": number, "user": user, "time": at, "kind": "purchase", "amount": amount, "currency": "EUR"}
            for number, user, amount in rows
        )
        path.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
        return import_files(s, [path], format="events")


@settings(max_examples=15, deadline=timedelta(seconds=60), suppress_health_check=list(HealthCheck))
@given(story=told, cuts=st.sets(st.integers(1, 7), max_size=3))
def test_an_id_that_moves_to_another_user_takes_its_money_along(make_shop, story, cuts):
    shop = make_shop()
    shop.at(30)
    rows = [(number, user, 7.0 + index * index) for index, (number, user) in enumerate(story)]
    last = {number: (user, round(amount * 100)) for number, user, amount in rows}
    bounds = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    files = [rows[start:end] for start, end in pairwise(bounds)]
    for number, file in enumerate([*files, *files]):
        counts = bring(shop, file, f"{number}.ndjson")
        assert counts["rows"] == len(file)
        assert counts["rows"] == counts["accepted"] + counts["duplicates"] + counts["changed"]
        assert number < len(files) or counts["duplicates"] == len(file)
    with shop.open() as s:
        events = s.events()
        names = s.external(events["user"].unique().to_list())
        stood = dict.fromkeys(names.values(), 0)
        for user, amount in events.select("user", "amount").drop_nulls().iter_rows():
            stood[names[user]] += amount
        assert verify(s)["ok"]
    for user, amount in stood.items():
        assert amount == sum(worth for who, worth in last.values() if who == user)
