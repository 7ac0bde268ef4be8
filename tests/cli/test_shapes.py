"""What scripts rely on: the keys of every command's --json, and what each command writes."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.cli.conftest import Cli, document, lines, named

METRICS = {"accuracy", "log_loss", "macro_f1", "auc", "ece", "value_capture_10"}
COUNTS = ("accepted", "duplicates", "changed", "suppressed", "quarantined")


def test_init(cli: Cli, tmp_path: Path) -> None:
    made = document(cli, tmp_path / "new.db", "init", "--timezone", "Europe/Berlin", "--tick", "6h")
    assert made.keys() >= {"store", "version", "timezone", "currency", "tick", "clock"}
    assert (made["timezone"], made["tick"]) == ("Europe/Berlin", "6h")
    for name in ("new.db", "new.db.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_status(cli: Cli, shop: Path) -> None:
    told = document(cli, shop, "status")
    keys = "events users first last position as_of clock model last_import last_rescore next"
    assert told.keys() >= named(keys)
    assert told["events"] > 1_000
    assert told["clock"] == "data"


def test_import_counts_every_row_once(cli: Cli, tmp_path: Path, history: Path) -> None:
    store = tmp_path / "new.db"
    assert cli("init", "--store", store).code == 0
    sample = tmp_path / "some.ndjson"
    good = history.read_text().splitlines()[:200]
    sample.write_text("\n".join([*good, '{"user": "u", "kind": "view"}', "no json"]) + "\n")
    first = document(cli, store, "import", sample)
    keys = "rows users quarantine_file first_seq last_seq content_digest seconds"
    assert first.keys() >= named(keys) | {*COUNTS}
    assert first["rows"] == sum(first[name] for name in COUNTS) == 202
    assert first["quarantined"] == 2
    assert Path(first["quarantine_file"]).exists()
    assert (first["vaulted"], first["dropped"]) == (["user"], [])
    again = document(cli, store, "import", sample)
    assert (again["accepted"], again["duplicates"]) == (0, 200)
    assert again["content_digest"] == first["content_digest"]


def test_a_dry_run_reads_and_writes_nothing(cli: Cli, shop: Path, history: Path) -> None:
    before = document(cli, shop, "status")["position"]
    tried = document(cli, shop, "import", history, "--dry-run")
    assert tried["rows"] > 0
    assert tried.keys() >= {"rows", "quarantine_file", "content_digest", "vaulted", "dropped", *COUNTS}
    assert document(cli, shop, "status")["position"] == before


def test_import_limits_fail_and_leave_the_store_as_it_was(cli: Cli, shop: Path, history: Path) -> None:
    before = document(cli, shop, "status")["position"]
    ended = cli("import", history, "--min-accepted", 1, "--store", shop)
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert document(cli, shop, "status")["position"] == before


def test_train_and_models(cli: Cli, shop: Path) -> None:
    options = ("--model", "logistic", "--set", "epochs=2", "--horizon", "60d", "--seed", 5)
    trained = document(cli, shop, "train", *options, "--name", "second", "--no-promote")
    keys = "model name segmentation kind cutoff horizon known_from users labels thresholds epochs seconds"
    assert trained.keys() >= named(keys) | {"promoted", "metrics", "history"}
    assert (trained["name"], trained["promoted"], trained["horizon"]) == ("second", False, "60d")
    assert trained["metrics"]["test"].keys() >= METRICS
    assert trained["metrics"]["baselines"].keys() >= {"majority", "recency_frequency", "logistic"}
    assert all(each.keys() >= METRICS for each in trained["metrics"]["baselines"].values())
    assert len(trained["history"]) == trained["epochs"] == 2
    assert trained["history"][0].keys() == {"epoch", "train_loss", "valid_loss"}
    listed = document(cli, shop, "models")["models"]
    keys = "model name segmentation kind promoted trained_at metrics"
    assert all(each.keys() >= named(keys) for each in listed)
    assert [each["promoted"] for each in listed] == [False, True]


def test_promote_previews_promotes_and_goes_back(cli: Cli, shop: Path) -> None:
    options = ("--model", "logistic", "--set", "epochs=1", "--horizon", "60d", "--seed", 9)
    document(cli, shop, "train", *options, "--name", "other", "--no-promote")
    before = document(cli, shop, "status")["position"]
    seen = document(cli, shop, "promote", "other", "--preview")
    assert seen.keys() >= {"model", "promoted", "flows"}
    assert not seen["promoted"]
    assert document(cli, shop, "status")["position"] == before
    made = document(cli, shop, "promote", "other")
    assert made["promoted"]
    assert sorted(map(str, made["flows"])) == sorted(map(str, seen["flows"]))
    assert document(cli, shop, "status")["model"] == made["model"]
    assert document(cli, shop, "promote", "--previous")["model"] != made["model"]


def test_evaluate_names_the_window_or_refuses(cli: Cli, shop: Path) -> None:
    refused = cli("evaluate", "--store", shop)
    assert refused.code == 1
    assert "No unseen window" in refused.err
    options = ("--model", "logistic", "--set", "epochs=1", "--horizon", "60d", "--cutoff", "2025-08-01")
    document(cli, shop, "train", *options, "--name", "early", "--no-promote")
    judged = document(cli, shop, "evaluate", "--model", "early")
    assert judged.keys() >= {"model", "window", "metrics", "baselines", "confusion", "calibration"}
    assert judged["metrics"].keys() >= METRICS
    beside = document(cli, shop, "compare", "early", "early")
    assert beside.keys() >= judged.keys() | {"other", "differences"}


def test_score(cli: Cli, shop: Path, tmp_path: Path) -> None:
    scored = lines(cli, shop, "score")
    assert all(each.keys() >= {"user", "label", "probabilities"} for each in scored)
    assert all(abs(sum(each["probabilities"].values()) - 1) < 1e-5 for each in scored)
    out = tmp_path / "scores.parquet"
    written = document(cli, shop, "score", "--out", out)
    frame = pl.read_parquet(out)
    assert written["rows"] == frame.height == len(scored)
    assert {"user", "label", "p_high", "p_medium", "p_low"} <= set(frame.columns)


def test_rescore_and_a_range(cli: Cli, shop: Path) -> None:
    keys = named("as_of position due evaluated changed by_cause state_digest hindsight seconds")
    before = document(cli, shop, "rescore", "--preview")
    done = document(cli, shop, "rescore")
    assert done.keys() >= keys | {"flows"}
    assert [before[name] for name in ("as_of", "flows", "preview")] == [done["as_of"], done["flows"], True]
    full = document(cli, shop, "rescore", "--full")
    assert full["changed"] == 0
    ticks = lines(cli, shop, "rescore", "--from", "-5d", "--to", "now")
    assert len(ticks) == 5
    assert all(tick.keys() >= keys for tick in ticks)
    assert [tick["as_of"] for tick in ticks] == sorted(tick["as_of"] for tick in ticks)
    assert ticks[-1]["state_digest"] == full["state_digest"]


def test_replay(cli: Cli, shop: Path) -> None:
    frames = lines(cli, shop, "replay", "--from", "-4d")
    keys = "as_of position events changes by_cause sizes flows frame_digest state_digest backfilled hindsight"
    assert all(frame.keys() == named(keys) for frame in frames)
    now = document(cli, shop, "segments")["segmentations"][0]
    assert frames[-1]["sizes"]["value"] == {each["label"]: each["users"] for each in now["labels"]}


def test_verify(cli: Cli, shop: Path) -> None:
    proof = document(cli, shop, "verify")
    assert proof.keys() >= {"ok", "chain_digest", "content_digest", "state_digest", "checks"}
    assert proof["ok"]
    assert all(check.keys() == {"name", "ok", "detail"} for check in proof["checks"])


def test_verify_finds_a_log_that_was_cut(cli: Cli, shop: Path) -> None:
    head = document(cli, shop, "verify")["chain_digest"]
    assert document(cli, shop, "verify", "--head", head)["ok"]
    ended = cli("verify", "--head", "0" * 63 + "1", "--store", shop)
    assert ended.code == 1
    assert "the log was cut or rewritten" in ended.out


def test_rebuild(cli: Cli, shop: Path) -> None:
    before = document(cli, shop, "verify")
    assert document(cli, shop, "rebuild").keys() == {"position", "state_digest", "mended"}
    after = document(cli, shop, "verify")
    assert after["ok"]
    assert after["state_digest"] == before["state_digest"]
    assert "segtui rescore --full" in cli("rebuild", "--store", shop).err


def test_a_check_that_does_not_hold_ends_with_one(cli: Cli, operation: Any, shop: Path) -> None:
    checks = [{"name": "chain", "ok": False, "detail": "commit 2 does not match"}]
    digests = dict.fromkeys(("chain_digest", "content_digest", "state_digest"), "0" * 64)
    operation("verify", "verify", {"ok": False, "checks": checks, **digests})
    ended = cli("verify", "--store", shop)
    assert ended.code == 1
    assert "commit 2 does not match" in ended.out
    assert "Not verified: chain." in ended.err


def test_backup_and_restore(cli: Cli, shop: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved" / "shop.db"
    saved.parent.mkdir()
    head = document(cli, shop, "verify")["chain_digest"]
    copied = document(cli, shop, "backup", saved)
    assert copied.keys() >= {"path", "position", "chain_digest", "recorded"}
    assert copied["path"] == str(saved)
    assert copied["chain_digest"] == head
    assert lines(cli, shop, "log")[-1]["body"]["chain_digest"] == head
    assert cli("rescore", "--full", "--store", shop, "--quiet").code == 0
    assert cli("export", "value=high", "--out", tmp_path / "high.csv", "--store", shop).code == 0
    ended = cli("restore", saved, "--store", shop, "--json")
    assert ended.document.keys() >= {"path", "position", "chain_digest", "replaced"}
    assert ended.document["chain_digest"] == copied["chain_digest"]
    assert f"kept in {ended.document['replaced']}" in ended.err
    assert document(cli, shop, "verify")["ok"]
    assert document(cli, shop, "status")["position"] == copied["position"]


def test_log_and_undo(cli: Cli, shop: Path) -> None:
    told = lines(cli, shop, "log")
    assert all(each.keys() == named("seq at actor source kind body undo") for each in told)
    assert lines(cli, shop, "log", "--to", "2020-01-01") == []
    made = document(cli, shop, "segment", "define", "recent", "--where", "recency_days < 30")
    seq = lines(cli, shop, "log")[-1]["seq"]
    defined = [each for each in lines(cli, shop, "log") if each["kind"] == "segmentation_defined"][-1]["seq"]
    assert defined <= seq
    done = document(cli, shop, "undo", defined)
    assert done.keys() >= {"undone", "kind", "seq"}
    assert done["leaving"] == made["users"]
    refused = cli("undo", defined, "--store", shop)
    assert (refused.code, refused.err.count("\n")) == (1, 1)


def test_a_backup_says_where_the_key_is_not(cli: Cli, shop: Path, tmp_path: Path) -> None:
    ended = cli("backup", tmp_path / "saved.db", "--store", shop)
    assert "key is not in it" in ended.err
    again = cli("restore", tmp_path / "saved.db", "--store", tmp_path / "new.db")
    assert again.code == 0
    assert f"put it back as {tmp_path / 'new.db'}.key" in again.err


def test_a_migrated_store_is_told_once_on_stderr(cli: Cli, shop: Path, monkeypatch: Any) -> None:
    from sqlite_utils import Migrations

    from db import version
    from db.migrations import migrations

    longer = Migrations("segtui")
    for step in migrations._migrations:
        longer(name=step.name)(step.fn)
    longer(name="next")(lambda db: db.execute("CREATE TABLE added (a INTEGER) STRICT"))
    number = version.SCHEMA_VERSION + 1
    for module in ("db.migrate", "db.store", "db.version"):
        monkeypatch.setattr(f"{module}.SCHEMA_VERSION", number)
    monkeypatch.setattr("db.migrations.migrations", longer)
    first = cli("status", "--store", shop)
    assert first.code == 0
    assert f"is now of version {number}" in first.err
    assert f"{shop}.before-version-{number}-" in first.err
    assert first.err.count("is now of version") == 1
    assert "is now of version" not in cli("status", "--store", shop).err


def test_demo(cli: Cli, operation: Any) -> None:
    answer = {"store": "d/shop.db", "events": 1, "users": 1, "model": None, "metrics": None, "segments": []}
    calls = operation("demo", "demo", answer)
    ended = cli("demo", "--users", 300, "--days", 250, "--seed", 4, "--dir", "d", "--no-ui", "--json")
    assert ended.document == answer
    assert ended.err == "next: segtui --store d/shop.db\n"
    assert (calls[0]["users"], calls[0]["days"], calls[0]["seed"]) == (300, 250, 4)


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["models"],
        ["segments"],
        ["members", "value=high"],
        ["user", "c-0007"],
        ["changes", "--from", "-7d"],
        ["transitions", "--from", "-7d", "--to", "now"],
        ["replay", "--from", "-3d"],
        ["score"],
        ["verify"],
        ["rescore"],
    ],
)
def test_every_listing_has_a_plain_form_and_says_what_is_next(
    arguments: list[str], cli: Cli, shop: Path
) -> None:
    ended = cli(*arguments, "--store", shop)
    assert ended.code == 0, ended.err
    assert "\t" in ended.out
    assert ended.err.splitlines()[-1].startswith("next: segtui")
    quiet = cli(*arguments, "--store", shop, "--quiet")
    assert quiet.err == ""


def test_the_store_is_found_by_option_variable_or_default(
    cli: Cli, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("status").code == 1
    told = cli("status", "--store", shop, "--json").document
    assert cli("--store", shop, "status", "--json").document["position"] == told["position"]
    monkeypatch.setenv("SEGTUI_STORE", str(tmp_path / "missing.db"))
    assert cli("status").code == 1
    assert cli("--store", shop, "status").code == 0
    monkeypatch.setenv("SEGTUI_STORE", str(shop))
    named = cli("status", "--json")
    assert named.code == 0
    assert "--store" not in named.err
    monkeypatch.delenv("SEGTUI_STORE")
    for suffix in ("", ".key"):
        Path(f"{shop}{suffix}").rename(tmp_path / f"segtui.db{suffix}")
    assert cli("status").code == 0
