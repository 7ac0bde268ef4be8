"""How often a process looks for garbage, and that it does not when it ends."""

from __future__ import annotations

import gc

SELDOM = (10_000, 20, 20)
USUAL = gc.get_threshold()


def seldom() -> None:
    """For work that is soon over: there is little garbage in it, and the libraries of a training are 300,000
    objects that stay, which Python goes through so often that it takes a tenth of the time."""
    gc.set_threshold(*SELDOM)


def as_usual() -> None:
    """For screens that stay open for hours, and may not stand still for a thorough look."""
    gc.set_threshold(*USUAL)


def leave() -> None:
    """Ends without a last look through everything, which takes half a second after a training."""
    gc.freeze()
