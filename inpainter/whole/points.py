"""Points by which a photo is known again in another, and the planes that they lie in."""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...data.images import Pixels
from .frames import Floats, reduced
from .views import Holes

Points = NDArray[np.float32]
Plane = NDArray[np.float64]
"""A homography (3, 3) from another photo's points to this one's."""

_SIDE: Final = 640  # pixels of the longer side at which points are looked for
_POINTS: Final = 4000
_DISTINCT: Final = 0.8  # of the distance to the second nearest (Lowe 2004, section 7.1)
_OFF: Final = 2.0  # pixels of that size: so far is a point off its plane at most
_FEWEST: Final = 12  # fewer tell no plane
_TRIES: Final = 5000


class Seen(NamedTuple):
    """The points of a photo: x and y of each (n, 2), and what they look like (n, 128)."""

    places: Points
    looks: Floats


def same_points(photo: Seen, other: Seen) -> tuple[Points, Points]:
    """Where points that look the same are in two photos (n, 2)."""
    none = np.empty((0, 2), np.float32)
    if min(len(photo.looks), len(other.looks)) < 2:
        return none, none
    matcher = cv2.BFMatcher()
    pairs = [
        (nearest.queryIdx, nearest.trainIdx)
        for nearest, next_one in matcher.knnMatch(photo.looks, other.looks, k=2)
        if nearest.distance < _DISTINCT * next_one.distance
    ]
    if not pairs:
        return none, none
    first, second = np.array(pairs).T
    return photo.places[first], other.places[second]


def points_of(photo: Pixels, hole: Holes) -> Seen:
    """The points of a photo (H, W, 3) by which it is known again, but those in its hole (H, W)."""
    small, holes, scale = reduced(photo, hole, _SIDE / max(hole.shape))
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    known = (~holes).view(np.uint8) * np.uint8(255)
    places, looks = cv2.SIFT.create(_POINTS).detectAndCompute(grey, known)
    if looks is None:
        return Seen(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
    looks = np.sqrt(looks / np.maximum(looks.sum(1, keepdims=True), 1e-6))
    found = (np.array([point.pt for point in places], np.float32) + 0.5) / scale - 0.5
    return Seen(found.astype(np.float32), looks.astype(np.float32))


def unit_of(shape: tuple[int, ...]) -> float:
    """Pixels of a photo (H, W) in one of those in which its points are found."""
    return max(1.0, max(shape) / _SIDE)


def plane_of(here: Points, there: Points, unit: float) -> tuple[Plane, Holes]:
    """The homography of most points (Barath et al. 2019, MAGSAC), and which these are.

    Args:
        here: (n, 2), x and y in a photo;
        there: (n, 2), and in another.
        unit: see `unit_of`.

    Returns:
        the homography, and (n,) bool: none where it is not found.
    """
    nothing = np.eye(3), np.zeros(len(here), np.bool_)
    if len(here) < _FEWEST:
        return nothing
    plane, agreed = cv2.findHomography(
        there, here, cv2.USAC_MAGSAC, _OFF * unit, maxIters=_TRIES, confidence=0.999
    )
    if plane is None:
        return nothing
    return np.asarray(plane, np.float64), agreed.ravel() > 0
