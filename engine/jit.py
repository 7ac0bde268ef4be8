"""JAX's persistent compilation cache: set by whoever starts a program, never at import."""

from __future__ import annotations

import jax


def configure_cache(directory: str) -> None:
    """Keep what XLA compiles in `directory`, which the caller has made (mode 0700), for the next process to
    find."""
    settings = {
        "jax_compilation_cache_dir": directory,
        # Even small programs: a command's whole cost is a handful of them.
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]  # JAX does not annotate it
