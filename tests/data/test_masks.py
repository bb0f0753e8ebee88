"""Algorithm 1 against slow implementations written from the paper."""

import hashlib
import itertools
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simpaint.data import categories
from simpaint.data.buckets import BUCKET_EDGES, bucket_of, hole_ratio
from simpaint.data.hole_shapes import random_blocks, random_box
from simpaint.data.masks import FIXED_BOXES, MaskConfig, MaskGenerator, split_categories
from simpaint.data.recipes import Recipe
from simpaint.data.strokes import SCHEMA, StrokeBank, metadata, synthetic_bank
from simpaint.errors import InputError


@pytest.fixture(scope="module")
def bank() -> StrokeBank:
    return synthetic_bank()


def recipes(generator: MaskGenerator, count: int) -> list[Recipe]:
    out = np.empty((generator.config.size,) * 2, np.uint8)
    return [generator.draw(index, out) for index in range(count)]


def distance_to_strokes(recipe: Recipe, size: int) -> NDArray[np.float64]:
    """How far each pixel is inside (negative) or outside the strokes, in pixels of the result.

    The slow way: every pixel of the result is taken back through crop and upscaling to the
    256-canvas, where its distance to every segment of every stroke is measured.
    """
    centres = (np.arange(size) + 0.5) / size * 256  # crop to 256 and any size
    canvas = (centres - 128) / recipe.scale + 128 - 0.5  # undo the upscaling about the centre
    x, y = np.meshgrid(canvas, canvas)
    outside = np.full((size, size), np.inf)
    strokes = np.split(recipe.points.astype(float), np.cumsum(recipe.lengths)[:-1])
    for p, width in zip(strokes, recipe.widths, strict=True):
        for (ax, ay), (bx, by) in zip(p, np.concatenate([p[1:], p[-1:]]), strict=True):
            length2 = (bx - ax) ** 2 + (by - ay) ** 2
            along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / max(length2, 1e-9)
            along = np.clip(along, 0, 1)
            distance = np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay))
            outside = np.minimum(outside, distance - width / 2)
    return np.asarray(outside * recipe.scale * size / 256)


@pytest.mark.parametrize("size", [256, 64, 515])
def test_drawing_is_drawing_upscaling_cropping_and_binarising(bank: StrokeBank, size: int) -> None:
    generator = MaskGenerator(bank, MaskConfig(size=size))
    mask = np.empty((size, size), np.uint8)
    drawn = exact = 0
    for index in range(12):
        outside = distance_to_strokes(generator.draw(index, mask), size)
        wrong = (mask == 1) != (outside <= 0)
        # Widths come in steps of 2 px, so an edge is at most 1 px off, and a rounding.
        assert np.abs(outside[wrong]).max(initial=0) < 1.6
        drawn, exact = drawn + mask.sum(), exact + (outside <= 0).sum()
    assert drawn / exact == pytest.approx(1, abs=0.03)


def test_a_stroke_of_one_point_is_a_dot() -> None:
    mask = np.zeros((256, 256), np.uint8)
    dot = np.array([[100, 50]], np.uint8)
    Recipe(points=dot, lengths=(1,), widths=(9.0,), scale=1.0).draw(mask)
    assert mask[50, 100] == 1
    assert mask.sum() == pytest.approx(np.pi * 4.5**2, rel=0.25)


def test_number_of_strokes_is_a_rounded_normal_redrawn_under_one(bank: StrokeBank) -> None:
    numbers = [len(r.lengths) for r in recipes(MaskGenerator(bank), 4000)]
    rng = np.random.default_rng(1)
    expected = np.rint(rng.normal(4, 2, 200_000))
    expected = expected[expected >= 1]
    share = np.bincount(numbers, minlength=14)[:14] / len(numbers)
    exact = np.bincount(expected.astype(int), minlength=14)[:14] / len(expected)
    assert min(numbers) == 1
    assert np.abs(share - exact).max() < 0.03  # 4 standard errors of the likeliest number


@pytest.mark.parametrize(("low", "high"), [(5.0, 15.0), (20.0, 21.0)])
def test_widths_and_scales_are_uniform(bank: StrokeBank, low: float, high: float) -> None:
    config = MaskConfig(width_min=low, width_max=high)
    drawn = recipes(MaskGenerator(bank, config), 2000)
    widths = np.sort(list(itertools.chain(*(r.widths for r in drawn))))
    scales = np.sort([r.scale for r in drawn])
    for values, (a, b) in ((widths, (low, high)), (scales, (1.0, 1.5))):
        ideal = a + (b - a) * (np.arange(len(values)) + 0.5) / len(values)
        # Kolmogorov-Smirnov: 1.95 / sqrt(n) is passed by chance once in a thousand times.
        assert np.abs(values - ideal).max() / (b - a) < 1.95 / len(values) ** 0.5


