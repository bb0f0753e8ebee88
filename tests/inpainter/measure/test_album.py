"""An album from photos to report, of one face in several lights and its mirror image."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from skimage import data

from simpaint.cli import main
from simpaint.data.images import Pixels, write_png


def lit(photo: Pixels, left: float, right: float) -> Pixels:
    """The photo with light from one side."""
    light = np.linspace(left, right, photo.shape[1])[None, :, None]
    return np.asarray((photo * light).clip(0, 255), np.uint8)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two persons of three photos each."""
    load: Any = data.astronaut  # scikit-image has no types; the photo is in the public domain
    face = np.asarray(load()[:240, 100:340], np.uint8)
    for person, photo in (("ann", face), ("bob", np.ascontiguousarray(face[:, ::-1]))):
        (tmp_path / "album" / person).mkdir(parents=True)
        for number, light in enumerate(((1, 1), (2.5, 0.2), (0.2, 2.5))):
            write_png(tmp_path / "album" / person / f"{number}.png", lit(photo, *light))
    return tmp_path / "album"


def test_an_album_shows_the_persons_other_photos_or_hides_them(album: Path, tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    result = CliRunner().invoke(
        main,
        ["evaluate", "--album", str(album), "--out", str(tmp_path / "out"), "--size", "64",
         "--methods", "nearest", "--coarse", "telea", "--limit", "3", "--sheet", "1"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert {row["method"] for row in rows} == {"nearest", "nearest (album)", "nearest (person)"}
    assert {row["bucket"] for row in rows} == {"strokes (0.2, 0.6]", "eyes", "mouth", "half"}
    names = sorted(p.relative_to(album).as_posix() for p in album.rglob("*.png"))
    for row in rows:
        shown = names[row["neighbors"][0] & 0xFFFF]
        assert shown != row["photo"]
        same = Path(shown).parent == Path(row["photo"]).parent
        assert same or row["method"] != "nearest (person)"
        assert not same or row["method"] != "nearest"
        assert 0 < row["identity_truth"] < 2
        assert 0 < row["identity_others"] < 2
    assert "of the person" in (tmp_path / "out" / "report.md").read_text("utf-8")
