"""What scripts rely on: the keys of every command's --json, and what each command writes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

Cli = Callable[..., Any]
METRICS = {"accuracy", "log_loss", "macro_f1", "auc", "ece", "value_capture_10"}
COUNTS = ("accepted", "duplicates", "changed", "suppressed", "quarantined")


def named(keys: str) -> set[str]:
    """Keys, written as words."""
    return set(keys.split())


def document(cli: Cli, store: Path, *arguments: object) -> dict[str, Any]:
    """The one object a command prints, having ended well."""
    ended = cli(*arguments, "--store", store, "--json")
    assert ended.code == 0, ended.err
    assert ended.out.count("\n") == 1
    return ended.document


def lines(cli: Cli, store: Path, *arguments: object) -> list[dict[str, Any]]:
    """The objects a command prints, one a line, having ended well."""
    ended = cli(*arguments, "--store", store, "--json")
    assert ended.code == 0, ended.err
    return ended.lines


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


def test_segments(cli: Cli, shop: Path) -> None:
    now = document(cli, shop, "segments")
    assert now.keys() >= {"as_of", "position", "counts", "segmentations"}
    assert now["counts"] == "exact"
    (value,) = now["segmentations"]
    assert value.keys() >= {"name", "kind", "model", "thresholds", "decision", "labels"}
    assert all(each.keys() >= {"label", "users", "share", "expected", "reach"} for each in value["labels"])
    assert sum(each["users"] for each in value["labels"]) == document(cli, shop, "status")["users"]
    assert document(cli, shop, "segments", "--at", "now") == now
    then = document(cli, shop, "segments", "--at", "-30d")
    assert then["as_of"] < now["as_of"]


def test_members(cli: Cli, shop: Path) -> None:
    page = document(cli, shop, "members", "value=low", "--limit", 3, "--offset", 1, "--order", "-probability")
    assert page.keys() >= {"total", "members"}
    keys = named("user probability margin since cause leaves")
    assert all(each.keys() >= keys for each in page["members"])
    chances = [each["probability"] for each in page["members"]]
    assert chances == sorted(chances, reverse=True)
    assert len(chances) == 3
    everyone = document(cli, shop, "members", "value=low")
    assert len(everyone["members"]) == everyone["total"] == page["total"]
    few = document(cli, shop, "members", "value=low", "--where", "probability > 0.5")
    assert [each["user"] for each in few["members"]] == [
        each["user"] for each in everyone["members"] if each["probability"] > 0.5
    ]


def test_user(cli: Cli, shop: Path) -> None:
    told = document(cli, shop, "user", "c-0007")
    keys = "user labels tags features events changes explanation leaves smallest_change"
    assert told.keys() >= named(keys)
    assert told["user"] == "c-0007"
    assert document(cli, shop, "user", f"#{told['surrogate']}")["user"] == "c-0007"


def test_changes_tell_a_cause_and_a_reason(cli: Cli, shop: Path) -> None:
    found = lines(cli, shop, "changes")
    keys = "seq user segmentation from to probability as_of cause reason cause_seq model backfilled hindsight"
    assert all(each.keys() >= named(keys) for each in found)
    assert all(each["cause"] and each["reason"] and each["from"] for each in found)
    assert any(each["from"] is None for each in lines(cli, shop, "changes", "--first"))
    clock = lines(cli, shop, "changes", "--cause", "clock", "--segment", "value=high", "--limit", 5)
    assert all(each["cause"] == "clock" and "high" in (each["from"], each["to"]) for each in clock)
    assert len(clock) <= 5
    own = lines(cli, shop, "changes", "--user", found[0]["user"])
    assert {each["user"] for each in own} == {found[0]["user"]}


def test_transitions(cli: Cli, shop: Path) -> None:
    told = document(cli, shop, "transitions", "--from", "-30d", "--to", "now")
    assert told.keys() >= {"labels", "matrix", "total"}
    assert sum(map(sum, told["matrix"])) == told["total"]
    now = document(cli, shop, "segments")["segmentations"][0]["labels"]
    column = {label: sum(row[n] for row in told["matrix"]) for n, label in enumerate(told["labels"])}
    assert {each["label"]: each["users"] for each in now} == {
        label: count for label, count in column.items() if label is not None
    }


def test_export_is_pseudonymous_unless_told(cli: Cli, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "high.csv"
    written = document(cli, shop, "export", "value=high", "--out", out)
    assert written.keys() >= {"rows", "out", "file_digest"}
    frame = pl.read_csv(out)
    assert frame.height == written["rows"]
    assert all(user.startswith("#") for user in frame["user"])
    out = tmp_path / "high.ndjson"
    document(cli, shop, "export", "value=high", "--out", out, "--identified", "--columns", "user,probability")
    users = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(user.keys() == {"user", "probability"} for user in users)
    assert all(user["user"].startswith("c-") for user in users)


def test_an_export_to_a_reader_that_goes_away_ends_quietly(shop: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "segtui", "export", "value=low", "--out", "-", "--store", shop]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


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


def test_flapping(cli: Cli, shop: Path) -> None:
    told = document(cli, shop, "flapping", "value", "--within", "30d")
    assert told.keys() == named("segmentation within_days from to closes moves returns users pairs members")
    assert told["closes"] == 90
    assert told["returns"] == sum(each["returns"] for each in told["members"])
    assert cli("flapping", "--within", "soon", "--store", shop).code == 2


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


def test_features(cli: Cli, shop: Path) -> None:
    known = document(cli, shop, "features")["features"]
    assert {"recency_days", "night_share"} <= {each["name"] for each in known}
    assert all(each.keys() >= named("name unit meaning formula") for each in known)
    (one,) = document(cli, shop, "features", "recency_days")["features"]
    assert one in known
    plain = cli("features", "recency_days", "--store", shop)
    assert plain.out.splitlines()[0] == "name\trecency_days"
    table = cli("features", "--store", shop).out.splitlines()
    assert table[0] == "name\tunit\tmeaning"
    assert len(table) == len(known) + 1


def test_segments_of_ones_own(cli: Cli, shop: Path, tmp_path: Path) -> None:
    where = ("--where", "recency_days < 20 AND value <> 'low'")
    before = document(cli, shop, "status")["position"]
    keys = named("name where users share entering leaving sample overlap flows")
    seen = document(cli, shop, "segment", "define", "lately", *where, "--preview")
    assert seen.keys() >= keys | {"trend"}
    assert document(cli, shop, "status")["position"] == before
    made = document(cli, shop, "segment", "define", "lately", *where)
    assert (made["users"], made["entering"]) == (seen["users"], seen["entering"])
    told = next(each for each in document(cli, shop, "segments")["segmentations"] if each["name"] == "lately")
    assert (told["kind"], told["where"]) == ("rule", where[1])
    listed = document(cli, shop, "members", "lately", "--limit", 3)
    assert listed["total"] == made["users"]
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(each["user"] for each in listed["members"]))
    assert document(cli, shop, "segment", "from-file", "chosen", ids).keys() >= keys | {"unknown"}
    scores = tmp_path / "scores.csv"
    scores.write_text(
        "user,label\n" + "".join(f"{each['user']},{each['user'][-1]}\n" for each in listed["members"])
    )
    told = document(cli, shop, "segment", "from-scores", "elsewhere", scores)
    assert told.keys() >= {"rows", "accepted", "quarantined", "quarantine_file", "labels", "flows", "changed"}
    movers = tmp_path / "movers.csv"
    edited = document(cli, shop, "segment", "edit", "lately", "--where", "chosen", "--out", movers)
    assert edited["users"] == 3
    assert len(movers.read_text().splitlines()) == 1 + edited["entering"] + edited["leaving"]
    refused = cli("segment", "retire", "chosen", "--store", shop)
    assert refused.code == 1
    assert "read by lately" in refused.err
    document(cli, shop, "segment", "retire", "lately")
    document(cli, shop, "segment", "retire", "chosen")
    assert "lately" not in str(document(cli, shop, "segments"))


def test_why(cli: Cli, shop: Path) -> None:
    told = document(cli, shop, "why", "value=high", "--from", "-60d")
    assert told.keys() >= named("before after in out by_cause by_reason model_changed definition_changed")
    assert "import_gaps" in told
    assert told["before"] + told["in"] - told["out"] == told["after"]
    plain = cli("why", "value=high", "--store", shop)
    assert plain.out.startswith("from\t")
    assert "next: segtui changes --segment value=high" in plain.err


def test_decide(cli: Cli, shop: Path) -> None:
    before = document(cli, shop, "status")["position"]
    now = document(cli, shop, "decide", "value")
    assert now.keys() >= named("segmentation decision flows sizes expected")
    assert now["decision"] == {"rule": "argmax", "margin": 0.05, "min_stay": 0}
    seen = document(cli, shop, "decide", "value", "--share", "medium=0.2", "--min-stay", "2d", "--preview")
    assert document(cli, shop, "status")["position"] == before
    users = sum(seen["sizes"].values())
    assert abs(seen["sizes"]["medium"] - 0.2 * users) <= 1 or "medium" in seen["missed"]
    made = document(cli, shop, "decide", "value", "--share", "medium=20%", "--min-stay", "2d")
    assert made == seen | {"preview": False}
    told = document(cli, shop, "segments")["segmentations"][0]["decision"]
    assert told == made["decision"] == document(cli, shop, "status")["decision"]
    assert told["shares"] == {"medium": 0.2}
    shown = lines(
        cli, shop, "replay", "--mode", "what-if", "--decide", "value --min high=0.9", "--from", "-3d"
    )
    assert shown[-1]["differs"]["value"] > 0
    seq = [each["seq"] for each in lines(cli, shop, "log") if each["kind"] == "policy_set"][-1]
    document(cli, shop, "undo", seq)
    assert document(cli, shop, "decide", "value")["sizes"] == now["sizes"]
    plain = cli("decide", "value", "--min", "high=0.9", "--preview", "--store", shop)
    assert plain.out.startswith("decision\thigh from 0.9 on; margin 0.05\n")
    assert "A preview: nothing was recorded." in plain.err
    assert cli("decide", "value", "--share", "medium", "--store", shop).code == 1


def test_label(cli: Cli, shop: Path) -> None:
    before = document(cli, shop, "decide", "value")["sizes"]
    where = ("--where", "orders_90d >= 2")
    seen = document(cli, shop, "label", "add", "regular", *where, "--preview")
    assert seen.keys() >= named("segmentation labels model flows recall others examples")
    made = document(cli, shop, "label", "add", "regular", *where)
    assert made == seen | {"preview": False}
    assert document(cli, shop, "members", "value=regular")["total"] > 0
    assert {each["name"] for each in document(cli, shop, "models")["models"]} >= {made["name"]}
    assert cli("models", "--store", shop).code == 0
    refused = cli("evaluate", "--store", shop)
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert document(cli, shop, "label", "remove", "regular").keys() >= named(
        "segmentation labels model flows"
    )
    assert document(cli, shop, "decide", "value")["sizes"] == before
    assert cli("label", "add", "x", "--store", shop).code == 1


def test_label_rename_and_merge(cli: Cli, shop: Path) -> None:
    keys = named("segmentation labels model name flows changed note rules preview")
    before = document(cli, shop, "status")
    for words, labels in (
        (("rename", "high", "top"), ["top", "medium", "low"]),
        (("merge", "top", "medium", "--into", "upper"), ["upper", "low"]),
    ):
        seen = document(cli, shop, "label", *words, "--preview")
        assert seen.keys() == keys
        made = document(cli, shop, "label", *words)
        assert made == seen | {"preview": False}
        assert made["labels"] == labels
        if words[0] == "rename":
            options = ("--model", "logistic", "--set", "epochs=1", "--horizon", "60d", "--no-promote")
            trained = document(cli, shop, "train", *options, "--name", "later")
            assert trained["labels"] == labels
            # What the renamed model predicts is still an outcome of the log.
            assert "No unseen window" in cli("evaluate", "--store", shop).err
        assert cli("label", *words, "--store", shop).code == 1
    edits = [each["seq"] for each in lines(cli, shop, "log") if each["kind"] == "label_edited"]
    assert document(cli, shop, "undo", max(edits))["labels"] == ["top", "medium", "low"]
    document(cli, shop, "label", "rename", "top", "high")
    assert document(cli, shop, "status")["model"] == before["model"]
    assert document(cli, shop, "verify", "--deep")["ok"]


def test_what_if(cli: Cli, shop: Path) -> None:
    before = document(cli, shop, "status")["position"]
    recorded = lines(cli, shop, "replay", "--from", "-20d")
    again = lines(
        cli, shop, "replay", "--from", "-20d", "--mode", "what-if", "--define", "late=recency_days > 9"
    )
    assert [each["as_of"] for each in again] == [each["as_of"] for each in recorded]
    assert all(each.keys() == recorded[0].keys() | {"differs", "late"} for each in again)
    assert document(cli, shop, "status")["position"] == before
    for wrong in (["--mode", "what-if"], ["--model", "m"], ["--mode", "what-if", "--define", "late"]):
        assert cli("replay", *wrong, "--store", shop).code == 2
