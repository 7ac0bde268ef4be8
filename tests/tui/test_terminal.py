"""The program in a real terminal: tmux types, looks, and sees the terminal given back."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TMUX = shutil.which("tmux")
SIZES = ((60, 20), (80, 24), (200, 60))
PATIENCE = 40.0
PROGRAM = str(Path(sys.executable).with_name("segtui"))
PROMPT = "ready>"

pytestmark = pytest.mark.skipif(TMUX is None, reason="there is no tmux here to type into")


class Terminal:
    """One tmux server with one window of a size."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self.size = size
        self.socket = str(folder / "tmux")
        self.home = folder
        width, height = (str(each) for each in size)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
            "SEGTUI_KEY": "00" * 32, "TEXTUAL_ANIMATIONS": "none",
            "XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state"),
        }  # fmt: skip
        self._run("new-session", "-d", "-x", width, "-y", height, "sh", env=environment)
        self._run("set-option", "-g", "status", "off")
        # Root's shell takes no prompt from the environment.
        self.say(f"PS1='{PROMPT}'")
        self._run("resize-window", "-x", width, "-y", height)

    def _run(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        assert TMUX is not None
        done = subprocess.run(
            [TMUX, "-S", self.socket, "-f", "/dev/null", *arguments],
            capture_output=True, text=True, timeout=60, env=env,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def type(self, *keys: str) -> None:
        """Sends keys by tmux's names."""
        self._run("send-keys", *keys)

    def say(self, text: str) -> None:
        """Types a line."""
        self._run("send-keys", "-l", text)
        self.type("Enter")

    def screen(self) -> str:
        """What stands on the screen."""
        return self._run("capture-pane", "-p")

    def until(self, wanted: Callable[[str], object]) -> str:
        """The first screen of which `wanted` is true."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            screen = self.screen()
            if wanted(screen):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"it never came; the screen is\n{self.screen()}")

    def modes(self) -> str:
        """Whether the alternate screen is on, the cursor shown, the mouse reported."""
        told = "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"
        return self._run("display-message", "-p", told).strip()

    def close(self) -> None:
        """Ends the server."""
        assert TMUX is not None
        subprocess.run([TMUX, "-S", self.socket, "kill-server"], capture_output=True, timeout=60)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[tuple[int, int]], Terminal]]:
    opened: list[Terminal] = []

    def open_one(size: tuple[int, int]) -> Terminal:
        opened.append(Terminal(tmp_path, size))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def start(terminal: Terminal, store: Path, *, ready: str = "▲") -> str:
    """Starts the program and waits for its first page."""
    terminal.say(f"{shlex.quote(PROGRAM)} --store {shlex.quote(str(store))}")
    return terminal.until(lambda screen: "AS OF" in screen and ready in screen and "? help" in screen)


def given_back(terminal: Terminal) -> str:
    """Waits until the shell is there again with the terminal as it was."""
    terminal.until(lambda screen: screen.rstrip().endswith(PROMPT))
    terminal.until(lambda _screen: terminal.modes() == "0 1 0")
    terminal.say("stty -a | tr ' ' '\\n' | grep -x echo && echo still''here")
    return terminal.until(lambda screen: "stillhere" in screen)


PAGES = (
    ("2", "sorted by"),
    ("3", "choose|No user|history"),
    ("4", "frame"),
    ("5", "totals|nothing"),
    ("L", "decision"),
    ("M", "LOSS"),
    ("X", "FROM"),
)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_pages_fit_and_the_terminal_is_given_back(shop, terminal, size):
    shell = terminal(size)
    screens = [start(shell, shop)]
    for key, sign in PAGES:
        shell.type(key)
        screens.append(shell.until(lambda screen, sign=sign: re.search(sign, screen) and "? help" in screen))
    shell.type("?")
    screens.append(shell.until(lambda screen: "esc closes" in screen))
    shell.type("Escape")
    shell.until(lambda screen: "esc closes" not in screen)
    for screen in screens:
        lines = screen.splitlines()
        assert len(lines) <= size[1]
        assert max(map(len, lines)) <= size[0]
        assert "Traceback" not in screen
        assert "shop.db" in lines[0]
        assert lines[0].rstrip().endswith("?")
        assert "? help" in lines[-1], "the keys stand on the last line, help among them"
    shell.type("q")
    told = given_back(shell)
    assert "Traceback" not in told


@pytest.mark.parametrize("way", ["ctrl-c", "TERM", "crash"])
def test_the_terminal_is_given_back_however_it_ends(shop, terminal, way, tmp_path):
    shell = terminal((80, 24))
    if way == "crash":
        crash = tmp_path / "crash.py"
        crash.write_text(
            "import sys\n"
            "from segtui.tui.screens.members import MembersPage\n"
            "def load(self): raise RuntimeError('made to crash')\n"
            "MembersPage.load = load\n"
            "from segtui.cli import main\n"
            "main()\n"
        )
        shell.say(f"{shlex.quote(sys.executable)} {crash} --store {shlex.quote(str(shop))}")
        shell.until(lambda screen: "AS OF" in screen and "▲" in screen)
        shell.type("2")
    else:
        start(shell, shop)
        if way == "ctrl-c":
            shell.type("C-c")
        else:
            pids = subprocess.run(
                ["pgrep", "-f", f"segtui --store {shop}"], capture_output=True, text=True, check=True
            ).stdout.split()
            for pid in pids:
                os.kill(int(pid), 15)
    told = given_back(shell)
    assert "Traceback" not in told
    assert ("This is a defect in segtui (RuntimeError" in " ".join(told.split())) == (way == "crash")
