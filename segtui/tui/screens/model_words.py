"""A model's quality as an operator reads it: metrics, losses, confusion, calibration, comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.widgets.bars import bar
from segtui.tui.widgets.cells import fit
from segtui.tui.widgets.charts import picture

METRICS = ("log_loss", "accuracy", "macro_f1", "auc", "ece", "value_capture_10")
SHORT = {
    "value_capture_10": "value 10 %",
    "log_loss": "log loss",
    "macro_f1": "macro F1",
    "auc": "AUC",
    "ece": "ECE",
    "recency_frequency": "RF rule",
    "rfm_quintiles": "RFM fifths",
}
LOWER_IS_BETTER = ("log_loss", "ece", "brier")
SIDE = 12
CELL = 10
NAME = 18
CALIBRATION_BAR = 20


def metrics(row: dict[str, Any]) -> Content:
    """The test metrics beside those of the baselines; `*` at the best of each line."""
    own = row["metrics"].get("test") or {}
    beside = row["metrics"].get("baselines") or {}
    if not own:
        return Content.styled("No metrics were recorded with it.", words.DIM)
    names = ["this one", *(SHORT.get(name, name).replace("_", " ") for name in beside)]
    head = " " * SIDE + "".join(f" {fit(name, CELL, right=True)}" for name in names)
    lines = [Content.styled(head, "bold $muted")]
    for metric in METRICS:
        values = [own.get(metric), *(each.get(metric) for each in beside.values())]
        known = [value for value in values if value is not None]
        if not known:
            continue
        best = min(known) if metric in LOWER_IS_BETTER else max(known)
        cells = [
            ("·".rjust(CELL + 1), words.DIM) if value is None
            else (f"{value:>{CELL}.3f}{'*' if value == best else ' '}", "bold" if place == 0 else "")
            for place, value in enumerate(values)
        ]  # fmt: skip
        lines.append(Content.assemble((f"{SHORT.get(metric, metric):<{SIDE}}", words.DIM), *cells))
    horizon = (
        f", over {row['horizon']} from {row['cutoff'][:10]}"
        if row.get("horizon") and row.get("cutoff")
        else ""
    )
    lines.append(
        Content.styled(
            f"* best of the line; learnt from {numbers.plural(row['users'], 'user')}{horizon}", words.DIM
        )
    )
    if row.get("known_from"):
        lines.append(
            Content.styled(f"knows outcomes up to {row['known_from'][:10]}: earlier is hindsight", words.DIM)
        )
    return Content("\n").join(lines)


def losses(history: Sequence[tuple[float, float]], width: int, height: int) -> Content:
    """Validation loss and training loss, epoch by epoch, one picture below the other."""
    if not history:
        return Content.styled("No training history.", words.DIM)
    if width < 10 or height < 4:
        return words.BLANK
    parts, rows = [], max(1, (height - 2) // 2)
    for name, which in (("validation", 1), ("training", 0)):
        values = [round(epoch[which] * 1000) for epoch in history]
        best = min(range(len(values)), key=values.__getitem__)
        parts.append(
            Content.assemble(
                (f"{name} ", words.DIM), f"{values[-1] / 1000:.3f}",
                (f"   least {values[best] / 1000:.3f} at epoch {best + 1}", words.DIM),
            )
        )  # fmt: skip
        parts.append(
            picture(
                values,
                len(values),
                (width, rows),
                (min(values), max(values)),
                lambda value: f"{value / 1000:.2f}",
            )
        )
    return Content("\n").join(parts)


def judged(result: dict[str, Any]) -> Content:
    """Metrics, confusion and calibration on a window the model never saw."""
    window = result["window"]
    lines = [
        Content.assemble(
            (f"{window['cutoff'][:10]} to {window['until'][:10]}", "bold"),
            f", {numbers.plural(window['users'], 'user')}",
            f", {numbers.count(window['newcomers'])} of them new since",
        ),
        words.BLANK,
        metrics(
            {
                "metrics": {"test": result["metrics"], "baselines": result["baselines"]},
                "users": window["users"],
            }
        ),
        *([] if result["baselines"] else [Content.styled(result["baselines_why"], words.DIM)]),
        words.BLANK,
        Content.styled("Confusion: what came, by what was said", "bold $primary"),
        *_confusion(result["confusion"]),
        words.BLANK,
        Content.styled("Calibration: said, and how many of those came", "bold $primary"),
        *_calibration(result["calibration"]),
    ]
    return Content("\n").join(lines)


def _confusion(confusion: dict[str, Any]) -> list[Content]:
    labels = confusion["labels"]
    lines = [
        Content.styled(
            " " * SIDE + "".join(f" {fit(label, CELL, right=True)}" for label in labels), "bold $muted"
        )
    ]
    for label, row in zip(labels, confusion["matrix"], strict=True):
        cells = [
            (f" {numbers.count(count):>{CELL}}", "bold" if labels[place] == label else "")
            for place, count in enumerate(row)
        ]
        lines.append(Content.assemble((fit(label, SIDE), words.DIM), *cells))
    return lines


def _calibration(calibration: dict[str, Any]) -> list[Content]:
    """A line per label and bin: said, came, a bar of what came, a mark where it was said."""
    lines = []
    for label, bins in calibration.items():
        lines.append(Content.styled(label, "bold"))
        for each in bins:
            if not each["users"]:
                continue
            drawn = bar(each["observed"], CALIBRATION_BAR).ljust(CALIBRATION_BAR)
            lines.append(
                Content.assemble(
                    f"  said {each['predicted']:.2f}  came {each['observed']:.2f} ", (drawn, "$primary"),
                    (f" {numbers.plural(each['users'], 'user')}", words.DIM),
                )
            )  # fmt: skip
    return lines


def compared(result: dict[str, Any]) -> Content:
    """Two models on users new to both: each mean, the difference with its interval, and who wins."""
    window, other = result["window"], result["other"]
    users, names = numbers.plural(window["users"], "user"), (result["name"], other["name"])
    lines = [
        Content(f"On {window['cutoff'][:10]} to {window['until'][:10]}, {users} new to both."),
        words.BLANK,
        Content.styled(
            " " * SIDE + "".join(fit(name, NAME, right=True) for name in names) + "  difference, 95 %",
            "bold $muted",
        ),
    ]
    for metric, apart in result["differences"].items():
        winner = apart["winner"]
        lines.append(
            Content.assemble(
                (f"{SHORT.get(metric, metric):<{SIDE}}", words.DIM),
                f"{result['metrics'][metric]:>{NAME}.4f}{other['metrics'][metric]:>{NAME}.4f}",
                f"  {apart['difference']:+.4f} [{apart['low']:+.4f}, {apart['high']:+.4f}]  ",
                (f"{winner} wins" if winner else "a draw", "bold" if winner else words.DIM),
            )
        )
    return Content("\n").join(lines)
