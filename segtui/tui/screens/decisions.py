"""How probabilities become labels: what is in force, and trying something else before it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

from segtui.operations import words as numbers
from segtui.tui import words
from segtui.tui.flows import flow_lines
from segtui.tui.jobs import Writing
from segtui.tui.screens.dialogs import Trying

if TYPE_CHECKING:
    from segtui.tui.app import SegtuiApp

HINT = (
    "--share medium=0.1   that share of the users        --margin 0.05    how far ahead to move\n"
    "--min high=0.3       whoever reaches it             --min-stay 7d    how long held at least\n"
    "--cost medium:low=4  what a mistake costs           --argmax         the likeliest label"
)
STEP = 0.05


def ask_for_decision(app: SegtuiApp, segmentation: dict[str, Any], label: str | None) -> None:
    """Asks how a model's segmentation shall be decided, shows exactly who would move, and saves."""
    name = segmentation["name"]
    app.push_screen(
        Trying(
            f"Decide {name} otherwise",
            HINT,
            lambda text: app.data.read_decision(name, text),
            lambda asked, line: _try(app, name, asked, line),
            _offered(segmentation, label),
        )
    )


def _try(app: SegtuiApp, name: str, asked: Any, line: Trying) -> None:
    app.preview(
        Writing(
            title=f"Decide {name}",
            preview=lambda progress, cancelled: app.data.decide(name, asked, True, progress, cancelled),
            told=_told,
            write=lambda progress, cancelled: app.data.decide(name, asked, False, progress, cancelled),
            yes="decide so",
            done=lambda result: (
                f"{name}: {numbers.decision(result['decision'])}; "
                f"{numbers.plural(result['changed'], 'user')} moved."
            ),
        ),
        line,
    )


def _offered(segmentation: dict[str, Any], label: str | None) -> str:
    """A change one would try first: a higher minimum where there is one, else the share expected."""
    decision = segmentation["decision"] or {}
    if label in decision.get("min", {}):
        return f"--min {label}={min(1.0, decision['min'][label] + STEP):g}"
    labels = segmentation["labels"]
    chosen = next((each for each in labels if each["label"] == label), None)
    total = sum(each["users"] for each in labels)
    if chosen is None or not chosen["expected"] or not total:
        return f"--margin {decision.get('margin', STEP):g}"
    return f"--share {label}={chosen['expected'] / total:.3f}"


def _told(result: dict[str, Any]) -> Content:
    """Who would move, and the sizes that follow beside those expected."""
    lines = [
        Content.styled(numbers.decision(result["decision"]), "bold"),
        Content(f"{numbers.plural(result['changed'], 'user')} would move:"),
        *flow_lines(result["flows"]),
        Content(""),
    ]
    for label, users in result["sizes"].items():
        expected = result["expected"].get(label)
        beside = "" if expected is None else f"   {numbers.count(round(expected)):>8} expected"
        lines.append(Content.assemble(f"{numbers.count(users):>8} {label:<8}", (beside, words.DIM)))
    lines += [
        Content.styled(
            f"{label} gets {numbers.share(reached)}: users with the same probabilities are not divided",
            words.WARN,
        )
        for label, reached in result["missed"].items()
    ]
    return Content("\n").join(lines)
