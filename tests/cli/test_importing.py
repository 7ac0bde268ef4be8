"""What `import` prints of formats and files, before and after it reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from segtui.sources import mapping

Cli = Callable[..., Any]


def test_a_format_is_explained_as_a_mapping_file_without_a_store(cli: Cli, tmp_path: Path) -> None:
    told = cli("import", "--explain", "shopify-orders")
    assert (told.code, told.err) == (0, "")
    assert mapping.parse(told.out, tmp_path / "told.toml").columns["email"] == ("Email",)
    assert cli("import", "--explain", "shopify-orders", "--json").document == {
        "format": "shopify-orders",
        "mapping": told.out,
    }


def test_what_cannot_be_explained_is_told_in_a_sentence(cli: Cli) -> None:
    told = cli("import", "--explain", "ga4")
    assert (told.code, told.out) == (1, "")
    assert told.err.endswith(
        "cannot be written as a mapping file: its parameters and items are nested in each event.\n"
    )
    assert "did you mean taobao?" in cli("import", "--explain", "taobo").err


def test_an_import_names_a_file(cli: Cli) -> None:
    told = cli("import")
    assert told.code == 2
    assert "FILE: name at least one file" in told.err
