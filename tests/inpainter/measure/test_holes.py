import json
from pathlib import Path

import numpy as np
import pytest

from simpaint.data.buckets import bucket_name, bucket_of, hole_ratio
from simpaint.data.images import write_mask
from simpaint.data.mask_files import write_masks
from simpaint.data.mask_sources import GeneratedMasks
from simpaint.data.masks import MaskConfig, MaskGenerator
from simpaint.data.strokes import StrokeBank, synthetic_bank
from simpaint.errors import InputError
from simpaint.inpainter.measure.cases import Cases
from simpaint.inpainter.measure.holes import SHAPES, FolderHoles, ShapeHoles, StrokeHoles
from simpaint.inpainter.train.photo_cache import PhotoCache


@pytest.fixture(scope="module")
def bank() -> StrokeBank:
    return synthetic_bank()


@pytest.mark.parametrize("first", [0, 2])
def test_stroke_holes_are_as_many_in_every_bucket_and_of_test_categories(
    bank: StrokeBank, first: int
) -> None:
    holes = StrokeHoles(bank, 48, 0, 12, first)
    drawn = np.stack([holes.draw(i, 0) for i in range(12)])
    names = [bucket_name(int(b)) for b in bucket_of(hole_ratio(drawn))]
    assert names == list(holes.groups)
    assert len(set(names)) == 6 - first
    generator = MaskGenerator(bank, MaskConfig(size=48, balanced=True), "test")
    assert (drawn[0] == generator[first]).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_wide_shape_makes_a_hole_that_is_not_everything(shape: str) -> None:
    holes = ShapeHoles(shape, 32, 0, 2)
    for i in range(2):
        assert 0.02 < hole_ratio(holes.draw(i, 0)) < 0.6
    assert holes.groups == [shape] * 2


def test_halves_are_left_and_right_in_turn() -> None:
    holes = ShapeHoles("half", 32, 0, 2)
    assert holes.draw(0, 0)[:, :16].all()
    assert holes.draw(1, 0)[:, 16:].all()


@pytest.mark.parametrize("black_holes", [False, True])
def test_of_a_data_set_the_test_masks_are_taken_whatever_its_colours(
    bank: StrokeBank, tmp_path: Path, black_holes: bool
) -> None:
    source = GeneratedMasks(bank, MaskConfig(size=32), train=2, test=0, per_bucket=1)
    write_masks(source, tmp_path, black_holes=black_holes)
    holes = FolderHoles(tmp_path, 32, 6, 0, black=False)
    assert sorted(holes.groups) == sorted(bucket_name(b) for b in range(6))
    generator = MaskGenerator(bank, MaskConfig(size=32, balanced=True), "test")
    drawn = [holes.draw(i, 0) for i in range(6)]
    assert all(any((a == generator[i]).all() for i in range(6)) for a in drawn)


def test_a_data_set_that_lost_its_settings_is_refused(bank: StrokeBank, tmp_path: Path) -> None:
    write_masks(GeneratedMasks(bank, MaskConfig(size=32), train=0, test=2), tmp_path)
    (tmp_path / "settings.json").write_text("{}")
    for found in ("found none that say whether holes are black", "found none that can be read"):
        with pytest.raises(InputError, match=rf"settings\.json: expected .*{found}"):
            FolderHoles(tmp_path, 32, 1, 0, black=False)
        (tmp_path / "settings.json").unlink(missing_ok=True)


def test_masks_of_any_folder_are_resized_and_reused(tmp_path: Path) -> None:
    mask = np.zeros((8, 8), bool)
    mask[:2] = True
    write_mask(tmp_path / "a.png", mask)
    holes = FolderHoles(tmp_path, 32, 3, 0, black=False)
    assert [int(holes.draw(i, 0).sum()) for i in range(3)] == [8 * 32] * 3
    assert int(FolderHoles(tmp_path, 32, 1, 0, black=True).draw(0, 0).sum()) == 24 * 32


