"""What scripts rely on, of segments and their members: the keys of every --json."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl

from tests.cli.conftest import Cli, document, lines, named


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


def test_flapping(cli: Cli, shop: Path) -> None:
    told = document(cli, shop, "flapping", "value", "--within", "30d")
    assert told.keys() == named("segmentation within_days from to closes moves returns users pairs members")
    assert told["closes"] == 90
    assert told["returns"] == sum(each["returns"] for each in told["members"])
    assert cli("flapping", "--within", "soon", "--store", shop).code == 2


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


def test_what_to_do_next_is_written_as_a_shell_reads_it(cli: Cli, shop: Path, tmp_path: Path) -> None:
    users = document(cli, shop, "members", "value=high", "--limit", 2)["members"]
    scores = tmp_path / "my scores.csv"
    scores.write_text("user,label\n" + "".join(f"{each['user']},high value\n" for each in users))
    args = ("segment", "from-scores", "elsewhere", scores, "--store", shop)
    for preview in ("--preview",), ():
        told = cli(*args, *preview).err.splitlines()[-1].removeprefix("next: ")
        words = ["segment", "from-scores", "elsewhere", str(scores)] if preview else None
        assert shlex.split(told)[1:-2] == (words or ["members", "elsewhere=high value"])
        assert cli(*shlex.split(told)[1:]).code == 0
    assert "--segment 'elsewhere=high value'" in cli("why", "elsewhere=high value", "--store", shop).err


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
