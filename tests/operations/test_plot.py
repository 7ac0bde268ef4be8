"""Pictures as files: each kind comes, twice the same, and says what it shows."""

from __future__ import annotations

import pytest

from segtui.operations.errors import OperationError
from segtui.operations.plot import PICTURES, plot
from segtui.operations.rescore import rescore

pytest.importorskip("matplotlib", reason="Matplotlib is not installed: pip install 'segtui[plot]'")


@pytest.fixture
def scored(shop):
    shop.at(20.5)
    shop.events(
        [(f"u{n}", day + 0.1, "purchase", 9.0 * (n + 1)) for n in range(6) for day in range(n, 20, n + 2)]
    )
    with shop.open() as s:
        rescore(s)
    return shop


@pytest.mark.parametrize("what", ["sizes", "transitions"])
def test_a_picture_is_drawn_the_same_twice(scored, tmp_path, what):
    files = [tmp_path / f"{name}.svg" for name in ("one", "two")]
    with scored.open() as s:
        for file in files:
            told = plot(s, what, file)
    assert told["out"] == str(files[1])
    text = files[0].read_text()
    assert text == files[1].read_text()
    assert "value: " in text
    assert "low" in text
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["one.svg", "two.svg"]


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_other_formats_come_too(scored, tmp_path, ending):
    with scored.open() as s:
        plot(s, "sizes", tmp_path / f"sizes.{ending}")
    assert (tmp_path / f"sizes.{ending}").read_bytes()[:4] in (b"\x89PNG", b"%PDF")


def test_what_cannot_be_drawn_is_a_sentence(scored, tmp_path):
    with scored.open() as s:
        for what, told in (
            ("loss", "segtui train"),
            ("user", "--user ID"),
            ("calibration", "no model"),
            ("sizzle", "there are sizes"),
        ):
            with pytest.raises(OperationError, match=told):
                plot(s, what, tmp_path / "x.svg")
        with pytest.raises(OperationError, match="does not end in"):
            plot(s, "sizes", tmp_path / "x.gif")
    assert not (tmp_path / "x.svg").exists()
    assert len(PICTURES) == 5
