"""What was loaded is taken for what stays.

To look through it for garbage every few seconds takes 50 ms each time, in which no key is answered.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping

LIBRARY = 50
"""Modules that are more than a page of the screens has: garbage that is held each time stays for good."""
FULL = 2


class Held:
    """Called by the collector: after it went through all that there is, what is left is held if a library has
    come since."""

    def __init__(self) -> None:
        self._modules = 0

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "stop" and info["generation"] == FULL and len(sys.modules) >= self._modules + LIBRARY:
            self._modules = len(sys.modules)
            gc.freeze()
