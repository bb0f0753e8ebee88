import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from simpaint.data.images import decode, square
from simpaint.errors import DatabaseError, InputError
from simpaint.index_build.build import BuildConfig, build_index
from simpaint.retrieval import ImageDatabase, Retriever
from simpaint.retrieval.lookup import draw_matches, search_photo

from ..index_build.tiny import TinyDescriptor, draw_faces


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_faces(tmp_path_factory.mktemp("faces") / "photos", 12)


@pytest.fixture(scope="module")
def db(photos: Path) -> ImageDatabase:
    out = photos.parent / "db"
    config = BuildConfig(workers=1, device="cpu")
    build_index(photos, out, config, descriptor=TinyDescriptor())
    return ImageDatabase.open(out)


def picture(path: Path) -> Tensor:
    return torch.from_numpy(decode(path)).permute(2, 0, 1).float() / 255


def test_a_photo_of_the_database_finds_itself(photos: Path, db: ImageDatabase) -> None:
    pictures = torch.stack([picture(photos / "0003.jpg"), picture(photos / "0010.jpg")])
    found = Retriever(db, TinyDescriptor(), k=4, size=20)(pictures)
    assert found.photos.shape == (2, 4, 3, 20, 20)
    assert found.ids[:, 0].tolist() == [3, 10]
    np.testing.assert_allclose(found.scores[:, 0], 1, atol=1e-3)  # float16 on disk
    for row in range(2):
        for place, photo in enumerate(found.ids[row].tolist()):
            pixels = decode(photos / f"{photo:04d}.jpg", side=20)
            wanted = torch.from_numpy(pixels).permute(2, 0, 1) / 255
            torch.testing.assert_close(found.photos[row, place], wanted)


def test_oblong_pictures_are_looked_up_by_their_central_square(
    photos: Path, db: ImageDatabase
) -> None:
    wide = torch.nn.functional.pad(picture(photos / "0007.jpg"), (30, 30))[None]
    found = Retriever(db, TinyDescriptor(), k=1, size=16)(wide)
    assert found.ids.tolist() == [[7]]


def test_exclusions_reach_the_search(photos: Path, db: ImageDatabase) -> None:
    retriever = Retriever(db, TinyDescriptor(), k=3, size=16)
    query = picture(photos / "0003.jpg")[None]
    first = retriever(query)
    assert 3 not in retriever(query, exclude_ids=[[3]]).ids
    np.testing.assert_array_equal(retriever(query, max_score=0.999).ids[:, :2], first.ids[:, 1:])


def test_a_photo_that_is_there_twice_is_taken_once(photos: Path, tmp_path: Path) -> None:
    copies = shutil.copytree(photos, tmp_path / "photos")
    with Image.open(photos / "0003.jpg") as photo:
        photo.resize((52, 52)).save(copies / "again.jpg", quality=70)
    shutil.copy(photos / "0003.jpg", copies / "copy.jpg")
    config = BuildConfig(workers=1, device="cpu")
    build_index(copies, tmp_path / "db", config, descriptor=TinyDescriptor())
    twice = ImageDatabase.open(tmp_path / "db")
    query = picture(photos / "0003.jpg")[None]
    found = [Path(path).name for path in twice.paths(range(14))]
    first = Retriever(twice, TinyDescriptor(), k=1, size=16)(query)
    assert found[int(first.ids)] in {"0003.jpg", "copy.jpg"}
    four = Retriever(twice, TinyDescriptor(), k=4, size=16)(query)
    names = [found[i] for i in four.ids[0].tolist()]
    assert len({"0003.jpg", "again.jpg", "copy.jpg"} & {*names}) == 1
    assert (four.scores.diff() <= 0).all()
    every = Retriever(twice, TinyDescriptor(), k=14, size=16)(query)
    assert sorted(every.ids[0].tolist()) == list(range(14))  # where there is nothing else
    assert (every.scores.diff() <= 0).all()


def test_too_few_photos_are_an_error(photos: Path, db: ImageDatabase) -> None:
    with pytest.raises(DatabaseError, match="expected at least 13 photos, found 12"):
        Retriever(db, TinyDescriptor(), k=13, size=16)
    retriever = Retriever(db, TinyDescriptor(), k=12, size=16)
    with pytest.raises(DatabaseError, match="expected 12 photos for every picture, found 11"):
        retriever(picture(photos / "0003.jpg")[None], exclude_ids=[[3]])


def test_another_descriptor_or_shape_is_refused(photos: Path, db: ImageDatabase) -> None:
    other = TinyDescriptor()
    other.weights_sha256 = "1" * 64
    with pytest.raises(DatabaseError, match="expected the descriptor tiny"):
        Retriever(db, other, k=1, size=16)
    retriever = Retriever(db, TinyDescriptor(), k=1, size=16)
    for shape in ((3, 16, 16), (1, 1, 16, 16)):
        with pytest.raises(InputError, match=r"expected float \(B, 3, H, W\)"):
            retriever(torch.zeros(shape))
    for wrong in (torch.full((1, 3, 16, 16), 255.0), torch.full((1, 3, 16, 16), torch.nan)):
        with pytest.raises(InputError, match=r"numbers in \[0, 1\]"):
            retriever(wrong)


def test_a_lookup_names_scores_ids_and_paths(photos: Path, db: ImageDatabase) -> None:
    matches = search_photo(db, TinyDescriptor(), photos / "0004.jpg", 20)
    assert len(matches) == 12
    assert (matches[0].id, matches[0].path) == (4, str(photos / "0004.jpg"))
    assert [m.score for m in matches] == sorted((m.score for m in matches), reverse=True)
    rest = search_photo(db, TinyDescriptor(), photos / "0004.jpg", 20, max_score=0.99)
    assert rest == matches[1:]


def test_the_grid_shows_the_query_and_every_match(
    photos: Path, db: ImageDatabase, tmp_path: Path
) -> None:
    matches = search_photo(db, TinyDescriptor(), photos / "0004.jpg", 9)
    draw_matches(db, photos / "0004.jpg", matches, tmp_path / "grid.png")
    grid = decode(tmp_path / "grid.png")
    assert grid.shape == (8 + 2 * 212, 8 + 8 * 168, 3)  # two lines of eight
    query = square(decode(photos / "0004.jpg"), 160)
    np.testing.assert_array_equal(grid[8:168, 8:168], query)
    np.testing.assert_array_equal(grid[8:168, 176:336], query)  # it finds itself first
    worst = square(decode(Path(matches[-1].path)), 160)
    np.testing.assert_array_equal(grid[220:380, 176:336], worst)
    labels = grid[168:212].min(axis=(1, 2))
    assert labels.min() < 60  # there is writing under the pictures
