"""Where compiled programs are kept between commands."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def use_cache() -> None:
    """Turns on JAX's persistent compilation cache, in a folder of this user's own (mode 0700)."""
    from engine.jit import configure_cache

    configured = os.environ.get("SEGTUI_CACHE")
    folder = Path(configured) if configured else user_cache_path("segtui") / "compiled"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    configure_cache(str(folder))
