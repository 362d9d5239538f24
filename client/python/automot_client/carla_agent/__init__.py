"""An agent for the CARLA leaderboard that has its driving planned by the services.

What decides is in the services: model, context, fallback, and the controller, whose throttle, brake and
steering come with every answer. Nothing of it is repeated here.

The contract (`automot.v1.Observation`) takes an ego pose and two target points; it has no field for raw
GNSS, compass and speed, nor for a global plan, and none for the published agent's rule layer. What lies
between CARLA's sensors and those fields is therefore here, and only that: `pose_filter`, `geo_reference`,
`route_planner` and `agent_rules`. They are ports of `automot::control` (common/control), and tests hold
both to the same recordings (tests/golden/data, tests/data/carla), so neither can move alone.

CARLA and the leaderboard are imported when an agent is made, never when a module here is.
"""
