import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch import Tensor

from simpaint.cli import main
from simpaint.data.strokes import StrokeBank, synthetic_bank
from simpaint.errors import InputError, SimpaintError, WeightsError
from simpaint.index_build import crude_fills, simnet_batches, simnet_training
from simpaint.index_build.simnet import SimNet, load_simnet
from simpaint.index_build.simnet_training import SimNetTraining, train_simnet
from simpaint.index_build.tensors import read_tensors, write_tensors

TINY = SimNetTraining(steps=6, batch=16, queue=24, warmup=2, masks=60)


@pytest.fixture(scope="module")
def bank() -> StrokeBank:
    return synthetic_bank()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(40):
        small = rng.integers(0, 256, (5, 5, 3), np.uint8)
        cv2.imwrite(str(path / f"{number}.png"), cv2.resize(small, (80, 80)))
    (path / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return path


def rows(count: int, d: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(count, d, generator=torch.Generator().manual_seed(seed)), dim=1)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 4])
def test_killed_and_resumed_ends_with_the_weights_of_an_undisturbed_run(
    folder: Path, bank: StrokeBank, tmp_path: Path, at: int
) -> None:
    def kill(line: str) -> None:
        if line.startswith(f"step {at}/"):
            raise KilledError

    whole = train_simnet([folder], bank, tmp_path / "whole", TINY, device="cpu", save_every=0)
    with pytest.raises(KilledError):
        train_simnet([folder], bank, tmp_path / "cut", TINY, device="cpu", save_every=0, say=kill)
    cut = train_simnet([folder], bank, tmp_path / "cut", TINY, device="cpu", resume=True)
    expected = read_tensors(whole)[0]
    assert all(torch.equal(tensor, expected[name]) for name, tensor in read_tensors(cut)[0].items())


def test_what_is_trained_loads_as_simnet(folder: Path, bank: StrokeBank, tmp_path: Path) -> None:
    path = train_simnet([folder], bank, tmp_path, replace(TINY, steps=1), device="cpu")
    assert load_simnet(path)(torch.rand(2, 3, 64, 64)).shape == (2, 256)
    assert len(np.load(next(tmp_path.glob("photos-*.npy")))) == 40  # the broken one is left out


def test_a_second_run_in_the_same_folder_is_refused(
    folder: Path, bank: StrokeBank, tmp_path: Path
) -> None:
    train_simnet([folder], bank, tmp_path, TINY, device="cpu")
    with pytest.raises(InputError, match="--resume"):
        train_simnet([folder], bank, tmp_path, TINY, device="cpu")
    with pytest.raises(InputError, match=r'"seed": 0.*"seed": 1'):
        train_simnet([folder], bank, tmp_path, replace(TINY, seed=1), device="cpu", resume=True)


def test_a_damaged_state_is_not_gone_on_with(
    folder: Path, bank: StrokeBank, tmp_path: Path
) -> None:
    train_simnet([folder], bank, tmp_path, TINY, device="cpu")
    state = tmp_path / "state.safetensors"
    tensors, words = read_tensors(state)
    flipped = bytearray(state.read_bytes())
    flipped[-100] ^= 1
    write_tensors(state, {k: v for k, v in tensors.items() if k != "queue.vectors"}, words)
    for content in (state.read_bytes(), flipped):
        state.write_bytes(content)
        with pytest.raises(WeightsError, match=r"state\.safetensors: damaged"):
            train_simnet([folder], bank, tmp_path, TINY, device="cpu", resume=True)


def test_a_photo_that_changed_is_another(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "photos")
    one, before = simnet_batches.cache_photos([tmp_path / "photos"], tmp_path)
    shutil.copyfile(folder / "1.png", tmp_path / "photos" / "0.png")
    other, after = simnet_batches.cache_photos([tmp_path / "photos"], tmp_path)
    assert before != after
    assert (one != other).any((1, 2, 3)).sum() == 1


