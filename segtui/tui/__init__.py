"""The terminal UI: screens over segtui.operations, one registry of actions."""
