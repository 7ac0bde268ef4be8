"""Pictures of sizes, moves, models and users as files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from db import projections, vocabulary
from segtui.operations.definitions import definitions
from segtui.operations.errors import OperationError
from segtui.operations.moment import shown_as_of
from segtui.operations.session import Session
from segtui.operations.words import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png", ".pdf")
# Told apart also without colour: by dashes in lines, by order in areas.
COLOURS = ("#1b5fa8", "#c8731a", "#3a8a52", "#8a4fa0", "#6b6b6b", "#b0343c")
DASHES = ("-", "--", "-.", ":")
DAYS = 90
HISTORY = 180
INCHES = (8.0, 4.5)

Drawn = tuple[str, Callable[["Axes"], None]]
"""A title, and what draws below it."""


def plot(
    s: Session,
    what: str,
    out: Path,
    *,
    segmentation: str = "value",
    from_: int | None = None,
    to: int | None = None,
    model: str | None = None,
    user: str | None = None,
) -> dict[str, Any]:
    """Draws `what` (sizes, transitions, calibration, loss, user) to a .svg, .png or .pdf file, atomically.

    Sizes and transitions are of the ticks from `from_` (90 days before) to `to` (the newest), in µs. The
    same store gives the same file. Raises OperationError where there is nothing to draw.
    """
    if out.suffix not in FORMATS:
        raise OperationError(f"{out.name} does not end in {', '.join(FORMATS)}: name such a file.")
    if what not in _PICTURES:
        raise OperationError(f"No picture {what!r}: there are {', '.join(_PICTURES)}.")
    title, draw = _PICTURES[what](s, segmentation, _span(s, from_, to), model, user)
    _save(title, draw, out)
    return {"what": what, "title": title, "out": str(out)}


def _span(s: Session, from_: int | None, to: int | None) -> tuple[int, int]:
    end = shown_as_of(s, to) or s.require_as_of()
    return (s.ticks.days_before(end, DAYS) if from_ is None else s.ticks.at_or_after(from_)), end


def _save(title: str, draw: Callable[[Axes], None], out: Path) -> None:
    # imported late: it takes longer to load than most commands to run
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise OperationError("Pictures need Matplotlib: pip install 'segtui[plot]'.") from None
    fixed = {
        "svg.hashsalt": "segtui",
        "svg.fonttype": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(fixed):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.subplots()
        axes.set_title(title, loc="left", fontsize=11)
        draw(axes)
        draft = out.with_name(f".{out.name}.draft")
        undated = (
            {"Date": None}
            if out.suffix == ".svg"
            else {"CreationDate": None}
            if out.suffix == ".pdf"
            else None
        )
        try:
            figure.savefig(draft, format=out.suffix[1:], dpi=150, metadata=undated)
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)


def _sizes(
    s: Session, segmentation: str, span: tuple[int, int], _model: str | None, _user: str | None
) -> Drawn:
    known = definitions(s).segmentation(segmentation)
    number = vocabulary.number(s.store, "segmentation", segmentation)
    if number is None:
        raise OperationError(f"{segmentation!r} holds nobody yet: run 'segtui rescore'.")
    history = projections.size_history(s.store, number, since=span[0]).filter(
        (pl.col("as_of") >= span[0]) & (pl.col("as_of") <= span[1])
    )
    if history.is_empty():
        raise OperationError(
            f"No sizes of {segmentation!r} were recorded between those ticks: choose others."
        )

    def draw(axes: Axes) -> None:
        for place, label in enumerate(known.labels):
            own = history.filter(pl.col("label") == vocabulary.number(s.store, "label", label))
            times = [datetime.fromisoformat(s.iso(each)) for each in own["as_of"]]
            _line(axes, times, own["users"].to_list(), label, place)
        axes.set_ylabel("users")
        axes.set_ylim(bottom=0)
        _dated(axes)

    return f"{segmentation}: users by label at each tick's end", draw


def _transitions(
    s: Session, segmentation: str, span: tuple[int, int], _model: str | None, _user: str | None
) -> Drawn:
    from segtui.operations.transitions import transitions

    told = transitions(s, *span, segmentation=segmentation)
    labels = ["(none)" if label is None else label for label in told["labels"]]
    matrix = told["matrix"]

    def draw(axes: Axes) -> None:
        parts = [[count / max(1, sum(row)) for count in row] for row in matrix]
        axes.imshow(parts, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(labels)), labels)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("at the end")
        axes.set_ylabel("at the start")
        for row, line in enumerate(matrix):
            for column, count in enumerate(line):
                dark = parts[row][column] > 0.5
                text = f"{count:,}\n{share(parts[row][column])}"
                axes.text(
                    column,
                    row,
                    text,
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if dark else "black",
                )

    return f"{segmentation}: from {told['from'][:10]} to {told['to'][:10]}, users and share of the row", draw


def _calibration(
    s: Session, _segmentation: str, _span: tuple[int, int], model: str | None, _user: str | None
) -> Drawn:
    from segtui.operations.evaluate import evaluate

    told = evaluate(s, model=model)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="#9a9a9a", linewidth=1, label="as said")
        for place, (label, bins) in enumerate(told["calibration"].items()):
            _line(
                axes,
                [each["predicted"] for each in bins],
                [each["observed"] for each in bins],
                label,
                place,
                "o",
            )
        axes.set_xlabel("probability that was said")
        axes.set_ylabel("share that came")
        axes.legend(frameon=False)

    window = told["window"]
    return f"{told['name']}: calibration on {window['cutoff'][:10]} to {window['until'][:10]}", draw


def _loss(
    s: Session, segmentation: str, _span: tuple[int, int], model: str | None, _user: str | None
) -> Drawn:
    found = definitions(s)
    body = (
        found.find_model(model) if model else found.models.get(found.segmentation(segmentation).model or "")
    )
    if body is None or not body.get("history"):
        raise OperationError(
            f"No training history of {model or segmentation!r}: train a model with 'segtui train'."
        )

    def draw(axes: Axes) -> None:
        epochs = [each["epoch"] for each in body["history"]]
        for place, (name, text) in enumerate((("valid_loss", "validation"), ("train_loss", "training"))):
            _line(axes, epochs, [each[name] for each in body["history"]], text, place)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.legend(frameon=False)

    return f"{body['name']}: losses while training", draw


def _one_user(
    s: Session, _segmentation: str, span: tuple[int, int], _model: str | None, user: str | None
) -> Drawn:
    from segtui.operations.user import user as one

    if user is None:
        raise OperationError("Whose picture? Name a user with --user ID.")
    told = one(s, user, at=span[1], history=HISTORY)
    points = told["history"]
    if not points:
        raise OperationError(
            f"There are no probabilities of {user} to draw: a rule decides, without a model."
        )

    def draw(axes: Axes) -> None:
        times = [datetime.fromisoformat(each["as_of"]) for each in points]
        for place, label in enumerate(points[-1]["probabilities"]):
            _line(axes, times, [each["probabilities"].get(label, 0.0) for each in points], label, place)
        for change in told["changes"]:
            moment: Any = datetime.fromisoformat(change["as_of"])
            if change["to"] in points[-1]["probabilities"] and times[0] <= moment <= times[-1]:
                axes.axvline(moment, color="#9a9a9a", linewidth=0.8, linestyle=":")
                axes.text(moment, 0.99, f" > {change['to']}", fontsize=7, rotation=90, va="top", ha="right")
        axes.set_ylabel("probability")
        axes.set_ylim(0, 1)
        _dated(axes)

    return f"{user}: probability of each label, dotted where the label changed", draw


def _line(axes: Axes, x: list[Any], y: list[Any], label: str, place: int, marker: str = "") -> None:
    axes.plot(
        x,
        y,
        label=label,
        color=COLOURS[place % len(COLOURS)],
        linestyle=DASHES[place % len(DASHES)],
        marker=marker,
    )


def _dated(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.legend(frameon=False)


_PICTURES: dict[str, Callable[[Session, str, tuple[int, int], str | None, str | None], Drawn]] = {
    "sizes": _sizes,
    "transitions": _transitions,
    "calibration": _calibration,
    "loss": _loss,
    "user": _one_user,
}
PICTURES = tuple(_PICTURES)
