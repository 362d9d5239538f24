"""Bridge to the MetaDrive simulator: world, route, drawn camera, cast LiDAR."""
