"""How often a process looks for garbage, what it holds from that, and that it does not look when it ends."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping

SELDOM = (10_000, 20, 20)
USUAL = gc.get_threshold()
LIBRARY = 50
"""Modules that are more than a page of the screens has: garbage that is held each time stays for good."""
FULL = 2


def seldom() -> None:
    """For work that is soon over: there is little garbage in it, and the libraries of a training are 300,000
    objects that stay, which Python goes through so often that it takes a twentieth of the time."""
    gc.set_threshold(*SELDOM)


def as_usual() -> None:
    """For what goes on for hours, screens and streams."""
    gc.set_threshold(*USUAL)


def leave() -> None:
    """Ends without a last look through everything, which takes half a second after a training."""
    gc.freeze()


class Held:
    """Called by the collector of what goes on for hours: after it went through all that there is, what is
    left is held if a library has come since. To look through that every few seconds takes 50 ms each time, in
    which no key is answered."""

    def __init__(self) -> None:
        self._modules = 0

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "stop" and info["generation"] == FULL and len(sys.modules) >= self._modules + LIBRARY:
            self._modules = len(sys.modules)
            gc.freeze()
