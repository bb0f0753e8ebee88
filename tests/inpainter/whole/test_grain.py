import numpy as np

from simpaint.inpainter.whole.grain import grain


def test_a_photo_smaller_than_the_networks_picture_gets_as_much_less() -> None:
    photo = np.random.default_rng(0).normal(0.5, 0.05, (64, 64, 3)).astype(np.float32)
    hole = np.zeros((64, 64), np.bool_)
    hole[20:44, 20:44] = True
    flat = np.full_like(photo, 0.5)
    whole, half = (
        grain(photo, ~hole, flat, hole, scale, np.random.default_rng(1)) for scale in (1.0, 0.5)
    )
    assert whole[hole].std() > 0.02
    np.testing.assert_allclose(half, whole / 2, atol=1e-6)
