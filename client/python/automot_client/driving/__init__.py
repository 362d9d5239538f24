"""The closed loop: planner, world, faults and the record of a run."""
