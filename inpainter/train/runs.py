"""Training runs put together: `simpaint train pconv`, `sim`, `copy` and so on."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from torch import nn

from ...data.files import sha256
from ...data.masks import MaskConfig, Shape
from ...data.strokes import StrokeBank
from ...errors import InputError, expect_beside, expect_one_of
from ...index_build.simnet import INPUT_SIZE
from ...index_build.tensors import tensors_sha256
from .. import checkpoint
from ..copy_unet import CopyConfig, CopyUNet
from ..dcgan import DCGANTask, GeneratorConfig
from ..features import FeatureName, load_features
from ..painters import CoarseNetwork, load_coarse
from ..training import RunOptions, Task, expect_startable, train
from ..unet import VARIANTS, PConvUNet, SimUNet, UNetConfig, build_unet, more_neighbors
from ..whole.framing import FramingConfig, FramingNet
from .batches import Batches, FaceBatches, InpaintingBatches, PhotoSet
from .finder import Finder
from .flops import describe_cost
from .framing import SIDE, FramingBatches, FramingTask, told_frames
from .photo_cache import PhotoCache
from .photo_sets import Caches, Shelf, photo_set
from .recipes import Recipe
from .reporting import in_lines, tell_unusable
from .simnet import SimNetConfig, SimNetTask
from .simnet_batches import SIDE as SIMNET_SIDE
from .simnet_batches import SimNetBatches
from .tasks import InpaintingTask


@dataclass(frozen=True)
class PaintingRun:
    """Which network is trained to paint, and on what.

    Attributes:
        kind: "pconv", "sim" or "copy", our own network, which is trained on 0 to k neighbors.
        k: similar photos in the network's input.
        variant: widths by name.
        photos: what is painted: photos, or for k > 0 an image database.
        neighbors: for "sim" and k > 0, the database's leave-one-out table; "copy" finds its
            neighbors while it is trained.
        same_folder: for "copy", photos of the same folder come first.
        max_score: for "copy", the score above which photos are copies and are not found; measured
            for some descriptors.
        moved: for k > 0, where the database's photos are now, if they were moved.
        validation: photos that decide which network is the best.
        shapes: kinds of holes, taken in turn.
        balanced: aim strokes at all hole ratios alike; QD-IMD's own holes are seldom large.
        features: the feature network of perceptual and style loss.
        feature_weights: a file of its weights in place of the shipped or downloaded ones.
        initial: weights to begin with in place of random ones, a shipped name or a file; those of
            a Sim-K with a smaller K begin as a network that does not look at the neighbors it has
            not seen yet.
        coarse: for "copy", the networks that paint the coarse picture: shipped names or paths,
            joined by "+".
        crispness: for "copy", how much detail of similar photos is added; see `CopyConfig`.
        sharpness: weight of `losses.sharpness_loss`.
        adversarial: weight of a judge's verdict in the loss; 0 trains without one.
        matching: with a judge, weight of what he sees being the truth's.
        bn_frozen: keep the encoder's batch norms as they are, to fine-tune "pconv".
        seed: of weights, order and mirroring; masks have the published seed, 0.
    """

    kind: Literal["pconv", "sim", "copy"]
    photos: Path
    k: int = 0
    variant: str = "small"
    neighbors: Path | None = None
    same_folder: bool = False
    max_score: float | None = None
    moved: Path | None = None
    validation: Path | None = None
    shapes: tuple[Shape, ...] = ("strokes",)
    balanced: bool = False
    features: FeatureName = "simnet"
    feature_weights: Path | None = None
    initial: str | Path | None = None
    coarse: str | None = None
    crispness: float = 0.0
    sharpness: float = 0.0
    adversarial: float = 0.0
    matching: float = 0.0
    bn_frozen: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        expect_one_of("kind", self.kind, ("pconv", "sim", "copy"))
        expect_one_of("--features", self.features, get_args(FeatureName))
        own = self.kind == "copy"
        expect_beside("--crispness", self.crispness, own, "our own network")
        expect_beside("--same-folder", self.same_folder, own, "our own network")
        expect_beside("--max-score", self.max_score is not None, own, "our own network")
        expect_beside("--neighbors", self.neighbors, not own, "a Sim-K")
        if self.kind != "copy" and (self.k > 0) != (self.neighbors is not None):
            raise InputError(f"-k {self.k}: --neighbors are needed for K > 0, and for no other")
        if (self.kind == "copy") != (self.coarse is not None):
            raise InputError("a coarse network is needed by our own network, and by no other")
        if self.bn_frozen and self.kind != "pconv":
            raise InputError("only pconv has batch norms to freeze")
        expect_beside("--matching", self.matching, self.adversarial, "--adversarial")
        expect_beside("--balanced", self.balanced, "strokes" in self.shapes, "--shape strokes")
        network = self.features != "none"
        expect_beside("--feature-weights", self.feature_weights, network, "a network of --features")
        expect_beside("--moved", self.moved, self.k, "similar photos, -k,")


def train_painting(
    run: PaintingRun,
    bank: StrokeBank | None,
    recipe: Recipe,
    options: RunOptions,
    caches: Path,
    say: Callable[[str], None],
) -> Path:
    """Train PConv, Sim-K or our own network; see `training.train` for what is raised.

    Args:
        run: which and on what.
        bank: strokes for holes that are strokes.
        recipe: how.
        options: where.
        caches: the folder for decoded photos.
        say: told what is going on.

    Returns:
        the path of the network that was kept.

    Raises:
        InputError: too, what is written would lie among the photos.
    """
    expect_startable(options)
    for source in (run.photos, run.validation):
        _expect_outside(source, options.folder, caches)
    needed = recipe.loss.need_features
    named = run.features not in ("none", PaintingRun.features) or run.feature_weights
    weighs = "a recipe that weighs perceptual or style terms"
    expect_beside("--features", named, needed, weighs)
    network = _network(run)
    begun = _sha256(network) if run.initial is not None else "None"  # before it is trained
    coarse = None if run.coarse is None else _coarse(run.coarse)
    photos, validation, finder = _photo_sets(
        run, Caches(caches, recipe.cached, progress=in_lines(say, "photos decoded"))
    )
    tell_unusable(say, photos.photos, *([validation.photos] if validation else []))
    masks = [
        MaskConfig(shape=shape, balanced=run.balanced and shape == "strokes")
        for shape in run.shapes
    ]
    against_blur = {name: getattr(run, name) for name in ("sharpness", "adversarial", "matching")}
    recipe = replace(recipe, loss=replace(recipe.loss, **against_blur))
    drawing = (masks, bank, recipe, run.seed, run.k if finder else None)
    batches = InpaintingBatches(photos, *drawing)
    features = load_features(run.features, run.feature_weights) if needed else None
    if needed and features is None:
        raise InputError("--features none: the recipe weighs perceptual and style terms; zero them")
    checks = InpaintingBatches(validation, *drawing) if validation else None
    task = _seeded(
        run.seed,
        lambda: InpaintingTask(
            network, features, recipe.loss, checks.validation() if checks else (), coarse, finder
        ),
    )
    settings = {
        **_settings(network.config, recipe, run.seed, len(photos), photos.photos),
        "k": run.k,
        "same folder": run.same_folder,
        "max score": run.max_score,
        "shapes": run.shapes,
        "balanced": run.balanced,
        "strokes": bank.fingerprint if bank else None,
        "features": run.features if needed else "none",
        "features' weights": _sha256(features),
        "judge's features' weights": _sha256(task.fixed.get("sight")),
        "initial": begun,
        "coarse network's weights": _sha256(coarse),
        "bn_frozen": run.bn_frozen,
    }
    if validation is not None:
        settings["validation photos"] = validation.photos.fingerprint
    if run.neighbors is not None:
        settings["neighbors"] = sha256(run.neighbors)
    return _train(task, batches, recipe, options, settings, say)


def _expect_size(recipe: Recipe, size: int) -> None:
    """Refuse stages of another size than the network's only one."""
    for stage in recipe.stages:
        if stage.size != size:
            raise InputError(f"--stage: expected photos of {size} pixels, found {stage}")


