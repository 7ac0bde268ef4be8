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


def test_quality_tells_what_the_newest_import_met(cli: Cli, tmp_path: Path) -> None:
    store, rows = tmp_path / "shop.db", tmp_path / "rows.ndjson"
    rows.write_text(
        '{"user": "a", "time": "2026-01-05", "kind": "view"}\n{"user": "a", "time": "x", "kind": "view"}\n'
    )
    assert cli("init", "--store", store).code == 0
    assert cli("import", rows, "--store", store).code == 0
    told = cli("quality", "--store", store, "--json").document
    keys = "import recorded_at actor source format rows accepted quarantined rules events users first last"
    assert told.keys() >= {*keys.split(), "kinds", "fields", "imports"}
    assert (told["rows"], told["accepted"], told["rules"]) == (2, 1, [["time '…' is not a time", 1]])
    shown = cli("quality", told["import"], "--store", store)
    assert "time '…' is not a time\t1\n" in shown.out
    assert "next: segtui status" in shown.err
    missing = cli("quality", 4711, "--store", store)
    assert (missing.code, "There is no import 4711" in missing.err) == (1, True)


def test_a_dry_run_shows_the_mapping_the_first_rows_and_what_would_be_quarantined(
    cli: Cli, tmp_path: Path
) -> None:
    store, rows = tmp_path / "shop.db", tmp_path / "rows.csv"
    header = "Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price,Vendor\n"
    lines = [f"#{number},u{number}@shop.example,paid,2026-01-05,1,Mug,5,x\n" for number in range(12)]
    rows.write_text(header + "".join(lines) + "#99,nobody,paid,2026-01-05,1,Mug,5,x\n")
    assert cli("init", "--store", store, "--timezone", "Europe/Paris").code == 0
    told = cli("import", rows, "--dry-run", "--store", store, "--json").document
    assert told["mapping"]["kind"] == "Financial Status"
    assert [row["user"] for row in told["preview"]] == [f"u{number}@shop.example" for number in range(10)]
    assert (told["vaulted"], told["dropped"]) == (["Email"], ["Vendor"])
    refused = "no customer: row cannot belong to a user, and the e-mail is none"
    assert [(row["line"], row["reason"]) for row in told["would_quarantine"]] == [(14, refused)]
    assert told["reasons"] == {refused: 1}
    shown = cli("import", rows, "--dry-run", "--store", store)
    assert "price\tLineitem price\n" in shown.out
    assert "u3@shop.example\t2026-01-05T00:00:00+01:00\tpurchase\t#3\tMug" in shown.out
    assert f"14\t{refused}\t" in shown.out
    assert "To the vault: Email.\nDropped: Vendor.\n" in shown.err
    assert "A dry run does not look into the log" in shown.err
    assert not (tmp_path / "shop.db.quarantine").exists()


def test_a_dry_run_of_a_table_shows_the_attributes_and_the_label(cli: Cli, tmp_path: Path) -> None:
    store, rows = tmp_path / "shop.db", tmp_path / "rows.csv"
    users = "".join(f"u{number},{number}.5,gold,high\n" for number in range(12))
    rows.write_text("user_id,visits,plan,value\n" + users.replace("3.5,gold", ",").replace("4.5", "many"))
    assert cli("init", "--store", store).code == 0
    told = cli("import", rows, "--dry-run", "--store", store, "--json").document
    assert len(told["preview"]) == 10
    assert told["preview"][0]["attributes"] == {"visits": 0.5, "plan": "gold", "value": "high"}
    assert told["preview"][3]["attributes"] == {"value": "high"}
    assert [row["user"] for row in told["preview"]][3:6] == ["u3", "u5", "u6"]
    shown = cli("import", rows, "--dry-run", "--store", store).out
    assert "\tidentify\tvisits" not in shown
    (header,) = [line for line in shown.splitlines() if line.startswith("line\tuser")]
    assert header.endswith("\tkind\tvisits\tplan\tvalue")
    assert "\tidentify\t0.5\tgold\thigh\n" in shown
    assert "\tidentify\t\t\thigh\n" in shown


def test_an_import_says_which_attributes_turn_from_numbers_to_texts(cli: Cli, tmp_path: Path) -> None:
    store, rows = tmp_path / "shop.db", tmp_path / "rows.csv"
    assert cli("init", "--store", store).code == 0
    rows.write_text("user_id,size\nu1,3\n")
    assert "held numbers" not in cli("import", rows, "--store", store).err
    rows.write_text("user_id,size\nu2,large\n")
    assert "held numbers and have texts in this import: size." in cli("import", rows, "--store", store).err


def test_a_dry_run_by_a_mapping_says_so_and_how_to_go_on(cli: Cli, tmp_path: Path) -> None:
    store, rows, told = tmp_path / "shop.db", tmp_path / "rows.csv", tmp_path / "my till.toml"
    rows.write_text("who,at\na,2026-01-05\n")
    told.write_text('[columns]\nuser = "who"\ntime = "at"\n[constants]\nkind = "view"\n')
    assert cli("init", "--store", store).code == 0
    tried = cli("import", rows, "--map", told, "--source", "till", "--dry-run", "--store", store)
    assert f"Read as map (as {told} says), source till." in tried.err
    assert f"next: segtui import {rows} --map '{told}' --source till --store {store}\n" in tried.err
