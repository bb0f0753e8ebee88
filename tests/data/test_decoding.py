import hashlib
import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simpaint.data.decoding import Usable, decode_ahead
from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import decode, square
from simpaint.data.sources import open_source
from simpaint.errors import SimpaintError


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(23):
        Image.fromarray(drawn_face(rng, 40 + i)).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "07.png").write_bytes(b"text")
    return tmp_path


def all_squares(folder: Path, workers: int, processes: bool) -> NDArray[np.uint8]:
    source = open_source(folder)
    batches = [source.names[i : i + 4] for i in range(0, 23, 4)]
    decoded = decode_ahead(
        source, iter(batches), 32, batch_size=4, workers=workers, processes=processes
    )
    squares = []
    for expected, batch in zip(batches, decoded, strict=True):
        assert batch.names == expected
        squares.append(batch.squares.copy())
    return np.concatenate(squares)


@pytest.mark.parametrize(("workers", "processes"), [(1, False), (4, False), (2, True)])
def test_photos_come_in_order_however_they_are_decoded(
    faces: Path, workers: int, processes: bool
) -> None:
    found = all_squares(faces, workers, processes)
    for i, pixels in enumerate(found):
        expected = np.zeros((32, 32, 3)) if i == 7 else square(decode(faces / f"{i:02d}.png"), 32)
        np.testing.assert_array_equal(pixels, expected)


def test_outcomes_tell_a_photo_from_a_reason(faces: Path) -> None:
    source = open_source(faces)
    names = ["06.png", "07.png", "gone.png", "\udcff.png"]
    (batch,) = decode_ahead(source, [names], 32, batch_size=4, workers=1)
    content = (faces / "06.png").read_bytes()
    assert batch.outcomes[0] == Usable(hashlib.sha256(content).hexdigest(), 46, 46)
    text, gone, letters = map(str, batch.outcomes[1:])
    assert text.startswith("expected a JPEG")
    assert gone == "cannot be read: No such file or directory"
    assert "UTF-8" in letters


def test_whoever_stops_early_leaves_no_worker(faces: Path) -> None:
    decoded = decode_ahead(
        open_source(faces), (["01.png"] for _ in range(10**6)), 32, batch_size=1, workers=2
    )
    next(decoded)
    decoded.close()
    with pytest.raises(StopIteration):
        next(decoded)


def test_a_process_that_dies_while_the_caller_works_is_one_error(faces: Path) -> None:
    decoded = decode_ahead(
        open_source(faces), (["01.png"] for _ in range(10**6)), 32, batch_size=1, workers=1,
        processes=True,
    )  # fmt: skip
    next(decoded)
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    time.sleep(0.2)  # until the pool has noticed, too
    with pytest.raises(SimpaintError, match="a decoding process died"):
        list(decoded)
