"""Page `:models`: every trained model, how good it is, and which one decides; training and promoting."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from segtui.operations import words as numbers
from segtui.operations.errors import OperationError
from segtui.tui import words
from segtui.tui.actions import bindings
from segtui.tui.flows import flow_lines
from segtui.tui.jobs import Writing
from segtui.tui.screens.dialogs import Again, Prompt, Reading
from segtui.tui.screens.filtering import ListedPage
from segtui.tui.screens.model_words import compared, judged, losses, metrics
from segtui.tui.widgets.virtual_list import Column, Item, VirtualList

KINDS = ("mlp", "logistic", "cnn", "gru", "fused")
NONE = """No model yet: a starter rule decides by recency and spend.

[$accent]$train[/] trains one on what happened since, and judges it beside simpler ones"""


def metric_cell(name: str) -> Any:
    """A column of a test metric."""

    def cell(row: Item, _width: int) -> str:
        found = (row["metrics"].get("test") or {}).get(name)
        return "·" if found is None else numbers_of(found)

    return cell


def numbers_of(value: float) -> str:
    """0.66213 as `0.662`."""
    return f"{value:.3f}"


def decides_cell(row: Item, _width: int) -> Content:
    """Whether the model decides its segmentation now."""
    return Content.styled("now", words.CHOSEN) if row["promoted"] else Content.styled("·", words.DIM)


COLUMNS = (
    Column("MODEL", 16, lambda row, _: Content.styled(row["name"], "bold"), grow=1),
    Column("DECIDES", 8, decides_cell),
    Column("OF", 8, lambda row, _: row["segmentation"]),
    Column("KIND", 8, lambda row, _: row["kind"], drop=3),
    Column("TRAINED", 10, lambda row, _: words.day(row["trained_at"]), drop=1),
    Column("LOG LOSS", 8, metric_cell("log_loss"), right=True),
    Column("ACCURACY", 8, metric_cell("accuracy"), right=True, drop=2),
)  # fmt: skip


class ModelsPage(ListedPage):
    """Models, newest first; metrics beside baselines, and the losses of the training."""

    PAGE = "models"
    BINDINGS = bindings(PAGE)
    travels = False
    needs = "events"

    def __init__(self) -> None:
        super().__init__()
        self.training: list[tuple[float, float]] = []
        self._all: list[Item] = []
        self._wanted: str | None = None

    def content(self) -> ComposeResult:
        yield VirtualList(COLUMNS, lambda row: row["model"], id="models")
        with Horizontal(classes="columns side"):
            with VerticalScroll(classes="pane", id="metrics"):
                yield Static(id="metrics-text")
            with VerticalScroll(classes="pane", id="losses"):
                yield Static(id="losses-text")

    @property
    def rows(self) -> VirtualList:
        """The models."""
        return self.query_one("#models", VirtualList)

    def load(self) -> None:
        self.ask("models", lambda _cancelled: self.segtui.data.models(), self._loaded)

    def _loaded(self, found: dict[str, Any]) -> None:
        self._all = found["models"]
        self.show_rows()
        if self._wanted is not None:
            self.rows.cursor = next(
                (at for at, row in enumerate(self._all) if row["name"] == self._wanted), self.rows.cursor
            )
            self._wanted = None
        if not found["models"]:
            self.query_one("#metrics-text", Static).update(Content.from_markup(NONE, **self.keys("train")))

    def show_rows(self) -> None:
        count = Content.styled(numbers.plural(len(self._all), "model"), "bold")
        self.show_subject(count + self.filter_chip())
        self.rows.show(self.kept(self._all, lambda row: f"{row['name']} {row['segmentation']} {row['kind']}"))

    def recall(self, name: str | None = None, **_: Any) -> None:
        if name is not None:
            self._wanted, self.filter = name, ""

    def on_virtual_list_moved(self) -> None:
        row = self.rows.item
        if row is None:
            return
        self.query_one("#metrics").border_title = Content(f"{row['name']}, on users it never saw")
        self.query_one("#metrics-text", Static).update(metrics(row))
        self._draw_losses()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw_losses)

    def _draw_losses(self) -> None:
        """The losses of the training that runs, else of the model under the cursor."""
        row, room = self.rows.item, self.query_one("#losses").content_size
        history = self.training or [
            (epoch["train_loss"], epoch["valid_loss"]) for epoch in (row or {}).get("history") or ()
        ]
        live = ", training now" if self.training else ""
        title = f"losses over {numbers.plural(len(history), 'epoch')}{live}"
        self.query_one("#losses").border_title = Content(title)
        self.query_one("#losses-text", Static).update(losses(history, room.width, room.height))

    # What can be done

    def heard(self, epochs: list[tuple[float, float]]) -> None:
        """The losses of the training that runs, so far; none when it is over."""
        self.training = epochs
        self._draw_losses()

    def action_train(self) -> None:
        self.app.push_screen(_line(), self._train)

    def _train(self, answer: tuple[tuple[str, dict[str, str]]] | None) -> None:
        if answer is None:
            return
        (text, wanted), app = answer[0], self.segtui
        app.start(
            f"training {wanted['kind']}",
            lambda progress, cancelled: app.data.train(wanted, progress, cancelled, app.heard),
            self._trained,
            Again(app, lambda said: _line(text, said), self._train),
        )

    def _trained(self, result: dict[str, Any]) -> str:
        self.segtui.epochs = []
        self.heard([])
        decides = "decides now" if result["promoted"] else "kept aside"
        return f"{result['name']}: {decides}, {result['why']}."

    def action_promote(self) -> None:
        row = self.rows.item
        if row is None:
            return
        if row["promoted"]:
            self.segtui.tell(f"{row['name']} decides {row['segmentation']} already.", "warning")
            return
        model, data = row["model"], self.segtui.data
        self.segtui.preview(
            Writing(
                title=f"Let {row['name']} decide {row['segmentation']}",
                preview=lambda progress, cancelled: data.promote(model, True, progress, cancelled),
                told=lambda result: Content("\n").join(
                    [
                        Content(f"{numbers.plural(result['changed'], 'user')} would move:"),
                        *flow_lines(result["flows"]),
                    ]
                ),
                write=lambda progress, cancelled: data.promote(model, False, progress, cancelled),
                yes="promote it",
                done=lambda result: (
                    f"{result['name']} decides; {numbers.plural(result['changed'], 'user')} moved."
                ),
            )
        )

    def action_judge(self) -> None:
        row = self.rows.item
        if row is None:
            return
        model, show = row["model"], self.segtui.opener()

        def found(result: dict[str, Any]) -> None:
            self._wait("")
            title = f"{result['name']} on a window it never saw"
            show(Reading(title, judged(result)), lambda _: None)

        self._wait(f"judging {row['name']} on a later window")
        self.ask("judge", lambda _cancelled: self.segtui.data.evaluate(model), found, self._unjudged)

    def action_why(self) -> None:
        row = self.rows.item
        if row is None:
            return
        index = range(self.rows.total)
        rivals = [
            each for n in index if (each := self.rows.row(n)) and each["segmentation"] == row["segmentation"]
        ]
        rival = next((each for each in rivals if each["promoted"] and each is not row), None)
        if rival is None:
            self.segtui.tell(
                "Choose a model that does not decide now: it is compared with the one that does.", "warning"
            )
            return
        one, other, show = rival["model"], row["model"], self.segtui.opener()

        def found(result: dict[str, Any]) -> None:
            self._wait("")
            title = f"{result['other']['name']} beside {result['name']}"
            show(Reading(title, compared(result)), lambda _: None)

        self._wait(f"comparing {row['name']} with {rival['name']}")
        self.ask("judge", lambda _cancelled: self.segtui.data.compare(one, other), found, self._unjudged)

    def _unjudged(self, sentence: str) -> None:
        self._wait("")
        self.complain(sentence)

    def _wait(self, what: str) -> None:
        """A question that takes its time shows like a job; it writes nothing and may be left alone."""
        if self.segtui.idle:
            self.segtui.job_state = (what, None)
            self.show_job()

    def action_copy_command(self) -> None:
        row = self.rows.item
        if row is None:
            self.segtui.copy_command("models", moment="")
        else:
            self.segtui.copy_command("evaluate", "--model", row["name"], moment="")


def _line(text: str = "", said: str = "") -> Prompt:
    """Asks for a kind and settings; ends with what was typed and what it means."""
    return Prompt(
        "Train a model",
        f"{', '.join(KINDS)} ({KINDS[0]} unless told); then settings, as in: mlp horizon=90d seed=1",
        lambda typed: (typed, _settings(typed)),
        text,
        said,
        placeholder=KINDS[0],
    )


def _settings(text: str) -> dict[str, str]:
    """`mlp horizon=90d seed=1` as settings by name, the kind being the first one unless told; refuses what is
    no kind or no setting."""
    told = text.split()
    kind, rest = (told[0], told[1:]) if told and "=" not in told[0] else (KINDS[0], told)
    if kind not in KINDS:
        raise OperationError(f"No kind of model {kind!r}: there are {', '.join(KINDS)}.")
    pairs = [each.partition("=") for each in rest]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise OperationError(f"{name!r} is no setting: write name=value, as in seed=1.")
    return {"kind": kind} | {name: value for name, _, value in pairs}
