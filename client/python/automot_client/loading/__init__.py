"""Synthetic vehicles that ask for plans at a fixed rate, and what came of it."""
