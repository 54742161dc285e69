"""A package, so that the `tests` which some other wheel brings along does not stand in for it."""
