"""Use cases: one file each, called by the command line and the terminal UI alike."""
