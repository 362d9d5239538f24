"""The file for the leaderboard's `--agent`, alone in its folder because the leaderboard puts that folder on
the import path, where other names could hide modules of the same name."""
