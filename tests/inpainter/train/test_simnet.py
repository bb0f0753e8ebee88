import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch import Tensor

from simpaint.cli import main
from simpaint.data.strokes import StrokeBank, synthetic_bank
from simpaint.errors import InputError, SimpaintError
from simpaint.index_build.simnet import SimNet, load_simnet
from simpaint.index_build.tensors import read_tensors
from simpaint.inpainter import checkpoint
from simpaint.inpainter.train import simnet
from simpaint.inpainter.train.batches import Batch
from simpaint.inpainter.train.photo_cache import PhotoCache
from simpaint.inpainter.train.recipes import RECIPES, Recipe, Stage
from simpaint.inpainter.train.runs import train_simnet
from simpaint.inpainter.train.simnet import Candidates, Queue, SimNetConfig
from simpaint.inpainter.train.simnet_batches import SimNetBatches, draw_masks, thumbnails_of
from simpaint.inpainter.training import RunOptions

CONFIG = SimNetConfig(queue=24, masks=60)
RECIPE = replace(RECIPES["simnet"], stages=(Stage(64, 6, 16),), warmup=1, check_every=2)


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


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@dataclass(frozen=True)
class Run:
    photos: list[Path]
    bank: StrokeBank
    caches: Path
    config: SimNetConfig = CONFIG
    recipe: Recipe = RECIPE
    seed: int = 0
    workers: int = 0
    minutes: float | None = None
    resume: bool = False

    def train(self, out: Path, say: Callable[[str], None] = print) -> Path:
        options = RunOptions(out, self.resume, self.workers, minutes=self.minutes, cpu=True)
        return train_simnet(
            self.photos, self.bank, self.config, self.recipe, options, self.caches, say,
            seed=self.seed,
        )  # fmt: skip

    def batches(self, recipe: Recipe, seed: int, times: int = 1) -> SimNetBatches:
        cache = PhotoCache(next(self.caches.glob(f"{self.photos[0].stem}-72-exact-*")))
        return SimNetBatches([cache] * times, self.bank, self.config.masks, recipe, seed)


@pytest.fixture
def run(folder: Path, bank: StrokeBank, caches: Path) -> Run:
    return Run([folder], bank, caches)


def rows(count: int, d: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(count, d, generator=torch.Generator().manual_seed(seed)), dim=1)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 3, 5])
def test_killed_and_resumed_ends_with_the_weights_of_an_undisturbed_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    whole = run.train(tmp_path / "whole")
    batch = SimNetBatches.batch

    def kill(batches: SimNetBatches, step: int, rank: int, world: int) -> Batch:
        if step == at:
            raise KilledError
        return batch(batches, step, rank, world)

    monkeypatch.setattr(SimNetBatches, "batch", kill)
    with pytest.raises(KilledError):
        run.train(tmp_path / "cut")
    monkeypatch.undo()
    replace(run, resume=True).train(tmp_path / "cut")
    state = "state-00000006.safetensors"
    expected, cut = (read_tensors(tmp_path / name / state)[0] for name in ("whole", "cut"))
    assert int(expected["queue.count"]) == 24
    assert all(torch.equal(tensor, expected[name]) for name, tensor in cut.items())
    assert whole.read_bytes() == (tmp_path / "cut" / whole.name).read_bytes()


