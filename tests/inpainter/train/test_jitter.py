"""Parts of photos: where they lie, how many there are, and what they look like."""

import numpy as np
import torch

from simpaint.data.images import square
from simpaint.inpainter.train.jitter import jittered, random_frame

# What is red, green and blue tells where a pixel was: its column, its row, and which photo.
PLACES = np.linspace(0, 250, 50)
RAMPS = torch.from_numpy(
    np.stack(
        [
            np.stack([*np.meshgrid(PLACES, PLACES), np.full((50, 50), 10.0 * i)], axis=-1)
            for i in range(20)
        ]
    )
    .round()
    .astype(np.uint8)
)


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


def test_the_share_of_them_is_what_was_asked_for() -> None:
    plain = torch.from_numpy(np.stack([square(photo, 32) for photo in RAMPS.numpy()]))
    none = jittered(RAMPS, range(20), 0.0, (1,), 32)
    assert torch.equal(none, plain)
    moved = [
        (jittered(RAMPS, range(start, start + 20), 0.25, (1,), 32) != plain).flatten(1).any(1)
        for start in range(0, 400, 20)
    ]
    assert 0.18 < torch.cat(moved).float().mean() < 0.32


def test_parts_are_of_their_photo_and_moved_as_one() -> None:
    parts = jittered(RAMPS, range(20), 1.0, (1,), 32).double()
    for i, part in enumerate(parts):
        x, y, which = part.unbind(-1)
        assert (which == 10 * i).all()
        # Turned and scaled: a step to the right, and the same step turned by 90 degrees downwards.
        right = torch.stack([x[:, 1:] - x[:, :-1], y[:, 1:] - y[:, :-1]]).mean((1, 2))
        down = torch.stack([x[1:] - x[:-1], y[1:] - y[:-1]]).mean((1, 2))
        torch.testing.assert_close(down, torch.stack([-right[1], right[0]]), atol=0.1, rtol=0)
        assert 0.65 * 250 / 32 < right.norm() <= 250 / 32 * 1.03


def test_a_part_depends_on_seed_and_position_alone() -> None:
    whole = jittered(RAMPS, range(20), 1.0, (1, 2), 32)
    assert torch.equal(jittered(RAMPS[7:9], [7, 8], 1.0, (1, 2), 32), whole[7:9])
    assert not torch.equal(jittered(RAMPS, range(20), 1.0, (1, 3), 32), whole)
