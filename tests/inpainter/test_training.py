"""The loop: a killed run ends as an undisturbed one, and what it keeps is the best."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from simpaint.data.masks import MaskConfig
from simpaint.errors import InputError, SimpaintError, WeightsError
from simpaint.inpainter import checkpoint, training
from simpaint.inpainter.dcgan import DCGANTask, GeneratorConfig
from simpaint.inpainter.losses import LossWeights
from simpaint.inpainter.train.batches import (
    Batch,
    Batches,
    FaceBatches,
    InpaintingBatches,
    PhotoSet,
)
from simpaint.inpainter.train.flops import training_flops
from simpaint.inpainter.train.photo_cache import PhotoCache
from simpaint.inpainter.train.recipes import Recipe, Stage
from simpaint.inpainter.train.reporting import Reporter
from simpaint.inpainter.train.tasks import InpaintingTask
from simpaint.inpainter.training import Precision, RunOptions, Task, train, update_average
from simpaint.inpainter.unet import PConvUNet, UNetConfig, build_unet

RECIPE = Recipe(
    stages=(Stage(16, 4, 4), Stage(32, 4, 4)),
    learning_rate=1e-3,
    schedule="cosine",
    warmup=2,
    clip=1.0,
    average=0.9,
    flip=True,
    loss=LossWeights(perceptual=0, style=0),
    check_every=2,
    patience=None,
)
SETTINGS = {"seed": 1, "recipe": {"rate": 0.1, "clip": 1}}
HOLES = [MaskConfig(shape="random-block")]


class KilledError(Exception):
    pass


class Killing:
    """Batches of a run that dies before a step."""

    def __init__(self, batches: Batches, step: int) -> None:
        self.batches, self.step = batches, step

    def batch(self, step: int, rank: int, world: int) -> Batch:
        if step == self.step:
            raise KilledError
        return self.batches.batch(step, rank, world)


def painting(
    cache: PhotoCache, kind: Literal["pconv", "sim"] = "pconv", recipe: Recipe = RECIPE
) -> tuple[InpaintingTask, InpaintingBatches]:
    batches = InpaintingBatches(PhotoSet.alone(cache), HOLES, None, recipe, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_unet(UNetConfig(kind, (4, 6)))
    validation = batches.validation()[:1]
    return InpaintingTask(network, None, recipe.loss, validation), batches


def faces(cache: PhotoCache) -> tuple[Task, FaceBatches]:
    recipe = replace(RECIPE, stages=(Stage(32, 8, 4),))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task = DCGANTask(GeneratorConfig(width=2, size=32))
    return task, FaceBatches(cache, recipe, seed=1)


def run(
    task: Task,
    batches: Batches,
    folder: Path,
    recipe: Recipe = RECIPE,
    *,
    resume: bool = False,
    minutes: float | None = None,
) -> Path:
    run_options = RunOptions(folder, resume=resume, minutes=minutes, workers=0, cpu=True)
    return train(task, batches, recipe, run_options, SETTINGS, checkpoint.save)


def final(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "state-00000008.safetensors")


@pytest.mark.parametrize("make", [painting, faces])
@pytest.mark.parametrize("at", [2, 3, 5, 7])
def test_killed_and_resumed_it_ends_with_the_weights_of_an_undisturbed_run(
    make: Callable[[PhotoCache], tuple[Task, Batches]], at: int, cache: PhotoCache, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    kept = run(*make(cache), whole)
    task, batches = make(cache)
    with pytest.raises(KilledError):
        run(task, Killing(batches, at), broken)
    kept_again = run(*make(cache), broken, resume=True)
    one, other = final(whole), final(broken)
    assert one.keys() == other.keys()
    assert any(".adam." in name for name in one)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    assert kept.read_bytes() == kept_again.read_bytes()


class Scripted(InpaintingTask):
    """Validates to the given numbers, one after another."""

    script: Iterator[float]

    def validate(self, network: nn.Module, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        return {"total": next(self.script)}


def scripted(
    cache: PhotoCache, folder: Path, numbers: list[float], patience: int | None = None
) -> int:
    """Run with scripted validations; the step whose network was kept."""
    plain, batches = painting(cache)
    network = plain.trained["network"]
    assert isinstance(network, PConvUNet)
    task = Scripted(network, None, RECIPE.loss)
    task.script = iter(numbers)
    kept = run(task, batches, folder, replace(RECIPE, patience=patience))
    return int(checkpoint.notes(kept)["steps"])


def test_the_last_three_states_and_the_best_network_are_kept(
    cache: PhotoCache, tmp_path: Path
) -> None:
    assert scripted(cache, tmp_path, [3, 1, 2, 1.5]) == 4
    states = sorted(path.name for path in tmp_path.glob("state-*"))
    assert states == [f"state-0000000{step}.safetensors" for step in (4, 6, 8)]


def test_early_stopping_ends_after_checks_without_a_better_network(
    cache: PhotoCache, tmp_path: Path
) -> None:
    assert scripted(cache, tmp_path, [1, 2, 3], patience=2) == 2
    assert (tmp_path / "state-00000006.safetensors").exists()
    assert not (tmp_path / "state-00000008.safetensors").exists()


def test_training_lowers_the_loss_and_validation_finds_it(
    cache: PhotoCache, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, stages=(Stage(16, 60, 8),), check_every=30, learning_rate=3e-3)
    kinds: tuple[Literal["pconv", "sim"], ...] = ("pconv", "sim")
    for kind in kinds:
        task, batches = painting(cache, kind, recipe)
        before = task.validate(task.trained["network"].eval(), {})
        kept = run(task, batches, tmp_path / kind, recipe)
        after = task.validate(checkpoint.load(kept, nn.Module), {})
        assert before is not None
        assert after is not None
        assert after["total"] < 0.5 * before["total"]


def test_a_run_is_not_overwritten_nor_resumed_with_other_settings(
    cache: PhotoCache, tmp_path: Path
) -> None:
    run(*painting(cache), tmp_path, resume=True)  # begins: there is nothing to resume yet
    with pytest.raises(InputError, match="--resume goes on with it"):
        run(*painting(cache), tmp_path)
    for state in tmp_path.glob("state-*"):  # somebody wants their disk space back
        state.rename(tmp_path / f"kept-{state.name}")
    for resume in (False, True):
        with pytest.raises(InputError, match=r"network\.safetensors: is trained already"):
            run(*painting(cache), tmp_path, resume=resume)
    for state in tmp_path.glob("kept-*"):
        state.rename(tmp_path / state.name.removeprefix("kept-"))
    task, batches = painting(cache)
    options = RunOptions(tmp_path, resume=True, workers=0, cpu=True)
    other = {"seed": 1, "recipe": {"rate": 0.2, "clip": 1}}
    with pytest.raises(InputError, match=r"begun with recipe\.rate = 0\.1, found 0\.2 now"):
        train(task, batches, RECIPE, options, other, checkpoint.save)


def test_a_damaged_state_is_refused(cache: PhotoCache, tmp_path: Path) -> None:
    run(*painting(cache), tmp_path)
    path = tmp_path / "state-00000008.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 16
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        run(*painting(cache), tmp_path, resume=True)


def test_time_that_is_over_leaves_a_state_to_resume(cache: PhotoCache, tmp_path: Path) -> None:
    run(*painting(cache), tmp_path / "late", minutes=0.0)
    assert (tmp_path / "late/state-00000001.safetensors").exists()
    run(*painting(cache), tmp_path / "late", resume=True)
    run(*painting(cache), tmp_path / "whole")
    one, other = final(tmp_path / "late"), final(tmp_path / "whole")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_runs_of_any_precision_follow_each_other(cache: PhotoCache, tmp_path: Path) -> None:
    weights: dict[Precision, bytes] = {}
    precisions: tuple[Precision, ...] = ("float32", "bfloat16", "auto")
    for precision in precisions:
        options = RunOptions(tmp_path / precision, workers=0, precision=precision, cpu=True)
        kept = train(*painting(cache), RECIPE, options, SETTINGS, checkpoint.save)
        weights[precision] = kept.read_bytes()
    assert weights["float32"] == weights["auto"] != weights["bfloat16"]


def test_the_last_network_is_kept_where_nothing_is_validated(
    cache: PhotoCache, tmp_path: Path
) -> None:
    for step in (1, 2, 3):
        task, batches = faces(cache)
        kept = run(task, batches, tmp_path, resume=step > 1, minutes=0.0)
        assert checkpoint.notes(kept)["steps"] == step


def test_a_validation_that_is_no_number_ends_the_run(cache: PhotoCache, tmp_path: Path) -> None:
    with pytest.raises(SimpaintError, match="total is nan at step 2"):
        scripted(cache, tmp_path, [float("nan")], patience=1)


def test_a_batch_that_batch_norm_cannot_take_is_refused_before_the_run(cache: PhotoCache) -> None:
    task, batches = painting(cache, recipe=replace(RECIPE, stages=(Stage(8, 1, 1),)))
    task.trained["network"].eval()  # as weights to begin with are
    photos, holes = batches.batch(0)["photos"], batches.batch(0)["holes"]
    assert training_flops(task, {"photos": photos, "holes": holes}) > 0
    small = {"photos": photos[:, :4, :4], "holes": holes[..., :4, :4]}  # of its two levels
    with pytest.raises(InputError, match="a batch of 1 photo, which shrinks to 1 pixel"):
        training_flops(task, small)


def test_an_infinite_loss_ends_the_run(
    cache: PhotoCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simpaint.inpainter.train.reporting.SCALARS_EVERY", 1)
    task, batches = painting(cache)
    with torch.no_grad():
        next(task.trained["network"].parameters()).fill_(float("nan"))
    with pytest.raises(SimpaintError, match=r"is nan at step 1: begin .* lower learning rate$"):
        run(task, batches, tmp_path)  # nothing was kept, so nothing is said of it
    (tmp_path / "network.safetensors").touch()
    with (
        pytest.raises(SimpaintError, match=r"rate, from .*network\.safetensors, say, where"),
        Reporter(tmp_path, RECIPE, 0, 1, print) as reporter,
    ):
        reporter.tell(1, {"total": torch.tensor(float("nan"))})


def test_a_young_average_forgets_its_beginnings_faster(
    cache: PhotoCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decays: list[float] = []
    monkeypatch.setattr(training, "update_average", lambda *given: decays.append(given[2]))
    task, batches = painting(cache)
    run(task, batches, tmp_path, recipe=replace(RECIPE, average=0.3))
    assert len(decays) == RECIPE.steps
    assert decays == pytest.approx([min(0.3, (1 + n) / (10 + n)) for n in range(RECIPE.steps)])


def test_the_average_is_the_running_mean_of_the_weights() -> None:
    network, average = (nn.BatchNorm2d(2) for _ in range(2))
    nn.init.constant_(network.weight, 3.0)
    network.load_state_dict({**network.state_dict(), "num_batches_tracked": torch.tensor(7)})
    update_average(average, network, 0.75)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.num_batches_tracked == 7
