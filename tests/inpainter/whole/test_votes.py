import numpy as np

from simpaint.inpainter.whole.views import Laid
from simpaint.inpainter.whole.votes import outvoted

BOX = slice(4, 12), slice(3, 17)
SHAPE = (16, 20)


def plain(grey: float, number: int, shown: bool = True) -> Laid:
    photo = np.full((*SHAPE, 3), grey, np.float32)
    return Laid(photo, np.full(SHAPE, not shown), number)


def test_most_photos_win_however_many_planes_one_has() -> None:
    laid = [plain(0.2, 0), plain(0.2, 0), plain(0.2, 0), plain(0.8, 1), plain(0.8, 2)]
    against, doubt = outvoted(laid, BOX)
    assert against.shape == (8, 14, 5)
    np.testing.assert_allclose(against[..., 3:], 0)
    np.testing.assert_allclose(against[..., :3], 0.05)
    np.testing.assert_allclose(doubt, 0.5)  # one of two others is against them


def test_one_of_the_planes_in_which_another_photo_lies_is_enough() -> None:
    against, doubt = outvoted([plain(0.8, 0), plain(0.2, 1), plain(0.8, 1)], BOX)
    np.testing.assert_allclose(against, np.broadcast_to([0, 0.1, 0], (8, 14, 3)))
    assert not doubt.any()


def test_two_photos_that_differ_are_doubtful_and_one_alone_is_not() -> None:
    against, doubt = outvoted([plain(0.2, 0), plain(0.8, 1)], BOX)
    assert not against.any()
    np.testing.assert_allclose(doubt, 1)
    for alone in ([], [plain(0.2, 0)], [plain(0.2, 0), plain(0.8, 1, shown=False)]):
        against, doubt = outvoted(alone, BOX)
        assert not against[..., :1].any()
        assert not doubt.any()
