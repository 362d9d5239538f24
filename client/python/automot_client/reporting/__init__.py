"""The report of a recorded run: numbers, charts, video, page."""