def test_all_masks_of_a_folder_are_used_and_buckets_come_in_turn(tmp_path: Path) -> None:
    for number, rows in enumerate([1, 1, 1, 2, 2, 3, 7]):  # of 8: the last is outside the buckets
        write_mask(tmp_path / f"{number}.png", np.arange(64).reshape(8, 8) < 8 * rows)
    named = {rows: bucket_name(bucket) for rows, bucket in ((1, 1), (2, 2), (3, 3), (7, -1))}
    expected = [named[rows] for rows in (1, 2, 3, 7, 1, 2, 1)]
    for least in (1, 7):
        holes = FolderHoles(tmp_path, 8, least, 3, black=False)
        assert holes.groups == expected
        drawn = [named[int(holes.draw(i, 0).sum() // 8)] for i in range(7)]
        assert drawn == expected
    assert FolderHoles(tmp_path, 8, 9, 3, black=False).groups == expected + expected[:2]
    fewer = FolderHoles(tmp_path, 8, 99, 3, black=False, per_bucket=1)
    assert sorted(fewer.groups) == sorted(set(expected))


def test_of_few_photos_each_meets_several_masks(cache: PhotoCache, tmp_path: Path) -> None:
    for number in range(2 * len(cache.usable)):
        write_mask(tmp_path / f"{number}.png", np.arange(64).reshape(8, 8) < 8 * (number % 4 + 1))
    cases = Cases(cache, [FolderHoles(tmp_path, 32, len(cache.usable), 0, black=False)], 0)
    assert len(cases) == 2 * len(cache.usable)
    assert (np.unique(cases.photo, return_counts=True)[1] == 2).all()


def test_folders_without_usable_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found nothing"):
        FolderHoles(tmp_path / "no", 32, 1, 0, black=False)
    with pytest.raises(InputError, match="found none"):
        FolderHoles(tmp_path, 32, 1, 0, black=False)
    write_mask(tmp_path / "a.png", np.zeros((8, 8), bool))
    with pytest.raises(InputError, match="with a hole"):
        FolderHoles(tmp_path, 32, 1, 0, black=False)
    (tmp_path / "settings.json").write_text(json.dumps({"unfinished": True}))
    with pytest.raises(InputError, match="finished"):
        FolderHoles(tmp_path, 32, 1, 0, black=False)


def test_every_photo_is_met_once_before_any_is_met_twice(cache: PhotoCache) -> None:
    sets = [ShapeHoles("left", 32, 0, 30), ShapeHoles("eyes", 32, 0, 24)]
    cases = Cases(cache, sets, 0)
    assert len(cases) == 54
    assert set(cases.photo[:24]) == set(cases.photo[30:]) == set(cache.usable)
    assert not (cases.photo[:24] == cases.photo[30:]).all()
    assert (Cases(cache, sets, 0).photo == cases.photo).all()
    assert not (Cases(cache, sets, 1).photo == cases.photo).all()


def test_a_block_is_the_same_whatever_its_limits(bank: StrokeBank, cache: PhotoCache) -> None:
    cases = Cases(cache, [StrokeHoles(bank, 32, 0, 24), ShapeHoles("left", 32, 0, 4)], 0)
    whole, part = cases.block(0, 28), cases.block(20, 26)
    assert (whole.holes[20:26] == part.holes).all()
    assert (whole.truth[20:26] == part.truth).all()
    for name, values in part.columns.items():
        assert list(values) == list(whole.columns[name][20:26])
    assert list(part.columns["bucket"][-2:]) == ["left", "left"]


def test_of_jittered_photos_a_part_is_painted(cache: PhotoCache) -> None:
    holes = [ShapeHoles("left", 20, 0, 24)]
    plain, moved = (Cases(cache, holes, 0, size=20, jitter=share).block(0, 24) for share in (0, 1))
    assert plain.truth.shape == moved.truth.shape == (24, 20, 20, 3)
    assert (plain.truth == cache.photos(plain.photos, 20)).all()
    assert (plain.truth != moved.truth).any(axis=(1, 2, 3)).all()
    part = Cases(cache, holes, 0, size=20, jitter=1).block(7, 9)
    assert (part.truth == moved.truth[7:9]).all()
