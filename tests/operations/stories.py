"""Stories that a shop lives through, visit by visit, with late events and a rescore here and there."""

from hypothesis import strategies as st

from segtui.operations.rescore import rescore


def stories(event, most):
    """Stories of 2 to 6 visits: days since the last one, up to `most` events of (user, offset in days, …),
    up to two late ones with how many days back they happened, whether to rescore."""
    return st.lists(
        st.tuples(
            # Each day is a tick to rescore, so the many days are for fewer of the stories.
            st.integers(1, 4) | st.integers(1, 40),
            st.lists(event, max_size=most),
            st.lists(st.tuples(event, st.integers(2, 60)), max_size=2),
            st.booleans(),
        ),
        min_size=2,
        max_size=6,
    )


def play(shop, story, give, *, full, give_model=None, promote_after=None):
    """Lives through the story on one store, importing by give(rows); returns the state digest after each
    rescore."""
    shop.at(0)
    give([("zoe", 0.0, "purchase", 80.0), ("yan", 0.1, "purchase", 10.0)])
    today, digests = 0, []
    for index, (pause, fresh, late, scores) in enumerate(story):
        today += pause
        shop.at(today + 0.995)
        rows = [(user, today + offset, *rest) for user, offset, *rest in fresh]
        rows += [(user, max(0, today - back) + offset, *rest) for (user, offset, *rest), back in late]
        if rows:
            give(rows)
        with shop.open() as s:
            if give_model is not None and index == promote_after:
                give_model(s)
            if scores:
                digests.append(rescore(s, full=full)["state_digest"])
    with shop.open() as s:
        digests.append(rescore(s, full=full)["state_digest"])
    return digests
