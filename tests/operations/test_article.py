"""The article's table of users: what its own preprocessing leaves of them, and what ours does."""

import polars as pl
import pytest

from segtui.operations.deciders import Evidence, model_decider
from segtui.operations.ingest import import_files
from segtui.operations.score import score
from segtui.operations.train import train

FEATURES = ("browse_time", "purchase_frequency", "rating_star")
CASE = {
    "A": (120.0, 10, 5.0, "high"),
    "B": (45.0, 4, 4.0, "medium"),
    "C": (8.0, 1, 2.5, "low"),
}
MADE = 1_000


@pytest.fixture
def table(shop):
    """The three users of the case, and made ones around them, of whom some left a value out."""
    import numpy as np

    draw = np.random.default_rng(5)
    rows = [(name, *values) for name, values in CASE.items()]
    for number in range(MADE):
        browse, bought, stars, value = CASE["ABC"[number % 3]]
        rows.append(
            (
                f"made-{number}",
                round(float(browse * draw.lognormal(0, 0.25)), 1),
                int(max(1, bought + draw.integers(-1, 2))),
                None if number % 10 == 0 else float(np.clip(stars + draw.choice([-0.5, 0.0, 0.5]), 0, 5)),
                value,
            )
        )
    frame = pl.DataFrame(rows, schema=["user_id", *FEATURES, "user_value"], orient="row")
    frame.write_csv(shop.path.with_name("user_behavior_data.csv"))
    return frame


def as_the_article_does(frame):
    """Each feature replaced by its column's mean: what was meant for missing values is done to all."""
    return frame.with_columns(pl.lit(frame[name].mean()).alias(name) for name in FEATURES)


def test_the_articles_preprocessing_makes_all_users_equal_and_ours_does_not(shop, table):
    assert as_the_article_does(table).select(FEATURES).n_unique() == 1
    with shop.open() as s:
        import_files(s, [shop.path.with_name("user_behavior_data.csv")], format="table")
        trained = train(s, label="user_value", kind="logistic", options={"epochs": "60"})
        decider = model_decider(s.store, trained["model"])
        frame = Evidence(s.events(), s.identity(), s.attributes()).features(s.require_as_of(), decider.spec)
        scores = {each["user"]: each for each in score(s)}
    encoded = pl.DataFrame(decider.artefact.encoder.transform(frame))
    assert encoded.n_unique() == frame.drop("user").n_unique() > MADE / 2
    assert trained["labels"] == ["high", "medium", "low"]
    assert {name: scores[name]["label"] for name in CASE} == {name: row[-1] for name, row in CASE.items()}
    assert trained["metrics"]["test"]["accuracy"] > 0.9
    assert trained["metrics"]["baselines"]["majority"]["accuracy"] < 0.5


def test_what_was_left_out_is_filled_and_flagged_and_nothing_else_is(shop, table):
    with shop.open() as s:
        import_files(s, [shop.path.with_name("user_behavior_data.csv")], format="table")
        trained = train(s, label="user_value", kind="logistic", options={"epochs": "1"})
        decider = model_decider(s.store, trained["model"])
        frame = Evidence(s.events(), s.identity(), s.attributes()).features(s.require_as_of(), decider.spec)
        names = s.external(frame["user"].to_list())
    encoder = decider.artefact.encoder
    assert [each.name for each in encoder.numbers if each.missing] == ["rating_star"]
    encoded = encoder.transform(frame)
    stars, flag = encoder.names.index("rating_star"), len(encoder.numbers)
    left_out = {names[user] for user in frame.filter(pl.col("rating_star").is_null())["user"]}
    assert left_out == set(table.filter(pl.col("rating_star").is_null())["user_id"])
    for user, row in zip(frame["user"], encoded, strict=True):
        assert row[flag] == (names[user] in left_out)
        assert (row[stars] == 0) == (names[user] in left_out)
