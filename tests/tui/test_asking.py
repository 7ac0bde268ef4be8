"""Questions to the store whose screen is gone by the time they are answered."""

import threading

import pytest
from textual.app import App
from textual.screen import Screen

from segtui.tui.asking import Asking


class Asks(Screen, Asking):
    """Asks a question that is answered when it is told to."""

    def __init__(self, question):
        super().__init__()
        self.go_on, self.ended = threading.Event(), threading.Event()
        self.question = question

    def on_mount(self):
        def asked(_cancelled):
            self.go_on.wait(10)
            try:
                return self.question(self)
            finally:
                self.ended.set()

        self.ask("any", asked, lambda _: None)


@pytest.mark.parametrize("question", [lambda _: 1, lambda screen: screen.app.title])
async def test_an_answer_to_a_screen_that_is_gone_is_let_go(question):
    app = App()
    async with app.run_test() as pilot:
        screen = Asks(question)
        app.push_screen(screen)
        await pilot.pause()
        # As it is while an app shuts down.
        parent, screen._parent = screen._parent, None
        screen.go_on.set()
        while not screen.ended.is_set():
            await pilot.pause(0.01)
        await pilot.pause(0.05)
        screen._parent = parent
    assert app._exception is None
