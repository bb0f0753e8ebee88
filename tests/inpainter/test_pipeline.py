# ruff: noqa: ANN401 - photos and masks come in any form
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import decode, square, write_mask, write_png
from simpaint.errors import DatabaseError, InputError
from simpaint.index_build import BuildConfig, DescriptorConfig, build_index
from simpaint.inpainter import Inpainter
from simpaint.inpainter.checkpoint import save
from simpaint.inpainter.copy_unet import CopyConfig, CopyUNet
from simpaint.inpainter.painters import LastNetwork, coarse_picture, in_turns
from simpaint.inpainter.whole import work
from simpaint.inpainter.whole.find_faces import default_finder, surest_face
from simpaint.inpainter.whole.frames import Frame, cut, cut_hole
from simpaint.inpainter.whole.places import Place
from simpaint.inpainter.whole.squares import plan
from simpaint.retrieval import ImageDatabase

from .tiny import FACE, Told, painter, tiny_copy, tiny_sim, turned, write_networks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks, and a database of drawn faces."""
    folder = tmp_path_factory.mktemp("inpaint")
    write_networks(folder)
    (folder / "photos").mkdir()
    for seed in range(8):
        write_png(folder / "photos" / f"{seed}.png", drawn_face(np.random.default_rng(seed), 64))
    build_index(folder / "photos", folder / "db", BuildConfig(workers=1, device="cpu"))
    return folder


def load(folder: Path, k: int, **options: Any) -> Inpainter:
    coarse, network = folder / "pconv.safetensors", folder / f"sim-{k}.safetensors"
    return Inpainter.load(coarse=coarse, network=network, size=32, device="cpu", **options)


@pytest.fixture
def photo() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return drawn_face(np.random.default_rng(50), 96)


@pytest.fixture
def mask() -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.zeros((96, 96), np.bool_)
    mask[30:45, 20:75] = True
    mask[80:90, 2:9] = True
    return mask


@pytest.mark.parametrize("frames", [(), (FACE,)])
@pytest.mark.parametrize("network", [tiny_sim, tiny_copy])
def test_what_stands_in_the_hole_is_never_seen(
    photo: Any, mask: Any, frames: tuple[Frame, ...], network: Callable[[], LastNetwork]
) -> None:
    first, second = photo.copy(), photo.copy()
    first[mask], second[mask] = 0, np.random.default_rng(1).integers(0, 256, (mask.sum(), 3))
    finders, results = [], []
    for stored in (first, second):
        paint = painter(network=network)
        paint._finder = Told(*frames)
        finders.append(paint._finder)
        results.append(paint(stored, mask))
    assert results[0].moved.any() == (network is tiny_copy and not frames)
    np.testing.assert_array_equal(results[0].photo, results[1].photo)
    for one, other in zip(finders[0].seen, finders[1].seen, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("network", "ours"), [(tiny_sim, False), (tiny_copy, True)])
def test_what_is_painted_is_known_to_the_squares_that_follow(
    photo: Any, mask: Any, network: Callable[[], LastNetwork], ours: bool
) -> None:
    mask[20] = True  # a scratch
    result, unknown = painter(network=network)(photo, mask), mask.copy()
    squares = plan(mask, [], 32, ours=ours)
    assert len(squares) > 3
    for one, hole in zip(squares, result.holes, strict=True):
        np.testing.assert_array_equal(hole[0].bool(), cut_hole(unknown, one.frame, 32))
        unknown[one.box] &= ~one.own


def test_people_are_not_copied_into_deep_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def copied(*arguments: Any) -> list[Place]:
        seen.append(arguments[4])
        return []

    monkeypatch.setattr(work, "paste_copies", copied)
    photo, hole = np.full((200, 200, 3), 99, np.uint8), np.zeros((200, 200), np.bool_)
    hole[120:180, 120:180] = True
    face = Frame(0.1 + 0.1j, 0.1 + 0j)  # far from the hole
    painter(face, network=tiny_copy)(photo, hole)
    (barred,) = seen
    assert barred[20:90, 15:45].all()  # and what is below the face
    assert not barred[:, 60:].any()


def test_paths_images_and_arrays_give_the_same(photo: Any, mask: Any, tmp_path: Path) -> None:
    write_png(tmp_path / "photo.png", photo)
    write_mask(tmp_path / "mask.png", mask)
    write_mask(tmp_path / "black.png", ~mask)
    paint = painter(FACE)
    array = paint(photo, mask).photo
    image = paint(Image.fromarray(photo), Image.fromarray(mask)).photo
    path = paint(tmp_path / "photo.png", str(tmp_path / "mask.png")).photo
    black = paint(photo, tmp_path / "black.png", black_holes=True).photo
    for other in (image, path, black, paint(photo, mask.astype(np.uint8)).photo):
        np.testing.assert_array_equal(np.asarray(other), array)


def test_a_turned_photo_is_painted_upright(photo: Any, mask: Any, tmp_path: Path) -> None:
    wide, hole = photo[:60], mask[:60]
    upright = painter(FACE)(wide, hole).photo
    Image.fromarray(np.rot90(wide).copy()).save(tmp_path / "photo.png", exif=turned(6))
    write_mask(tmp_path / "mask.png", hole)  # as viewers show the photo
    painted = painter(FACE)(tmp_path / "photo.png", tmp_path / "mask.png").photo
    np.testing.assert_array_equal(np.rot90(np.asarray(painted), -1), upright)


def test_a_batch_is_its_photos_one_by_one(photo: Any, mask: Any) -> None:
    paint = painter(FACE)
    photos = [photo, photo[:50], photo[:, ::-1].copy()]
    masks = [mask, mask[:50], np.zeros_like(mask)]
    for alone, result in zip(map(paint, photos, masks), paint.batch(photos, masks), strict=True):
        difference = np.asarray(alone.photo).astype(int) - np.asarray(result.photo)
        assert np.abs(difference).max() <= 1
        assert alone.frames == result.frames


def test_a_grey_photo_is_painted_grey(photo: Any, mask: Any) -> None:
    grey = np.broadcast_to(photo.mean(-1, keepdims=True).astype(np.uint8), photo.shape).copy()
    result = painter(FACE)(grey, mask)
    for one, tint in ((grey, 2), (photo, 256)):
        painted = np.asarray(painter(FACE)(one, mask).photo)[mask].astype(int)
        assert tint // 4 <= np.ptp(painted, axis=1).max() <= tint
    assert (result.painted.amax(1) - result.painted.amin(1)).max() < 0.01


def test_networks_see_no_grain_and_the_paint_has_it(mask: Any) -> None:
    grain = np.random.default_rng(6).normal(0, 10, (96, 96, 1))
    grainy = np.broadcast_to(np.rint(120 + grain), (96, 96, 3)).astype(np.uint8)
    result = painter()(grainy, mask)
    known = result.holes[:, 0] == 0
    seen = torch.cat([one[:, at].flatten() for one, at in zip(result.painted, known, strict=True)])
    assert seen.std() < 6 / 255  # of 10 / 255
    np.testing.assert_array_equal(np.asarray(result.photo)[~mask], grainy[~mask])
    assert np.asarray(result.photo)[mask].std() > 7


def test_the_tensor_core_fills_the_hole_and_leaves_the_rest() -> None:
    photos, holes = torch.rand(3, 3, 32, 32), torch.zeros(3, 1, 32, 32)
    holes[..., 8:20, 8:20] = 1
    painted = painter().paint(photos, holes)
    known = (1 - holes).bool().expand_as(photos)
    for pictures in (painted.photos, painted.coarse):
        torch.testing.assert_close(pictures[known], photos[known], rtol=0, atol=0)
        assert 0 <= pictures.min() <= pictures.max() <= 1
    raw = tiny_sim()(photos, holes).clamp(0, 1)
    torch.testing.assert_close(painted.photos[~known], raw[~known], atol=1e-5, rtol=0)
    assert painted.neighbors.shape == (3, 0, 3, 32, 32)


def test_a_cpu_takes_a_few_photos_at_a_time_and_loses_none() -> None:
    seen = []

    def brighter(photos: torch.Tensor, neighbors: torch.Tensor) -> torch.Tensor:
        seen.append((len(photos), len(neighbors)))
        return photos + neighbors.sum(1)

    for side, counts in ((128, [4, 1]), (300, [1] * 5), (16, [5])):
        photos, neighbors = torch.rand(5, 3, side, side), torch.rand(5, 2, 3, side, side)
        seen.clear()
        torch.testing.assert_close(
            in_turns(brighter, photos, neighbors), photos + neighbors.sum(1), rtol=0, atol=0
        )
        assert seen == [(n, n) for n in counts]


def test_a_coarse_picture_is_the_mean_of_what_a_photo_and_its_mirror_image_give() -> None:
    across = torch.linspace(-0.5, 1.5, 8).expand(2, 3, 4, 8)  # brighter to the right, and too much

    def lit_from_the_right(photos: Tensor, holes: Tensor) -> Tensor:
        return torch.where(holes.bool(), across, photos)

    photos, holes = torch.rand(2, 3, 4, 8), torch.zeros(2, 1, 4, 8)
    holes[..., 2:7] = 1  # other columns than its mirror image's
    found = coarse_picture(lit_from_the_right, photos, holes)
    right = across.clamp(0, 1)
    wanted = torch.where(holes.bool(), (right + right.flip(-1)) / 2, photos)
    torch.testing.assert_close(found, wanted)
    mirrored = coarse_picture(lit_from_the_right, photos.flip(-1), holes.flip(-1))
    torch.testing.assert_close(mirrored.flip(-1), found)


def test_the_coarse_picture_of_a_mirrored_photo_is_mirrored() -> None:
    photos, holes = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    holes[..., 8:16, 4:20] = 1
    coarse = painter(FACE).paint(photos, holes).coarse
    mirrored = painter(FACE).paint(photos.flip(-1), holes.flip(-1)).coarse
    torch.testing.assert_close(mirrored.flip(-1), coarse)


def test_similar_photos_are_those_that_the_coarse_picture_finds(
    folder: Path,
    photo: Any,
    mask: Any,
) -> None:
    result = load(folder, 3, database=folder / "db")(photo, mask)
    squares = len(result.frames)
    assert result.neighbors.shape == (squares, 3, 3, 32, 32)
    assert (result.scores.diff(dim=1) <= 0).all()
    database = ImageDatabase.open(folder / "db")
    for ids, pictures in zip(result.ids, result.neighbors, strict=True):
        for pixels, shown in zip(database.photos(ids.tolist(), 32), pictures, strict=True):
            np.testing.assert_array_equal(pixels, (shown * 255).byte().permute(1, 2, 0))
    own = drawn_face(np.random.default_rng(3), 64)  # in which no detector finds a face
    mask = np.zeros((64, 64), np.bool_)
    mask[40:44, 30:34] = True
    found = load(folder, 1, database=folder / "db")(own, mask)
    assert found.ids.tolist() == [[3]]


def test_references_take_the_place_of_the_database(
    folder: Path, photo: Any, mask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = [folder / "photos" / f"{i}.png" for i in (6, 2)]
    paint = load(folder, 1, references=chosen)
    finder = default_finder()
    faceless = [str(path) for path in chosen if surest_face(decode(path), finder) is None]
    assert faceless
    assert paint.useless() == faceless
    assert caplog.messages == []
    result = paint(photo, mask)
    assert set(paint.names(result.ids.flatten())) <= set(map(str, chosen))
    own = decode(chosen[int(result.ids[0, 0])])
    frame = surest_face(own, default_finder())
    pixels = square(own, 32) if frame is None else np.rint(cut(own, frame, 32))
    np.testing.assert_array_equal((result.neighbors[0, 0] * 255).byte().permute(1, 2, 0), pixels)
    with pytest.raises(InputError, match="expected at least 3 reference photos, found 2"):
        load(folder, 3, references=chosen)


def test_our_own_network_borrows_from_three_photos_or_as_many_as_there_are(
    folder: Path, tmp_path: Path
) -> None:
    copier, coarse = tmp_path / "copy.safetensors", folder / "pconv.safetensors"
    save(copier, CopyUNet(CopyConfig(widths=(4, 4, 8, 8), blocks=1)), {})
    chosen = [folder / "photos" / f"{i}.png" for i in range(2)]
    (tmp_path / "one").mkdir()
    write_png(tmp_path / "one/0.png", drawn_face(np.random.default_rng(0), 64))
    build_index(tmp_path / "one", tmp_path / "db", BuildConfig(workers=1, device="cpu"))

    def k(**options: Any) -> int:
        return Inpainter.load(coarse=coarse, network=copier, device="cpu", **options).k

    assert k(database=folder / "db") == 3
    assert k(database=tmp_path / "db") == 1
    assert k(references=chosen) == 2
    assert k(database=folder / "db", k=5) == 5
    with pytest.raises(InputError, match="expected at least 3 reference photos, found 2"):
        k(references=chosen, k=3)


@pytest.mark.parametrize("auxiliary", ["random", "noise"])
def test_other_auxiliaries_depend_on_the_seed_alone(
    folder: Path,
    photo: Any,
    mask: Any,
    auxiliary: Any,
) -> None:
    def neighbors(seed: int) -> torch.Tensor:
        database = folder / "db" if auxiliary == "random" else None
        paint = load(folder, 3, database=database, auxiliary=auxiliary, seed=seed)
        result = paint(photo, mask)
        assert result.scores.isnan().all()
        assert len(paint.names(result.ids[0])) == 3
        return result.neighbors

    torch.testing.assert_close(neighbors(0), neighbors(0), rtol=0, atol=0)
    assert not torch.equal(neighbors(0), neighbors(1))


def test_thin_lines_need_no_network(photo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    paint = painter(FACE, network=tiny_copy)
    mask = np.zeros((96, 96), np.bool_)
    mask[:, 40:43] = mask[70, 5:90] = True
    monkeypatch.setattr(Inpainter, "paint", None)
    result = paint(photo, mask)
    painted = np.asarray(result.photo, float)
    np.testing.assert_array_equal(painted[~mask], photo[~mask])
    error = np.abs(painted - photo)[mask].mean()
    assert error < 0.5 * np.abs(np.median(photo, axis=(0, 1)) - photo)[mask].mean()
    assert len(result.frames) == len(result.painted) == 1
    assert not result.moved.any()


def test_an_empty_mask_leaves_the_photo_untouched(photo: Any) -> None:
    result = painter(FACE)(photo, np.zeros((96, 96), np.bool_))
    np.testing.assert_array_equal(result.photo, photo)
    assert (len(result.frames), result.painted.shape) == (0, (0, 3, 32, 32))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((96, 95)), "expected a mask of the photo's 96 x 96 pixels, found 95 x 96"),
        (np.zeros((48, 48)), "expected a mask of the photo's 96 x 96 pixels, found 48 x 48"),
        (np.ones((96, 96)), "the mask covers the whole photo"),
        (np.zeros((96, 96, 3)), r"expected a mask \(H, W\), found float64"),
        (None, "expected a mask as path, PIL image or array, found NoneType"),
    ],
)
def test_masks_that_do_not_fit_are_refused(photo: Any, mask: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        painter()(photo, mask)


@pytest.mark.parametrize(("size", "seed"), [(0, 0), (-32, 0), (32, -1)])
def test_a_size_or_a_seed_out_of_range_is_refused_before_anything_is_read(
    tmp_path: Path, size: int, seed: int
) -> None:
    told = f"expected a positive size and a seed of 0 or more: {size}, {seed}"
    with pytest.raises(InputError, match=told):
        painter(size=size, seed=seed)
    with pytest.raises(InputError, match=told):
        Inpainter.load(tmp_path / "missing", network="missing", size=size, seed=seed)


def test_what_cannot_be_borrowed_from_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="borrowed from: expected a database"):
        load(folder, 1)
    with pytest.raises(DatabaseError, match="missing"):
        load(folder, 1, database=tmp_path / "missing")
    with pytest.raises(InputError, match="--database: expected another --auxiliary than noise"):
        load(folder, 1, database=folder / "db", auxiliary="noise")
    with pytest.raises(InputError, match="auxiliary: expected one of database, random, noise"):
        load(folder, 1, auxiliary="oracle")
    with pytest.raises(InputError, match="a mask for each of 2 photos: 1"):
        load(folder, 0).batch([np.zeros((9, 9))] * 2, [np.zeros((9, 9))])
    load(folder, 0)  # borrows from nothing


def test_a_database_of_another_descriptor_is_refused(folder: Path, tmp_path: Path) -> None:
    build_index(
        folder / "photos",
        tmp_path / "db",
        BuildConfig(DescriptorConfig("simnet", pca=4), workers=1, device="cpu"),
    )
    manifest = tmp_path / "db" / "manifest.json"
    info = ImageDatabase.open(tmp_path / "db").manifest.descriptor.weights_sha256
    manifest.write_text(manifest.read_text().replace(info, "0" * 64))
    with pytest.raises(DatabaseError):
        load(folder, 1, database=tmp_path / "db")


@pytest.mark.parametrize("k", [0, 2])
def test_our_own_network_borrows_from_any_number(folder: Path, tmp_path: Path, k: int) -> None:
    save(tmp_path / "own.safetensors", CopyUNet(CopyConfig(widths=(4, 4, 8, 8), blocks=0)), {})
    inpainter = Inpainter.load(
        folder / "db" if k else None,
        coarse=folder / "pconv.safetensors",
        network=tmp_path / "own.safetensors",
        k=k,
        size=32,
        device="cpu",
    )
    photo = drawn_face(np.random.default_rng(9), 32)
    hole = np.zeros((32, 32), np.bool_)
    hole[10:20, 8:24] = True
    result = inpainter(photo, hole)
    assert result.neighbors.shape[:2] == (len(result.frames), k)
    assert np.array_equal(np.asarray(result.photo)[~hole], photo[~hole])


def test_pictures_of_squares_are_kept_only_if_wanted(photo: Any, mask: Any) -> None:
    paint, told = painter(FACE), list[tuple[int, int]]()
    full = paint(photo, mask, progress=lambda *counts: told.append(counts))
    bare = paint(photo, mask, pictures=False)
    np.testing.assert_array_equal(np.asarray(bare.photo), np.asarray(full.photo))
    count = len(full.frames)
    assert told == [(done, count) for done in range(count + 1)]
    for name in ("holes", "coarse", "painted", "neighbors"):
        before, after = getattr(full, name), getattr(bare, name)
        assert after.shape == (0, *before.shape[1:])
        assert len(before) == count
    assert torch.equal(bare.ids, full.ids)
    assert bare.frames == full.frames
