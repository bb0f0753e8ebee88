"""Batches: pure functions of seed and step, epochs without repeats, neighbors."""

import pickle
from pathlib import Path

import numpy as np
import torch

from simpaint.data.buckets import bucket_of
from simpaint.data.masks import MaskConfig, MaskGenerator
from simpaint.data.sources import open_source
from simpaint.data.strokes import synthetic_bank
from simpaint.inpainter.train.batches import FaceBatches, InpaintingBatches, PhotoSet, faded
from simpaint.inpainter.train.photo_cache import PhotoCache, cache_photos
from simpaint.inpainter.train.recipes import Recipe, Stage

RECIPE = Recipe(stages=(Stage(16, 5, 8), Stage(32, 4, 6)), flip=True)
MASKS = [MaskConfig(), MaskConfig(shape="left")]


def with_neighbors(cache: PhotoCache) -> PhotoSet:
    rows = np.arange(len(cache))
    neighbors = np.stack([(rows + 1) % len(rows), (rows + 2) % len(rows)], axis=1)
    return PhotoSet(cache, rows, cache, neighbors)


def batches(cache: PhotoCache, recipe: Recipe = RECIPE, seed: int = 3) -> InpaintingBatches:
    return InpaintingBatches(with_neighbors(cache), MASKS, synthetic_bank(), recipe, seed)


def test_a_batch_depends_on_seed_and_step_alone(cache: PhotoCache) -> None:
    one, other = batches(cache), pickle.loads(pickle.dumps(batches(cache)))
    one.batch(0)
    for step in (6, 2):
        for name, value in one.batch(step).items():
            assert torch.equal(value, other.batch(step)[name])
    assert not torch.equal(one.batch(2)["photos"], batches(cache, seed=4).batch(2)["photos"])


def test_two_processes_share_the_batch_of_one(cache: PhotoCache) -> None:
    data = batches(cache)
    whole = data.batch(6)
    parts = [data.batch(6, rank, 2) for rank in range(2)]
    for name, value in whole.items():
        assert torch.equal(value, torch.cat([part[name] for part in parts]))


def test_an_epoch_shows_every_photo_once(cache: PhotoCache) -> None:
    data = batches(cache, Recipe(stages=(Stage(16, 6, 8),)))
    for epoch in (range(3), range(3, 6)):
        seen = {data.batch(step)["photos"][i].numpy().tobytes() for step in epoch for i in range(8)}
        assert len(seen) == len(cache)


def test_shapes_polarity_and_kinds_of_holes(cache: PhotoCache) -> None:
    batch = batches(cache).batch(0)
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        "photos": (8, 16, 16, 3),
        "holes": (8, 1, 16, 16),
        "neighbors": (8, 2, 16, 16, 3),
    }
    assert set(batch["holes"].flatten().tolist()) == {0, 1}
    assert batch["holes"][1::2, :, :, :8].all()  # every other hole is the left half
    generator = MaskGenerator(synthetic_bank(), MaskConfig(size=16))
    for turn, strokes in enumerate(batch["holes"][0::2, 0].numpy()):  # its kind's own numbering
        assert np.array_equal(strokes, generator[turn])


def test_balanced_strokes_reach_all_buckets_beside_other_kinds_and_no_mask_repeats(
    cache: PhotoCache,
) -> None:
    strokes, box = MaskConfig(balanced=True), MaskConfig(shape="random-box")
    recipe = Recipe(stages=(Stage(32, 2, 24),))
    for kinds, there in (([strokes, box], [0]), ([strokes, box, strokes], [0, 2])):
        data = InpaintingBatches(with_neighbors(cache), kinds, synthetic_bank(), recipe, 0)
        drawn = torch.cat([data.batch(step)["holes"] for step in range(2)]).numpy()
        rows = [row for row in range(len(drawn)) if row % len(kinds) in there]
        buckets = bucket_of(drawn[rows].mean((1, 2, 3)))
        counts = np.bincount(buckets, minlength=6)
        assert counts.max() - counts.min() <= 1
        assert len({drawn[row].tobytes() for row in rows}) == len(rows)


