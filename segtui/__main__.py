"""`python -m segtui`."""

from segtui.cli import main

main()
