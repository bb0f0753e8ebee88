"""What no method may be shown: the true photo, under whatever name and of whatever compression."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.tensors import to_images
from simpaint.index_build import BuildConfig, DescriptorConfig, build_index, database_descriptor
from simpaint.inpainter.measure.library import Library
from simpaint.retrieval import ImageDatabase

SIZE = 64


@pytest.mark.parametrize("pca", [None, 8])
def test_a_copy_of_other_bytes_is_known_whether_or_not_a_score_tells_it(
    tmp_path: Path, pca: int | None
) -> None:
    photos = [drawn_face(np.random.default_rng(i), SIZE) for i in range(12)]
    (tmp_path / "photos").mkdir()
    for i, photo in enumerate(photos):
        Image.fromarray(photo).save(tmp_path / "photos" / f"{i:02d}.png")
    copy = Image.fromarray(photos[3]).resize((128, 128))
    copy.save(tmp_path / "photos" / "copy-of-3.jpg", quality=80)
    build = BuildConfig(DescriptorConfig(pca=pca), device="cpu", workers=1)
    build_index(tmp_path / "photos", tmp_path / "db", build)
    database = ImageDatabase.open(tmp_path / "db")
    library = Library(database, database_descriptor(database.folder, database.manifest))
    assert (library.copy_score is None) == (pca is not None)
    truth = to_images(np.stack([photos[3], photos[5]]))
    copies = library.copies(library.describe(truth), truth)
    assert [sorted(one.tolist()) for one in copies] == [[3, 12], [5]]
