"""Draw the numbers of an image: as a caption, and a steering angle as a needle."""

from __future__ import annotations

from math import cos, degrees, pi, sin

from PIL import Image, ImageDraw

from opsin.tasks.drawing import add_caption, enlarged
from opsin.tasks.regression.measurement import Measurement, Quantity
from opsin.tasks.tables.names import words

ANGLE_NAMES = frozenset(("steering", "angle"))
DEGREES, RADIANS = ("°", "deg", "degree", "degrees"), ("rad", "radian", "radians")

RIM, NEEDLE, RANGE = (255, 255, 255, 210), (230, 159, 0, 255), (230, 159, 0, 90)
RADIUS = 0.32
"""The radius of the gauge as a share of the shorter side."""

LINE = 1 / 160
"""The width of its lines as a share of the longer side."""


def draw_measurement(image: Image.Image, answer: Measurement, limits: dict[str, float]) -> Image.Image:
    """Return a copy of the image in RGB with the numbers of the answer in a caption.

    The first quantity called steering or angle is drawn as a needle: upright is 0, and positive numbers lean to the
    right. `limits` are the numbers by name at which it lies on its side; angles with a unit need none. A field shows
    the interval.
    """
    result = enlarged(image)
    needle = next((each for each in answer.quantities if is_angle(each.name)), None)
    if needle is not None:
        _draw_needle(result, needle, limits.get(needle.name, 1.0))
    add_caption(result, [str(each) for each in answer.quantities])
    return result


def is_angle(name: str) -> bool:
    """Return whether a quantity is a direction by its name."""
    return bool(ANGLE_NAMES & {*words(name)})


def deflection(quantity: Quantity, value: float, limit: float) -> float:
    """Return the angle of the needle in radians, from -π/2 to π/2; units are degrees, radians or parts of `limit`."""
    unit = quantity.unit.lower().strip(".")
    to_radians = pi / 180 if unit in DEGREES else 1.0 if unit in RADIANS else pi / 2 / limit
    angle = value * to_radians
    return max(-pi / 2, min(pi / 2, angle))


def _draw_needle(image: Image.Image, quantity: Quantity, limit: float) -> None:
    canvas, radius = ImageDraw.Draw(image, "RGBA"), RADIUS * min(image.size)
    line = max(2, round(max(image.size) * LINE))
    centre = (image.width / 2, image.height * 0.5 + radius / 2)
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    canvas.arc(box, 180, 360, fill=RIM, width=line)
    if quantity.low is not None and quantity.high is not None:
        start, end = (degrees(deflection(quantity, value, limit)) - 90 for value in (quantity.low, quantity.high))
        canvas.pieslice(box, start, end, fill=RANGE)
    angle = deflection(quantity, quantity.value, limit)
    tip = (centre[0] + radius * sin(angle), centre[1] - radius * cos(angle))
    canvas.line((centre, tip), fill=NEEDLE, width=2 * line)
    canvas.ellipse(tuple(place + sign * 2 * line for sign in (-1, 1) for place in centre), fill=RIM)
