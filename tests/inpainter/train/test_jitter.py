"""Parts of photos: where they lie, how many there are, and what they look like."""

import numpy as np
import pytest

from simpaint.data.images import square, write_png
from simpaint.data.sources import open_source
from simpaint.inpainter.train.jitter import jittered, random_frame, side_with_room
from simpaint.inpainter.train.photo_cache import PhotoCache, cache_photos

# What is red, green and blue tells where a pixel was: its column, its row, and which photo.
PLACES = np.linspace(0, 250, 50)
RAMPS = [
    np.stack([*np.meshgrid(PLACES, PLACES), np.full((50, 50), 10.0 * i)], axis=-1)
    .round()
    .astype(np.uint8)
    for i in range(20)
]


@pytest.fixture(scope="module")
def ramps(tmp_path_factory: pytest.TempPathFactory) -> PhotoCache:
    """Them as a cache."""
    folder = tmp_path_factory.mktemp("ramps")
    for i, ramp in enumerate(RAMPS):
        write_png(folder / f"{i:02d}.png", ramp)
    source = open_source(folder)
    return cache_photos(source, source.names, folder / "cache", side_with_room(32, 1.0))


def test_parts_lie_inside_the_photo_and_are_turned_either_way() -> None:
    rng = np.random.default_rng(0)
    frames = [random_frame(rng, 200) for _ in range(500)]
    corners = np.array([f.corner + f.side * p for f in frames for p in (0, 1, 1j, 1 + 1j)])
    for part in (corners.real, corners.imag):
        assert part.min() >= -1e-9
        assert part.max() <= 200 + 1e-9
    tilts = np.degrees([np.angle(f.side) for f in frames])
    assert -15 <= tilts.min() < -8
    assert 8 < tilts.max() <= 15
    assert abs(np.mean(tilts)) < 1
    sides = np.array([abs(f.side) for f in frames])
    assert 0.85 * 200 / 1.23 < sides.min() < 150
    assert 190 < sides.max() <= 200


def test_the_share_of_them_is_what_was_asked_for(ramps: PhotoCache) -> None:
    plain = np.stack([square(photo, 32) for photo in RAMPS])
    assert (jittered(ramps, range(20), range(20), 0.0, (1,), 32) == plain).all()
    moved = [
        (jittered(ramps, range(20), range(start, start + 20), 0.25, (1,), 32) != plain)
        for start in range(0, 400, 20)
    ]
    assert 0.18 < np.stack(moved).any(axis=(2, 3, 4)).mean() < 0.32


def test_parts_are_of_their_photo_and_moved_as_one(ramps: PhotoCache) -> None:
    parts = jittered(ramps, range(20), range(20), 1.0, (1,), 32).astype(float)
    for i, part in enumerate(parts):
        x, y, which = np.moveaxis(part, -1, 0)
        assert (which == 10 * i).all()
        # Turned and scaled: a step to the right, and the same step turned by 90 degrees downwards.
        right = np.array([np.diff(x, axis=1).mean(), np.diff(y, axis=1).mean()])
        down = np.array([np.diff(x, axis=0).mean(), np.diff(y, axis=0).mean()])
        np.testing.assert_allclose(down, [-right[1], right[0]], atol=0.1)
        assert 0.65 * 250 / 32 < np.linalg.norm(right) <= 250 / 32 * 1.03


def test_a_part_depends_on_seed_and_position_alone(ramps: PhotoCache) -> None:
    whole = jittered(ramps, range(20), range(20), 1.0, (1, 2), 32)
    assert (jittered(ramps, [7, 8], [7, 8], 1.0, (1, 2), 32) == whole[7:9]).all()
    assert (jittered(ramps, range(20), range(20), 1.0, (1, 3), 32) != whole).any()
