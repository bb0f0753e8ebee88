"""The squares that networks see, turned and scaled out of photos, and the way back.

Photo coordinates are complex numbers x + iy in pixels, (0, 0) the photo's top left corner, so that
the centre of pixel [0, 0] is 0.5 + 0.5i. Frame coordinates run from 0 to 1 + i.
"""

import math
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_HALF: Final = 0.5 + 0.5j
_COVERED: Final = 1e-4  # of a frame's pixel: less is a rounding error


class Frame(NamedTuple):
    """A square in a photo: its point f is the photo's point ``corner + side * f``.

    Attributes:
        corner: where the frame's top left corner lies in the photo.
        side: its upper edge, from left to right; turned where the square is.
    """

    corner: complex
    side: complex

    @classmethod
    def about(cls, centre: complex, side: complex) -> "Frame":
        """The frame that has its centre there."""
        return cls(centre - side * _HALF, side)

    def scaled(self, times: float) -> "Frame":
        """The frame of the same middle that is so many times as large."""
        return Frame.about(self.centre, self.side * times)

    @property
    def centre(self) -> complex:
        """The photo's point that is the frame's middle."""
        return self.corner + self.side * _HALF

    def inside(self, points: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Photo points in the frame's coordinates.

        Args:
            points: complex128 of any shape, x + iy in pixels.

        Returns:
            of the same shape: 0 is the frame's top left corner, 1 + 1j its bottom right one.
        """
        return (points - self.corner) / self.side


class Framed(NamedTuple):
    """A square of a photo, and what is around it.

    Attributes:
        photo: uint8 RGB (H, W, 3).
        frame: the square.
    """

    photo: NDArray[np.uint8]
    frame: Frame

    def scaled(self, times: float) -> "Framed":
        """The square of the same middle that is so many times as large."""
        return self._replace(frame=self.frame.scaled(times))

    def cut(self, largest: int) -> Floats:
        """The square's pixels as large as there are, but no larger: (S, S, 3), 1 = white."""
        size = max(1, min(round(abs(self.frame.side)), largest))
        return np.asarray(cut(self.photo, self.frame, size) / np.float32(255), np.float32)

    def beyond(self, size: int) -> NDArray[np.bool_]:
        """Which of the square's pixels lie beyond the photo: (S, S)."""
        return cut_hole(np.zeros(self.photo.shape[:2], np.bool_), self.frame, size)


def cut(image: NDArray[Any], frame: Frame, size: int, *, fill: float | None = None) -> Floats:
    """A frame's pixels, each the average of the photo over its area.

    Args:
        image: (H, W) or (H, W, C).
        frame: which square.
        size: its new side S.
        fill: what lies beyond the photo; None repeats its outermost pixels.

    Returns:
        float32 (S, S) or (S, S, C), in the image's own range.
    """
    return _resample(image, frame.side / size, frame.corner, (size, size), fill, cv2.INTER_LINEAR)


def cut_hole(hole: NDArray[np.bool_], frame: Frame, size: int) -> NDArray[np.bool_]:
    """A hole in a frame: every pixel that touches the photo's hole, or lies beyond the photo."""
    return cut(hole.view(np.uint8), frame, size, fill=1.0) > _COVERED


def reduced(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], float]:
    """A photo (H, W, 3) and its hole at a scale, but never enlarged, and the scale it became."""
    scale = min(1.0, scale)
    holes = reduced_hole(hole, scale)
    small = cv2.resize(photo, holes.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), holes, scale


def reduced_hole(hole: NDArray[np.bool_], scale: float) -> NDArray[np.bool_]:
    """A hole (H, W) at a scale: pixels of which it takes a quarter or more."""
    size = (max(1, round(hole.shape[1] * scale)), max(1, round(hole.shape[0] * scale)))
    shares = cv2.resize(hole.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    taken: NDArray[np.bool_] = np.greater_equal(shares, 64)
    return taken


def lift(picture: Floats, frame: Frame, box: tuple[slice, slice]) -> Floats:
    """A frame's picture (S, S, C) at the photo's resolution, where a box of the photo's pixels is.

    Returns:
        float32 (h, w, C); beyond the frame its outermost pixels are repeated.
    """
    rows, columns = box
    step = len(picture) / frame.side
    start = (columns.start + 1j * rows.start - frame.corner) * step
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    return _resample(picture, step, start, shape, None, cv2.INTER_CUBIC)


def _resample(
    image: NDArray[Any],
    step: complex,
    start: complex,
    shape: tuple[int, int],
    fill: float | None,
    enlarge: int,
) -> Floats:
    """Pixels whose centres lie at ``start + step * (x + 0.5 + (y + 0.5)i)`` of an image.

    Where steps are longer than a pixel, several samples are averaged.
    """
    image, start, coarse = _reduced(image, step, start, shape, fill)
    step = step / coarse
    samples = max(1, math.ceil(abs(step) - 1e-6))
    fine = step / samples
    first = start + fine * _HALF - _HALF  # of pixel centres to OpenCV's whole numbers
    matrix = np.array([[fine.real, -fine.imag, first.real], [fine.imag, fine.real, first.imag]])
    height, width = shape
    warped = cv2.warpAffine(
        image,
        matrix,
        (width * samples, height * samples),
        flags=(cv2.INTER_LINEAR if samples > 1 else enlarge) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT,
        borderValue=(fill or 0.0,) * 4,
    )
    if samples > 1:
        warped = cv2.resize(warped, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.float32)


def _reduced(
    image: NDArray[Any],
    step: complex,
    start: complex,
    shape: tuple[int, int],
    fill: float | None,
) -> tuple[Floats, complex, int]:
    """The part of an image that is needed, averaged over blocks while steps are four or longer.

    Returns:
        float32 pixels, `start` in their coordinates, and the blocks' side.
    """
    block = max(1, int(abs(step) / 2))
    across, down = step * shape[1], step * 1j * shape[0]
    corners = np.array([start, start + across, start + down, start + across + down])
    margin = 2 + block
    left, top = (math.floor(part.min()) - margin for part in (corners.real, corners.imag))
    right, bottom = (math.ceil(part.max()) + margin for part in (corners.real, corners.imag))
    height, width = image.shape[:2]  # beyond the photo its outermost pixels are needed
    left, top = min(left, width - 1), min(top, height - 1)
    right, bottom = max(right, 1), max(bottom, 1)
    # Blocks begin where the first pixel of an upright square does: its averages are then exact.
    left -= (left - math.floor(start.real + 1e-6)) % block
    top -= (top - math.floor(start.imag + 1e-6)) % block
    right, bottom = right + (left - right) % block, bottom + (top - bottom) % block
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    part: NDArray[Any] = image[rows, columns].astype(np.float32)
    beyond = (rows.start - top, bottom - rows.stop, columns.start - left, right - columns.stop)
    if any(beyond):
        kind = cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
        part = cv2.copyMakeBorder(part, *beyond, kind, value=(fill or 0.0,) * 4)
    if block > 1:
        size = (part.shape[1] // block, part.shape[0] // block)
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return part, (start - left - 1j * top) / block, block
