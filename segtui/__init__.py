"""segtui: an event-sourced segment manager for people who run online shops."""

__version__ = "0.1.0"
