"""Client of AutoMoT Serve: sessions, trajectories, context snapshots, and a simulator bridge."""
