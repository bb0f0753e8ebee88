"""Small drawn faces: pictures for tests that look enough like portraits and belong to nobody."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_SKIN = ((255, 219, 187), (241, 194, 150), (224, 172, 120), (176, 117, 75), (120, 76, 48))
_HAIR = ((30, 22, 18), (72, 44, 26), (140, 84, 42), (214, 176, 104), (150, 150, 150), (150, 60, 30))
_CANVAS = 256  # drawn at this size, then shrunk: smooth edges at any size


def drawn_face(rng: np.random.Generator, size: int = 64) -> NDArray[np.uint8]:
    """Draw a cartoon portrait: skin, hair, pose, eyes, mouth, background, at times glasses.

    Args:
        rng: decides everything that varies.
        size: side of the picture in pixels.

    Returns:
        uint8 RGB (size, size, 3).
    """
    skin, hair = (_tint(rng, colours) for colours in (_SKIN, _HAIR))
    backdrop, shirt = (_colour(rng.integers(30, 230, 3)) for _ in range(2))
    canvas = Image.new("RGB", (_CANVAS, _CANVAS), backdrop)
    draw = ImageDraw.Draw(canvas)
    x, y = 128 + rng.uniform(-18, 18), 128 + rng.uniform(-12, 12)
    width, height = rng.uniform(58, 76), rng.uniform(78, 94)
    long_hair = rng.uniform(0.2, 1.3)
    _oval(draw, x, y - 20, width + 16, height + 4, hair)
    draw.rectangle((x - width - 12, y - 20, x + width + 12, y + height * long_hair - 20), hair)
    _oval(draw, 128, 280, 120, 70, shirt)
    draw.rectangle((x - 22, y + 40, x + 22, y + 110), _darker(skin, 0.85))
    _oval(draw, x, y, width, height, skin)
    _fringe(draw, rng, (x, y), (width, height), hair)
    _features(draw, rng, (x + rng.uniform(-14, 14), y), skin, hair)
    shrunk = canvas.resize((size, size), Image.Resampling.BOX)
    noise = rng.normal(0, 2, (size, size, 3))
    return np.clip(np.asarray(shrunk) + noise, 0, 255).astype(np.uint8)


_Colour = tuple[int, int, int]


def _colour(values: NDArray[np.generic]) -> _Colour:
    red, green, blue = (int(value) for value in np.clip(values.astype(np.float64), 0, 255))
    return red, green, blue


def _tint(rng: np.random.Generator, colours: tuple[_Colour, ...]) -> _Colour:
    return _colour(np.asarray(colours[rng.integers(len(colours))]) + rng.normal(0, 8, 3))


def _darker(colour: _Colour, factor: float) -> _Colour:
    return _colour(np.asarray(colour) * factor)


def _oval(
    draw: ImageDraw.ImageDraw, x: float, y: float, width: float, height: float, colour: _Colour
) -> None:
    draw.ellipse((x - width, y - height, x + width, y + height), colour)


def _fringe(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    centre: tuple[float, float],
    half: tuple[float, float],
    hair: _Colour,
) -> None:
    (x, y), (width, height) = centre, half
    depth = rng.uniform(0.25, 0.6) * height
    box = (x - width, y - height - 2, x + width, y - height + 2 * depth)
    draw.chord(box, 180 + rng.uniform(-12, 0), 360 + rng.uniform(0, 12), hair)


def _features(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    centre: tuple[float, float],
    skin: _Colour,
    hair: _Colour,
) -> None:
    """Eyes, brows, glasses, nose and mouth, around the point the face looks from."""
    x, y = centre
    apart, iris = rng.uniform(24, 32), _colour(rng.integers(20, 140, 3))
    glasses = rng.random() < 0.3
    for eye in (x - apart, x + apart):
        _oval(draw, eye, y - 12, 13, rng.uniform(6, 9), (250, 250, 250))
        _oval(draw, eye, y - 12, 6, 6, iris)
        _oval(draw, eye, y - 12, 3, 3, (10, 10, 10))
        lift = rng.uniform(22, 30)
        draw.line((eye - 15, y - lift, eye + 15, y - lift + rng.uniform(-4, 4)), hair, 5)
        if glasses:
            draw.ellipse((eye - 20, y - 30, eye + 20, y + 8), outline=(25, 25, 25), width=4)
    if glasses:
        draw.line((x - apart + 20, y - 12, x + apart - 20, y - 12), (25, 25, 25), 4)
    draw.line((x, y - 2, x + rng.uniform(-8, 8), y + 22), _darker(skin, 0.75), 6)
    smile, lips = rng.uniform(4, 16), _darker(skin, 0.6)
    draw.chord((x - 24, y + 46 - smile, x + 24, y + 46 + smile), 0, 180, lips)