def test_too_few_photos_are_said(folder: Path, bank: StrokeBank, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 64 photos, found 40"):
        train_simnet([folder], bank, tmp_path, replace(TINY, batch=64), device="cpu")


def test_contrastive_loss_equals_a_slow_loop_without_copies() -> None:
    queries, keys = rows(3, 8, 0), rows(7, 8, 1)
    copies = torch.zeros(3, 7, dtype=torch.bool)
    copies[0, 2] = copies[2, 5] = True
    expected = 0.0
    for i in range(3):
        scores = [float(5 * queries[i] @ keys[j]) for j in range(7) if not copies[i, j]]
        expected -= float(5 * queries[i] @ keys[i]) - float(np.log(np.exp(scores).sum()))
    found = simnet_training.contrastive_loss(queries, keys, copies, 5.0)
    assert float(found) == pytest.approx(expected / 3, rel=1e-5)


@pytest.mark.parametrize(("correlation", "hidden"), [(0.97, True), (0.9, False)])
def test_copies_of_a_photo_are_not_held_against_it(correlation: float, hidden: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    thumbnails = rows(3, 576, 2)
    other = F.normalize(thumbnails[1] - (thumbnails[1] @ thumbnails[0]) * thumbnails[0], dim=0)
    copy = correlation * thumbnails[0] + (1 - correlation**2) ** 0.5 * other
    whole, filled = (torch.rand(1, 3, 64, 64, generator=generator) for _ in range(2))
    batch = simnet_batches.Batch(whole, filled, torch.ones(1, 1, 64, 64), thumbnails[:1])
    pixels = torch.rand(2, 3 * 16 * 16, generator=generator)
    both = simnet_training.Candidates(
        rows(2, 256, 3), pixels, torch.stack([thumbnails[2], copy])
    )  # fmt: skip
    network = SimNet().eval()
    soft = replace(TINY, contrast=1.0)
    with torch.no_grad():
        with_copy, _, candidates = simnet_training.losses(network, batch, both, soft)
        without, _, _ = simnet_training.losses(network, batch, both.newest(1), soft)
    assert torch.equal(candidates.thumbnails[1:], both.thumbnails)
    assert with_copy.isfinite()
    assert (float(with_copy) == pytest.approx(float(without), abs=1e-6)) == hidden


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(
    folder: Path, bank: StrokeBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        simnet_training, "contrastive_loss", lambda queries, *_: queries.sum() * torch.inf
    )
    with pytest.raises(SimpaintError, match=r"contrastive loss is .* at step 6: expected a number"):
        train_simnet([folder], bank, tmp_path, TINY, device="cpu")
    assert not [*tmp_path.glob("*.safetensors")]


def test_ranking_loss_is_zero_only_for_the_order_of_the_distances() -> None:
    queries, keys = rows(4, 8, 0), rows(20, 8, 1)
    distances = -0.5 * queries @ keys.T
    loss = simnet_training.ranking_loss(queries, keys, distances, 0.5, 1.0)
    assert float(loss) == pytest.approx(0, abs=1e-6)
    wrong = simnet_training.ranking_loss(queries, keys, -distances, 0.5, 1.0)
    assert float(wrong) > 0.01


def test_hole_distances_equal_a_slow_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels, candidates = (torch.rand(n, 3 * 16, generator=generator) for n in (2, 5))
    holes = torch.rand(2, 16, generator=generator)
    found = simnet_training.hole_distances(pixels, holes, candidates)
    for i in range(2):
        for j in range(5):
            squares = (pixels[i] - candidates[j]).view(3, 16) ** 2
            mean = np.average(squares.numpy().ravel(), weights=holes[i].repeat(3).numpy())
            assert float(found[i, j]) == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("name", ["telea", "blur", "mean", "noise", "guess"])
def test_fills_keep_what_is_known_and_do_not_look_into_the_hole(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 64, 64), generator=generator) / 255
    masks = torch.zeros(3, 1, 64, 64)
    masks[:, :, 10:40, 20:50] = 1
    seeded = {"noise", "guess"}
    fill = getattr(crude_fills, name)

    def paint(photos: Tensor) -> Tensor:
        extra = [torch.Generator().manual_seed(1)] if name in seeded else []
        painted: Tensor = fill(photos, masks, *extra)
        return painted

    found = paint(images)
    known = masks.expand_as(images) == 0
    assert torch.equal(found[known], images[known])
    assert float((found - images).abs()[~known].mean()) > 0.05
    if name != "guess":  # which is made from the truth, and says so
        torch.testing.assert_close(paint(images * (1 - masks)), found)


def test_blur_of_one_colour_is_that_colour_at_any_size() -> None:
    images = torch.full((1, 3, 50, 50), 0.3)
    masks = torch.zeros(1, 1, 50, 50)
    masks[:, :, 5:45, 5:45] = 1
    torch.testing.assert_close(crude_fills.blur(images, masks), images)


def test_thumbnails_tell_copies() -> None:
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (3, 72, 72, 3), np.uint8)
    brighter = (photos[:1] * 0.8 + 20).astype(np.uint8)
    thumbnails = simnet_batches.thumbnails_of(np.concatenate([photos, brighter]))
    alike = thumbnails @ thumbnails.T
    assert float(alike[0, 3]) > 0.95
    assert float(alike[0, 1]) < 0.5


def test_masks_are_five_sixths_strokes_of_all_ratios(bank: StrokeBank) -> None:
    masks = simnet_batches.draw_masks(bank, 180, 0)
    assert (masks[30:].mean((1, 2)) * 10).astype(int).clip(0, 5).tolist().count(5) == 25
    assert masks[:6, 16:48, 16:48].all()  # the first of the wide ones: the centre


def test_descriptors_of_a_batch_do_not_depend_on_its_other_photos() -> None:
    network = SimNet().eval()
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-5)


def test_the_command_says_in_one_line_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    words = ["train", "simnet", "--photos", str(folder), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "expected at least 128 photos, found 40" in result.stderr.splitlines()[-1]