def _expect_outside(photos: Path | None, *folders: Path) -> None:
    """Refuse to write where photos are looked for: the next time it would be among them."""
    for folder in folders:
        if photos is not None and folder.resolve().is_relative_to(photos.resolve()):
            raise InputError(f"{folder}: expected a folder that is not inside {photos}")


def _sha256(network: nn.Module | None) -> str | None:
    return None if network is None else tensors_sha256(network.state_dict())


def _photo_sets(
    run: PaintingRun, caches: Caches
) -> tuple[PhotoSet, PhotoSet | None, Finder | None]:
    """The photos to train on and to validate with, with their neighbors or what finds them."""
    validation = photo_set(run.validation, caches) if run.validation else None
    if not run.k:
        return photo_set(run.photos, caches), validation, None
    shelf = Shelf(run.photos, caches, run.moved)
    if run.kind == "copy":
        if validation is not None:
            validation = PhotoSet.alone(validation.photos, shelf.cache)
        finder = shelf.finder(run.max_score, same_folder=run.same_folder)
        return PhotoSet.alone(shelf.cache), validation, finder
    if validation is not None:
        validation = shelf.similar_to(validation.photos, run.k)
    table = cast("Path", run.neighbors)  # checked by `PaintingRun`
    return shelf.training_set(table, run.k), validation, None


