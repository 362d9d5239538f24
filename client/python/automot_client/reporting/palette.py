"""Colours of the video, named by what they show; the page's legend uses the same."""

Colour = tuple[int, int, int]

GROUND: Colour = (30, 34, 40)
ROAD: Colour = (62, 67, 75)
MARKING: Colour = (150, 154, 160)
YELLOW_MARKING: Colour = (190, 152, 60)
ROUTE: Colour = (92, 140, 220)
LIDAR: Colour = (110, 214, 226)
VEHICLE: Colour = (236, 140, 62)
EGO: Colour = (240, 242, 245)
PREDICTED_ROUTE: Colour = (98, 208, 122)
WAYPOINT: Colour = (226, 92, 178)
TARGET: Colour = (246, 210, 74)
TEXT: Colour = (240, 242, 245)
ALERT: Colour = (255, 120, 96)

LEGEND: tuple[tuple[str, Colour], ...] = (
    ("predicted route", PREDICTED_ROUTE),
    ("predicted waypoints, 0.5 s apart", WAYPOINT),
    ("target points", TARGET),
    ("navigation route", ROUTE),
    ("LiDAR", LIDAR),
    ("traffic", VEHICLE),
    ("ego", EGO),
)


def css(colour: Colour) -> str:
    """A colour for CSS."""
    return f"rgb({colour[0]},{colour[1]},{colour[2]})"
