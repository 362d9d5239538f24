"""A driver that knows the whole state: its plan labels any state, and drives."""