def test_neighbors_are_the_photos_own_and_mirrored_with_it(cache: PhotoCache) -> None:
    batch = batches(cache).batch(5)
    whole = cache.photos(range(len(cache)))
    mirrors = set()
    for photo, neighbors in zip(batch["photos"].numpy(), batch["neighbors"].numpy(), strict=True):
        [mirror] = [m for m in (1, -1) if (whole[:, :, ::m] == photo).all((1, 2, 3)).any()]
        row = int((whole[:, :, ::mirror] == photo).all((1, 2, 3)).argmax())
        for k in (1, 2):
            assert np.array_equal(neighbors[k - 1], whole[(row + k) % len(whole)][:, ::mirror])
        mirrors.add(mirror)
    assert mirrors == {1, -1}


def test_validation_is_every_photo_once_with_the_same_holes(cache: PhotoCache) -> None:
    first, second = (batches(cache).validation(batch=10) for _ in range(2))
    assert [len(batch["photos"]) for batch in first] == [10, 10, 4]
    photos = torch.cat([batch["photos"] for batch in first]).numpy()
    assert np.array_equal(photos, cache.photos(range(len(cache))))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one["holes"], other["holes"])


def test_where_neighbors_are_to_be_found_batches_say_for_what_and_how_many(
    cache: PhotoCache,
) -> None:
    finding = InpaintingBatches(PhotoSet.alone(cache), MASKS, synthetic_bank(), RECIPE, 3, find=2)
    several = [finding.batch(step) for step in range(9)]
    assert {int(batch["wanted"][0]) for batch in several} == {0, 1, 2}
    for batch in several[5:]:
        whole = cache.photos(batch["rows"].numpy())
        for photo, found in zip(batch["photos"].numpy(), whole, strict=True):
            assert (photo == found).all() or (photo == found[:, ::-1]).all()
    assert all((batch["wanted"] == 2).all() for batch in finding.validation())


def test_photos_that_are_not_on_the_shelf_say_so(
    cache: PhotoCache, photos: Path, tmp_path: Path
) -> None:
    source = open_source(photos)
    other = cache_photos(source, source.names[:3], tmp_path, 32)
    beside = InpaintingBatches(PhotoSet.alone(other, cache), MASKS, synthetic_bank(), RECIPE, 3, 1)
    assert (beside.validation()[0]["rows"] == -1).all()


def test_a_share_of_the_photos_is_black_and_white_or_brown(cache: PhotoCache) -> None:
    photos = torch.from_numpy(cache.photos(np.arange(400) % len(cache), 8))
    old = faded(photos, range(400), 0.25, seed=1)
    same = (old == photos).flatten(1).all(1)
    assert 0.65 < same.float().mean() < 0.85
    red, green, blue = old[~same].float().unbind(-1)
    assert (red >= green).all()
    assert (green >= blue).all()
    gray = (red == blue).flatten(1).all(1).float().mean()
    assert 0.3 < gray < 0.7
    assert torch.equal(faded(photos[7:8], [7], 0.25, seed=1), old[7:8])


def test_photos_are_jittered_and_neither_their_neighbors_nor_validation(cache: PhotoCache) -> None:
    plain, moving = (
        batches(cache, Recipe(stages=(Stage(16, 9, 8),), jitter=share)) for share in (0, 1)
    )
    for step in range(3):
        one, other = plain.batch(step), moving.batch(step)
        assert not (one["photos"] == other["photos"]).flatten(1).all(1).any()
        assert torch.equal(one["neighbors"], other["neighbors"])
        assert torch.equal(one["holes"], other["holes"])
    for here, there in zip(plain.validation(), moving.validation(), strict=True):
        assert torch.equal(here["photos"], there["photos"])


def test_latents_are_uniform_and_depend_on_the_step(cache: PhotoCache) -> None:
    data = FaceBatches(cache, Recipe(stages=(Stage(32, 10, 24),)), seed=0)
    latents = torch.cat([data.batch(step)["latents"] for step in range(10)])
    assert latents.shape == (240, 100)
    assert len({tuple(row) for row in latents.tolist()}) == 240
    assert latents.abs().max() <= 1
    assert abs(latents.mean()) < 0.02
    assert abs(latents.var() - 1 / 3) < 0.01
    assert torch.equal(data.batch(4)["latents"], latents[96:120])
