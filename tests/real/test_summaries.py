"""Buy-till-you-die summaries of CDNOW's sample are those of the literature; orders are orders, not lines."""

import numpy as np
import polars as pl
import pytest
from scipy.special import gammaln, logsumexp

from engine.features import FeatureSpec, features
from segtui.operations.ingest import import_files
from segtui.operations.session import open_session

pytestmark = pytest.mark.real

PUBLISHED = (0.243, 4.414, 0.793, 2.426)
"""r, alpha, a and b of the BG/NBD model, per week (Fader, Hardie and Lee, Marketing Science 24, 2005)."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory, data):
    """Features of the sample's 2,357 customers at the end of 1997-09-30."""
    from segtui.operations.init import init

    path = tmp_path_factory.mktemp("sample") / "sample.db"
    init(path)
    with open_session(path) as s:
        import_files(s, [data("CDNOW_sample.txt.gz")])
        at = s.instant("1997-10-01")
        spec = FeatureSpec(fields=("amount",), families=("btyd",))
        return features(s.events(before=at), s.identity().at(at), at, spec)


def log_likelihood(x, t_x, age, r, alpha, a, b):
    """Of the BG/NBD model, equation 6 of the paper, in weeks."""
    first = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    second = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    alive = -(r + x) * np.log(alpha + age)
    dead = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + t_x)
    both = logsumexp([alive, np.where(x > 0, dead, -np.inf)], axis=0)
    return float((first + second + both).sum())


def test_repeat_purchases_are_counted_as_published(sample):
    assert sample.height == 2_357
    assert (sample["btyd_frequency"] == 0).sum() == 1_411
    assert sample["btyd_frequency"].sum() == 2_457


def test_the_likelihood_of_the_published_parameters_is_the_published_one(sample):
    x = sample["btyd_frequency"].to_numpy()
    t_x, age = (sample[f"btyd_{name}_days"].to_numpy() / 7 for name in ("recency", "age"))
    assert round(log_likelihood(x, t_x, age, *PUBLISHED), 1) == -9582.4


def test_values_of_repeat_purchases_are_as_published(sample):
    """The figures of Fader and Hardie's note on the gamma-gamma model, 946 customers."""
    value = sample["btyd_monetary"].drop_nulls() / 100
    found = (len(value), value.min(), value.median(), value.max(), value.mean(), value.std())
    assert tuple(round(each, 2) for each in found) == (946, 2.99, 27.5, 299.63, 35.08, 30.28)


def test_orders_are_distinct_invoices(new_store, data):
    path = data("online_retail.parquet")
    with open_session(new_store()) as s:
        import_files(s, [path])
        end = s.require_as_of()
        spec = FeatureSpec(zone=s.settings.timezone, fields=("order",))
        frame = features(s.events(before=end), s.identity().at(end), end, spec)
        names = s.external(frame["user"].to_list())
    sold = pl.read_parquet(path).filter(
        pl.col("CustomerID").is_not_null(), pl.col("Quantity") > 0, pl.col("UnitPrice") > 0
    )
    customer = pl.col("CustomerID").cast(pl.Int64).cast(pl.String)
    counts = sold.group_by(customer).agg(pl.col("InvoiceNo").n_unique(), pl.len()).rows()
    bought = frame.filter(pl.col("orders") > 0)
    found = {
        names[user]: tuple(row) for user, *row in bought.select("user", "orders", "purchase_lines").rows()
    }
    assert found == {name: (invoices, lines) for name, invoices, lines in counts}
    assert (len(found), sum(orders for orders, _ in found.values())) == (4_338, 18_532)