def _network(run: PaintingRun) -> PConvUNet | SimUNet | CopyUNet:
    """The network to begin with."""
    network: PConvUNet | SimUNet | CopyUNet = _seeded(run.seed, lambda: _new_network(run))
    if run.initial is not None:
        network = _begin(network, run.initial)
    if run.bn_frozen and isinstance(network, PConvUNet):
        network.freeze_encoder_norm()
    return network


def _new_network(run: PaintingRun) -> PConvUNet | SimUNet | CopyUNet:
    if run.kind == "copy":
        return CopyUNet(CopyConfig(coarse=cast("str", run.coarse), crispness=run.crispness))
    expect_one_of("--variant", run.variant, tuple(VARIANTS))
    return build_unet(UNetConfig(run.kind, VARIANTS[run.variant], run.k))


def _coarse(source: str) -> CoarseNetwork:
    """What paints the coarse picture; it is not trained."""
    return load_coarse(source).requires_grad_(requires_grad=False)


def _begin(new: PConvUNet | SimUNet | CopyUNet, path: str | Path) -> PConvUNet | SimUNet | CopyUNet:
    """Weights to begin with, brought to the number of neighbors that is trained."""
    loaded = checkpoint.load(path, type(new))
    if isinstance(new, SimUNet) and isinstance(loaded, SimUNet) and loaded.config.k < new.config.k:
        loaded = more_neighbors(loaded, new.config.k)
    if isinstance(new, CopyUNet) and isinstance(loaded, CopyUNet):  # these are not of the weights
        given = new.config
        loaded.config = replace(loaded.config, crispness=given.crispness, coarse=given.coarse)
    if loaded.config != new.config:
        raise InputError(f"{path}: expected {new.config}, found {loaded.config}")
    return loaded


