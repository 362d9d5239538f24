"""`python -m automot_client.carla_agent` prints the path for the leaderboard's `--agent`."""

from pathlib import Path

print(Path(__file__).parent / "entry" / "automot_agent.py")
