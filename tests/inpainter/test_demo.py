from pathlib import Path

import numpy as np
import pytest

from simpaint.data.images import write_png
from simpaint.errors import InputError
from simpaint.index_build.publish import silently
from simpaint.inpainter.demo import write_demo


def test_photos_too_small_to_paint_are_told_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(6):
        write_png(tmp_path / "photos" / f"{i}.png", np.zeros((7, 20, 3), np.uint8))
    with pytest.raises(InputError, match=r"0\.png: expected a photo of 8 pixels .* found 20 x 7"):
        write_demo(tmp_path / "out", tmp_path / "photos", silently)
    assert not (tmp_path / "out" / "database").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "out" / "database" / "manifest.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("a database of one's own")
    with pytest.raises(InputError, match="found database of something else"):
        write_demo(tmp_path / "out", None, silently)
    assert mine.read_text() == "a database of one's own"
