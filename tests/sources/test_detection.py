"""Recognising formats, and naming the nearest where a file is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from segtui import sources

SAMPLES = Path(__file__).parents[1] / "contract" / "samples"


@pytest.mark.parametrize("path", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_every_sample_is_recognised_with_a_reason(path: Path) -> None:
    name, why = sources.detect(path)
    assert name == path.stem
    assert len(why.split()) > 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "timestamp,visitor,event,itemid,transactionid\n1,2,view,3,\n",
            "most like retailrocket, which needs the column visitorid (nearest: visitor); there are",
        ),
        (
            "Name,Email,Financial Status,Lineitem qty,Lineitem name,Lineitem price,Created at\n",
            "most like shopify-orders, which needs the column Lineitem quantity (nearest: Lineitem qty)",
        ),
        (
            "order_id,status,order_date,customer_id,order_total\n1,completed,2026-01-05,4,5\n",
            "most like woocommerce, which needs the column billing_email; there are",
        ),
        (
            '{"type": "track", "timestamp": "2026-01-05", "user_id": "u"}\n',
            "line 1: it is most like segment, which needs the member userId (nearest: user_id)",
        ),
        (
            '{"user": "u", "ts": "2026-01-05", "kind": "view"}\n',
            "line 1: it is most like events, which needs the member time; there are user, ts, kind",
        ),
        ('{"a": 1}\n', "line 1: it has no user, time and kind; there are a"),
        ('[{"user": "u"}]\n', "line 1: a JSON list: put each object on a line of its own"),
        ("event,what\n1,2\n", None),
    ],
)
def test_a_near_miss_names_the_nearest_format_and_what_it_lacks(
    tmp_path: Path, text: str, words: str | None
) -> None:
    path = tmp_path / "rows.txt"
    path.write_text(text)
    if words is None:
        assert sources.detect(path)[0] == "table"
        return
    with pytest.raises(sources.SourceError) as error:
        sources.detect(path)
    assert words in str(error.value)
    assert str(error.value).startswith(str(path))
    assert str(error.value).endswith(".")


def test_an_unknown_format_is_told_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(sources.SourceError, match="no format 'shopify': did you mean shopify-orders"):
        sources.read(path, "shopify", sources.Options(now=0))