def _seeded(seed: int, build: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is built
    """Initialise with a seed: PyTorch's initialisers know the global generator only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def train_dcgan(
    photos: Path,
    config: GeneratorConfig,
    recipe: Recipe,
    options: RunOptions,
    caches: Path,
    say: Callable[[str], None],
    *,
    seed: int = 0,
) -> Path:
    """Train a generator of faces; arguments and errors as in `train_painting`.

    Raises:
        InputError: too, a stage's size is not the generator's.
    """
    _expect_size(recipe, config.size)
    expect_startable(options)
    _expect_outside(photos, options.folder, caches)
    progress = in_lines(say, "photos decoded")
    cache = photo_set(photos, Caches(caches, config.size, progress=progress)).photos
    tell_unusable(say, cache)
    batches = FaceBatches(cache, recipe, seed, config.latent)
    task = _seeded(seed, lambda: DCGANTask(config))
    settings = _settings(config, recipe, seed, len(cache.usable), cache)
    return _train(task, batches, recipe, options, settings, say)


def train_framing(
    photos: Path,
    recipe: Recipe,
    options: RunOptions,
    caches: Path,
    say: Callable[[str], None],
    *,
    seed: int = 0,
) -> Path:
    """Train what sets frames of faces right; arguments and errors as in `train_painting`.

    Raises:
        InputError: too, a stage's size is not the network's, or no photo shows a face.
        DependencyError: too, dlib is not installed.
    """
    config = FramingConfig()
    _expect_size(recipe, config.size)
    expect_startable(options)
    _expect_outside(photos, options.folder, caches)
    cache = photo_set(photos, Caches(caches, SIDE, progress=in_lines(say, "photos decoded"))).photos
    tell_unusable(say, cache)
    frames = told_frames(cache, progress=in_lines(say, "faces told"))
    batches = FramingBatches(cache, frames, config, recipe, seed)
    task = _seeded(seed, lambda: FramingTask(FramingNet(config)))
    settings = _settings(config, recipe, seed, len(batches), cache)
    return _train(task, batches, recipe, options, settings, say)


def train_simnet(
    photos: Sequence[Path],
    bank: StrokeBank,
    config: SimNetConfig,
    recipe: Recipe,
    options: RunOptions,
    caches: Path,
    say: Callable[[str], None],
    *,
    seed: int = 0,
) -> Path:
    """Train what describes faces; arguments and errors as in `train_painting`.

    Raises:
        InputError: too, a stage's size is not the network's, or there are fewer photos than a batch
            takes.
    """
    _expect_size(recipe, INPUT_SIZE)
    expect_startable(options)
    for folder in photos:
        _expect_outside(folder, options.folder, caches)
    if options.precision == "auto":  # as the shipped network's, on a CPU too
        options = replace(options, precision="bfloat16")
    shelf = Caches(caches, SIMNET_SIDE, in_lines(say, "photos decoded"), exact=True)
    decoded = [photo_set(folder, shelf).photos for folder in photos]
    tell_unusable(say, *decoded)
    batches = SimNetBatches(decoded, bank, config.masks, recipe, seed)
    task = _seeded(seed, lambda: SimNetTask(config))
    settings = _settings(config, recipe, seed, len(batches), *decoded)
    settings["strokes"] = bank.fingerprint
    return _train(task, batches, recipe, options, settings, say, half=True)


def _settings(
    config: Any,  # noqa: ANN401 - a network's dataclass
    recipe: Recipe,
    seed: int,
    count: int,
    *photos: PhotoCache,
) -> dict[str, Any]:
    """What decides the result of every run."""
    return {
        "config": asdict(config),
        "recipe": asdict(recipe),
        "seed": seed,
        "photos": "+".join(cache.fingerprint for cache in photos),
        "number of photos": count,
    }


def _train(
    task: Task,
    batches: Batches,
    recipe: Recipe,
    options: RunOptions,
    settings: dict[str, Any],
    say: Callable[[str], None],
    *,
    half: bool = False,
) -> Path:
    """Say what it costs, then train."""
    firsts = {}
    step = 0
    for stage in recipe.stages:
        firsts[stage.size] = batches.batch(step, 0, 1)
        step += stage.steps
    say(describe_cost(task, firsts, recipe))
    return train(task, batches, recipe, options, settings, partial(checkpoint.save, half=half), say)
