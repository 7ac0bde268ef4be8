"""Pure functions from events to features, from features to labels, and from labels to changes."""