def test_the_weights_are_those_of_a_loop_written_out(run: Run, tmp_path: Path) -> None:
    """As shipped ones were made: AdamW, a warm cosine, an average, bfloat16 on a CPU too."""
    found, _ = read_tensors(replace(run, workers=1).train(tmp_path / "run"))
    batches = run.batches(RECIPE, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SimNet().to(memory_format=torch.channels_last)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    adam = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    queue = Candidates(torch.zeros(0, 256), torch.zeros(0, 768), torch.zeros(0, 576))

    def describe(photos: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            described: Tensor = network(photos)
        return described.float()

    for step in range(6):
        adam.param_groups[0]["lr"] = (
            1e-3 * min(1, (step + 1) / 2) * 0.5 * (1 + math.cos(math.pi * step / 6))
        )
        contrastive, ranking, now = simnet.losses(describe, batches.batch(step), queue, CONFIG)
        adam.zero_grad()
        (contrastive + ranking).backward()  # type: ignore[no-untyped-call]
        adam.step()
        queue = Candidates(*(tensor[:24].detach() for tensor in now))
        decay = min(0.99, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            average[name].lerp_(value, 1 - decay)
    for name, value in average.items():
        assert torch.equal(found[name], value.half()), name


def test_what_is_trained_loads_as_simnet_and_says_how_it_was_made(run: Run, tmp_path: Path) -> None:
    said: list[str] = []
    path = replace(run, minutes=0).train(tmp_path, said.append)
    assert load_simnet(path)(torch.rand(2, 3, 64, 64)).shape == (2, 256)
    assert {tensor.dtype for tensor in read_tensors(path)[0].values()} == {torch.float16}
    assert isinstance(checkpoint.load(path, SimNet), SimNet)
    notes = checkpoint.notes(path)
    assert (notes["steps"], notes["number of photos"], notes["config"]["queue"]) == (1, 40, 24)
    assert said[0].startswith("1 of 41 photos cannot be used and are left out; the first is broken")


def test_a_run_goes_on_with_the_same_recipe_photos_and_strokes_only(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "photos")
    (tmp_path / "photos" / "1.png").rename(tmp_path / "photos" / "other.png")
    out = tmp_path / "run"
    replace(run, minutes=0).train(out)
    with pytest.raises(InputError, match="holds a run already; --resume goes on with it"):
        replace(run, caches=tmp_path / "unread").train(out)
    assert not (tmp_path / "unread").exists()  # told before photos are decoded
    others: dict[str, dict[str, Any]] = {
        r"seed = 0, found 1": {"seed": 1},
        r"config\.queue = 24, found 25": {"config": replace(CONFIG, queue=25)},
        r"recipe\.weight_decay = 0\.05, found 0": {"recipe": replace(RECIPE, weight_decay=0)},
        r"photos = \w+, found \w+": {"photos": [tmp_path / "photos"]},
        r"number of photos = 40, found 80": {"photos": [folder, folder]},
        r"strokes = \w+, found \w+": {"bank": synthetic_bank(1, 2, 10)},
    }
    for difference, other in others.items():
        with pytest.raises(InputError, match=f"begun with {difference} now"):
            replace(run, resume=True, **other).train(out)


def test_too_few_photos_and_other_sizes_are_said(run: Run, tmp_path: Path) -> None:
    for stage, expected in (
        (Stage(64, 1, 64), "at least 64 photos, found 40"),
        (Stage(32, 1, 8), "of 64 pixels"),
    ):
        with pytest.raises(InputError, match=expected):
            replace(run, recipe=replace(RECIPE, stages=(stage,))).train(tmp_path)


def test_batches_are_functions_of_seed_and_step(run: Run, tmp_path: Path) -> None:
    replace(run, minutes=0).train(tmp_path)
    batches = run.batches(Recipe(stages=(Stage(64, 2, 40),)), 1, times=2)
    assert len(batches) == 80
    first, same, next_one = batches.batch(0), batches.batch(0, 1, 2), batches.batch(1)
    for name, tensor in first.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, same[name])
        assert not torch.equal(tensor, next_one[name])
    known = (first["holes"] == 0).expand_as(first["photos"])
    assert torch.equal(first["filled"][known], first["photos"][known])
    assert not torch.equal(first["filled"], first["photos"])


def test_the_queue_holds_the_newest() -> None:
    queue = Queue(5)
    assert [len(tensor) for tensor in queue.candidates()] == [0, 0, 0]
    some = Candidates(rows(4, 256, 0).requires_grad_(), torch.rand(4, 768), rows(4, 576, 1))
    for times, count in ((1, 4), (2, 5)):
        queue.hold(Candidates(*(tensor.repeat(times, 1) for tensor in some)))
        assert [len(tensor) for tensor in queue.candidates()] == [count] * 3
    assert torch.equal(queue.candidates().pixels[[0, 4]], some.pixels[[0, 0]])
    assert not queue.candidates().vectors.requires_grad


def test_contrastive_loss_equals_a_slow_loop_without_copies() -> None:
    queries, keys = rows(3, 8, 0), rows(7, 8, 1)
    copies = torch.zeros(3, 7, dtype=torch.bool)
    copies[0, 2] = copies[2, 5] = True
    expected = 0.0
    for i in range(3):
        scores = [float(5 * queries[i] @ keys[j]) for j in range(7) if not copies[i, j]]
        expected -= float(5 * queries[i] @ keys[i]) - float(np.log(np.exp(scores).sum()))
    found = simnet.contrastive_loss(queries, keys, copies, 5.0)
    assert float(found) == pytest.approx(expected / 3, rel=1e-5)


@pytest.mark.parametrize(("correlation", "hidden"), [(0.97, True), (0.9, False)])
def test_copies_of_a_photo_are_not_held_against_it(correlation: float, hidden: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    thumbnails = rows(3, 576, 2)
    other = F.normalize(thumbnails[1] - (thumbnails[1] @ thumbnails[0]) * thumbnails[0], dim=0)
    copy = correlation * thumbnails[0] + (1 - correlation**2) ** 0.5 * other
    whole, filled = (torch.rand(1, 3, 64, 64, generator=generator) for _ in range(2))
    batch = {
        "photos": whole,
        "filled": filled,
        "holes": torch.ones(1, 1, 64, 64),
        "thumbnails": thumbnails[:1],
    }
    pixels = torch.rand(2, 3 * 16 * 16, generator=generator)
    both = Candidates(rows(2, 256, 3), pixels, torch.stack([thumbnails[2], copy]))
    first = Candidates(*(tensor[:1] for tensor in both))
    network = SimNet().eval()
    soft = replace(CONFIG, contrast=1.0)
    with torch.no_grad():
        with_copy, _, candidates = simnet.losses(network, batch, both, soft)
        without, _, _ = simnet.losses(network, batch, first, soft)
    assert torch.equal(candidates.thumbnails[1:], both.thumbnails)
    assert with_copy.isfinite()
    assert (float(with_copy) == pytest.approx(float(without), abs=1e-6)) == hidden


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simnet, "contrastive_loss", lambda queries, *_: queries.sum() * torch.inf)
    with pytest.raises(SimpaintError, match=r"contrastive is \S+ at step 2: begin again"):
        run.train(tmp_path)
    assert not [*tmp_path.glob("*.safetensors")]


def test_ranking_loss_is_zero_only_for_the_order_of_the_distances() -> None:
    queries, keys = rows(4, 8, 0), rows(20, 8, 1)
    distances = -0.5 * queries @ keys.T
    loss = simnet.ranking_loss(queries, keys, distances, 0.5, 1.0)
    assert float(loss) == pytest.approx(0, abs=1e-6)
    wrong = simnet.ranking_loss(queries, keys, -distances, 0.5, 1.0)
    assert float(wrong) > 0.01


def test_hole_distances_equal_a_slow_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels, candidates = (torch.rand(n, 3 * 16, generator=generator) for n in (2, 5))
    holes = torch.rand(2, 16, generator=generator)
    found = simnet.hole_distances(pixels, holes, candidates)
    for i in range(2):
        for j in range(5):
            squares = (pixels[i] - candidates[j]).view(3, 16) ** 2
            mean = np.average(squares.numpy().ravel(), weights=holes[i].repeat(3).numpy())
            assert float(found[i, j]) == pytest.approx(mean, rel=1e-4)


def test_thumbnails_tell_copies() -> None:
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (3, 72, 72, 3), np.uint8)
    brighter = (photos[:1] * 0.8 + 20).astype(np.uint8)
    thumbnails = thumbnails_of(np.concatenate([photos, brighter]))
    alike = thumbnails @ thumbnails.T
    assert float(alike[0, 3]) > 0.95
    assert float(alike[0, 1]) < 0.5


def test_masks_are_five_sixths_strokes_of_all_ratios(bank: StrokeBank) -> None:
    masks = draw_masks(bank, 180, 0)
    assert (masks[30:].mean((1, 2)) * 10).astype(int).clip(0, 5).tolist().count(5) == 25
    assert masks[:6, 16:48, 16:48].all()  # the first of the wide ones: the centre


def test_the_command_trains_on_several_folders_and_resumes(
    folder: Path, caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simnet, "SimNetConfig", lambda: CONFIG)
    words = ["train", "simnet", "--photos", folder, "--photos", folder, "--out", tmp_path / "run"]
    words += ["--stage", "64:2:50", "--cpu", "--workers", 0, "--cache", caches]
    for more in (["--minutes", 0], ["--resume"]):
        result = CliRunner().invoke(main, [str(word) for word in [*words, *more]])
        assert result.exit_code == 0, result.output
        assert result.output.endswith(f"The network is {tmp_path}/run/network.safetensors.\n")
    assert checkpoint.notes(tmp_path / "run/network.safetensors")["steps"] == 2


def test_the_command_says_in_one_line_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    words = ["train", "simnet", "--photos", str(folder), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "expected at least 128 photos, found 40" in result.stderr.splitlines()[-1]