def test_every_stroke_of_the_splits_categories_is_equally_likely(bank: StrokeBank) -> None:
    generator = MaskGenerator(bank, split="test")
    ids = np.array(list(itertools.chain(*(r.stroke_ids for r in recipes(generator, 3000)))))
    ranges = bank.row_ranges(generator.categories)
    rows = np.concatenate([np.arange(a, b) for a, b in ranges])
    assert set(ids) <= set(rows.tolist())
    position = np.searchsorted(rows, np.sort(ids)) / len(rows)
    ideal = (np.arange(len(ids)) + 0.5) / len(ids)
    assert np.abs(position - ideal).max() < 1.95 / len(ids) ** 0.5


def test_centred_drawings_lie_in_the_middle_of_their_box(bank: StrokeBank) -> None:
    for recipe in recipes(MaskGenerator(bank), 50):
        strokes = np.split(recipe.points, np.cumsum(recipe.lengths)[:-1])
        for row, points in zip(recipe.stroke_ids, strokes, strict=True):
            moved = points.astype(int) - bank.stroke(row)
            assert (moved == (255 - bank.box(row).astype(int)) // 2).all()


def test_strokes_of_one_drawing_follow_one_another(bank: StrokeBank) -> None:
    generator = MaskGenerator(bank, MaskConfig(strokes_per_drawing=3, strokes_std=0))
    for recipe in recipes(generator, 50):
        drawings = [bank.drawing_id(row) for row in recipe.stroke_ids]
        assert 4 <= len(recipe.stroke_ids) <= 12
        for (row, drawing), (after, same) in itertools.pairwise(
            zip(recipe.stroke_ids, drawings, strict=True)
        ):
            assert drawing != same or after == row + 1 or drawings.count(drawing) > 3


def test_a_mask_is_a_function_of_seed_split_and_index_alone(bank: StrokeBank) -> None:
    first, again = MaskGenerator(bank), MaskGenerator(bank)
    batch = np.empty((5, 256, 256), np.uint8)
    again.fill(37, batch)
    for offset in (4, 0, 3):
        assert (first[37 + offset] == batch[offset]).all()
    assert (first[0] != MaskGenerator(bank, split="test")[0]).any()
    assert (first[0] != MaskGenerator(bank, MaskConfig(seed=1))[0]).any()


def test_a_mask_without_a_hole_is_redrawn(bank: StrokeBank) -> None:
    # At scale 16 only the central 16 px of the canvas are left, and most strokes miss it.
    generator = MaskGenerator(bank, MaskConfig(scale_min=16, scale_max=16))
    assert all(generator[index].any() for index in range(100))


@given(st.lists(st.text(), unique=True), st.floats(0.01, 0.99))
def test_splits_share_no_category_and_lose_none(names: list[str], share: float) -> None:
    splits = split_categories(names, share)
    assert sorted(splits["train"] + splits["test"]) == sorted(names)
    assert not set(splits["train"]) & set(splits["test"])
    for name in names:  # whatever else there is
        assert split_categories([name], share) == {s: (name,) * (name in splits[s]) for s in splits}


def test_categories_keep_the_side_that_the_shipped_networks_were_trained_with() -> None:
    known = {"train": categories._TRAIN, "test": categories._TEST}
    assert len(known["train"] | known["test"]) == 300 + 20
    splits = split_categories([*known["train"], *known["test"]])
    assert {s: frozenset(names) for s, names in splits.items()} == known
    listed = "\n".join(splits["test"]).encode()  # changed by nobody without a reason
    assert hashlib.sha256(listed).hexdigest()[:16] == "be84358e87a94d97"
    assert len(split_categories([f"name {i}" for i in range(1000)])["test"]) == 233


def test_a_larger_share_takes_more_and_keeps_what_a_smaller_one_took() -> None:
    names = [*categories._TRAIN, *categories._TEST]
    tests = [set(split_categories(names, share)["test"]) for share in (0.1, 0.2, 0.5)]
    assert tests[0] < tests[1] < tests[2]
    assert 0.4 < len(tests[2]) / len(names) < 0.6


def test_test_masks_of_any_seed_and_bank_never_have_strokes_to_train_with() -> None:
    banks = [synthetic_bank(categories=count, drawings_per_category=2) for count in (7, 20)]
    generators = [
        MaskGenerator(bank, MaskConfig(seed=seed), split)
        for bank in banks for seed in range(3) for split in ("train", "test")
    ]  # fmt: skip
    used: dict[str, set[str]] = {"train": set(), "test": set()}
    for generator in generators:
        used[generator.split] |= {*generator.categories}
    assert not used["train"] & used["test"]


def test_a_bank_without_a_category_of_the_split_is_refused_in_one_line() -> None:
    bank = synthetic_bank(categories=1, drawings_per_category=2)
    MaskGenerator(bank)
    with pytest.raises(InputError, match=r"that is for test masks, found only .*synthetic-00"):
        MaskGenerator(bank, split="test")


def test_balanced_masks_fall_into_their_buckets(bank: StrokeBank) -> None:
    generator = MaskGenerator(bank, MaskConfig(size=128, balanced=True))
    masks = np.stack([generator[index] for index in range(60)])
    assert (bucket_of(hole_ratio(masks)) == np.arange(60) % 6).all()


def test_buckets_are_closed_above_as_in_the_paper() -> None:
    assert bucket_of([0.0, 0.009, 0.01, 0.1, 0.1001, 0.2, 0.6, 0.6001, 1.0]).tolist() == [
        *[-1, -1, 0, 0, 1, 1, 5, -1, -1]
    ]
    for bucket, (low, high) in enumerate(itertools.pairwise(BUCKET_EDGES)):
        assert bucket_of((low + high) / 2) == bucket


@pytest.mark.parametrize("size", [64, 200])
@pytest.mark.parametrize("shape", ["center", "random-block", "random-region"])
def test_other_shapes_cover_a_quarter(shape: str, size: int) -> None:
    generator = MaskGenerator(None, MaskConfig(shape=shape, size=size))  # type: ignore[arg-type]
    for index in range(10):
        assert hole_ratio(generator[index]) == pytest.approx(0.25, abs=0.01)


def test_halves_and_centre_are_where_their_names_say() -> None:
    left = MaskGenerator(None, MaskConfig(shape="left", size=8))[0]
    right = MaskGenerator(None, MaskConfig(shape="right", size=8))[0]
    centre = MaskGenerator(None, MaskConfig(shape="center", size=8))[0]
    assert left[:, :4].all()
    assert (left + right == 1).all()
    assert centre[2:6, 2:6].all()
    assert centre.sum() == 16


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_random_blocks_stay_inside_and_overlap_counts_once(seed: int) -> None:
    covered = np.zeros((256, 256), bool)
    for left, top, right, bottom in random_blocks(np.random.default_rng(seed)):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        covered[round(top * 256) : round(bottom * 256), round(left * 256) : round(right * 256)] = 1
    assert 0.25 <= covered.mean() < 0.25 + 0.3 / 256 + 1e-6


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_a_random_box_stays_inside_and_is_no_sliver(seed: int) -> None:
    left, top, right, bottom = random_box([(0.0, 0.4, 0.12, 0.6)], np.random.default_rng(seed))
    assert left >= 0
    assert right <= 0.12 + 0.15
    assert top >= 0.4 - 0.15
    assert bottom <= 0.6 + 0.15
    assert min(right - left, bottom - top) >= 0.1


def test_random_boxes_are_all_five_moved_both_ways() -> None:
    generator = MaskGenerator(None, MaskConfig(shape="random-box", size=100))
    boxes = np.array([cv2.boundingRect(generator[i]) for i in range(200)])
    assert all(generator[i][y : y + h, x : x + w].all() for i, (x, y, w, h) in enumerate(boxes))
    assert len(np.unique(boxes, axis=0)) > 190
    centers = boxes[:, :2] + boxes[:, 2:] / 2
    for name, (left, top, right, bottom) in FIXED_BOXES.items():
        middle = np.array([left + right, top + bottom]) * 50
        near = np.abs(centers - middle).max(axis=1) < 15
        sizes = boxes[near][:, 2:] - np.array([right - left, bottom - top]) * 100
        assert near.sum() > 10, name
        assert sizes.min() < -5, name
        assert sizes.max() > 5, name


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 4},
        {"seed": -1},
        {"shape": "circle"},
        {"strokes_mean": 0},
        {"width_min": 20},
        {"scale_min": 0.5},
        {"strokes_per_drawing": 0},
        {"test_share": 1.0},
        {"balanced": True, "shape": "left"},
    ],
)
def test_an_impossible_configuration_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        MaskConfig(**wrong)  # type: ignore[arg-type]


def test_masks_that_cannot_be_had_end_with_an_error() -> None:
    dots = [
        pa.record_batch(
            [
                pa.array([[[0, 0]]], SCHEMA.field("points").type),
                pa.array([key], pa.uint64()),
                pa.array([0], pa.uint16()),
                pa.DictionaryArray.from_arrays(pa.array([key], pa.int16()), pa.array(["a", "b"])),
                pa.array([[0, 0]], SCHEMA.field("box").type),
            ],
            schema=SCHEMA.with_metadata(metadata(synthetic=True, source="dots in the corner")),
        )
        for key in (0, 1)
    ]
    config = MaskConfig(size=16, scale_min=16, scale_max=16, placement="corner")
    with pytest.raises(InputError, match="no mask as asked for"):
        MaskGenerator(StrokeBank.from_table(pa.Table.from_batches(dots)), config)[0]


def test_another_split_and_numbers_below_0_are_refused(bank: StrokeBank) -> None:
    split: Any = "validation"
    with pytest.raises(InputError, match="split: expected one of train, test"):
        MaskGenerator(bank, MaskConfig(), split)
    with pytest.raises(IndexError, match="from 0, not -1"):
        MaskGenerator(bank)[-1]
