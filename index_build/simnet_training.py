"""Training SimNet: what a coarsely filled face is described as must find what the whole one would.

Two terms. A contrastive one (van den Oord et al. 2018, InfoNCE): a photo with a hole, filled
crudely, must lie nearest to its whole self among thousands of photos. And a ranking one: its
similarities to all other photos must order them as their pixels would fill the hole.
"""

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.files import make_folder
from ..data.strokes import StrokeBank
from ..errors import InputError, SimpaintError, WeightsError
from .descriptors import pick_device
from .simnet import DIMENSIONS, SimNet
from .simnet_batches import (
    THUMBNAIL,
    Batch,
    cache_photos,
    draw_masks,
    make_batch,
    thumbnails_of,
)
from .tensors import check_tensors, read_tensors, tensors_sha256, write_tensors

_logger = logging.getLogger(__name__)

_COARSE = 16  # pixels are compared on a 16 by 16 grid
_COPY = 0.95  # correlation of thumbnails from which two photos count as copies
_STATE = "state.safetensors"
_ADAM = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class SimNetTraining:
    """How SimNet is trained; the defaults are the shipped network's.

    Attributes:
        steps: batches in all.
        batch: photos a batch.
        queue: photos of earlier batches that serve as further candidates.
        learning_rate: its peak; warmed up over `warmup` steps, then a cosine down to 0.
        warmup: steps.
        weight_decay: AdamW's.
        average: decay of the running average of the weights, which is what is kept.
        contrast: factor on cosines in the contrastive term (1 / temperature).
        sharpness: factor on cosines in the ranking term.
        temperature: squared distance, of pixels in [0, 1], in which a target falls by e.
        ranking: weight of the ranking term; the contrastive one has 1.
        whole: weight of squared distances over the whole photo beside those in the hole.
        masks: different holes drawn.
        seed: decides everything random.
    """

    steps: int = 1800
    batch: int = 128
    queue: int = 4096
    learning_rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.05
    average: float = 0.99
    contrast: float = 30.0
    sharpness: float = 40.0
    temperature: float = 0.002
    ranking: float = 1.0
    whole: float = 0.25
    masks: int = 12_000
    seed: int = 0


@dataclass(frozen=True)
class Candidates:
    """Photos to find the right one among, the newest first; (n, ·) each.

    Attributes:
        vectors: descriptors, rows of length 1.
        pixels: 16 by 16 pixels, colour by colour.
        thumbnails: see `Batch`.
    """

    vectors: Tensor
    pixels: Tensor
    thumbnails: Tensor

    def then(self, earlier: "Candidates") -> "Candidates":
        """These, followed by earlier ones."""
        return Candidates(
            torch.cat([self.vectors, earlier.vectors]),
            torch.cat([self.pixels, earlier.pixels]),
            torch.cat([self.thumbnails, earlier.thumbnails]),
        )

    def newest(self, count: int) -> "Candidates":
        """The first `count`, cut off from the gradient."""
        return Candidates(
            self.vectors[:count].detach(), self.pixels[:count], self.thumbnails[:count]
        )

    @classmethod
    def none(cls, device: torch.device) -> "Candidates":
        """An empty queue."""
        widths = (DIMENSIONS, 3 * _COARSE**2, THUMBNAIL**2)
        return cls(*(torch.empty(0, width, device=device) for width in widths))


def contrastive_loss(queries: Tensor, keys: Tensor, copies: Tensor, contrast: float) -> Tensor:
    """InfoNCE: query i belongs to key i.

    Args:
        queries: (B, d) rows of length 1.
        keys: (n, d) likewise, n >= B.
        copies: (B, n) bool, True where key j is a copy of query i's photo and not itself.
        contrast: factor on cosines.
    """
    logits = (contrast * queries @ keys.T).masked_fill(copies, -torch.inf)  # (B, n)
    return F.cross_entropy(logits, torch.arange(len(queries), device=queries.device))


def ranking_loss(
    queries: Tensor, keys: Tensor, distances: Tensor, temperature: float, sharpness: float
) -> Tensor:
    """Kullback-Leibler divergence of candidates' similarities from their distances.

    Both become a distribution over the candidates, which puts its weight on the best few.

    Args:
        queries: (B, d) rows of length 1.
        keys: (n, d) likewise, n > B; key i < B is query i's own photo and left out.
        distances: (B, n) of pixels.
        temperature: divides the distances.
        sharpness: factor on cosines.
    """
    own = torch.eye(*distances.shape, dtype=torch.bool, device=queries.device)
    target = (-distances / temperature).masked_fill(own, -1e9).log_softmax(1)
    found = (sharpness * queries @ keys.T).masked_fill(own, -1e9).log_softmax(1)
    return F.kl_div(found, target, reduction="batchmean", log_target=True)


def hole_distances(pixels: Tensor, holes: Tensor, candidates: Tensor) -> Tensor:
    """Mean square differences of pixels, weighted by how much of each is hole.

    Squares, because they are what cosines of few dimensions can express. Three products of matrices
    instead of all differences.

    Args:
        pixels: (B, 3p) of the whole photos, colour by colour.
        holes: (B, p) in [0, 1].
        candidates: (n, 3p).

    Returns:
        (B, n).
    """
    weights = holes.repeat(1, 3)  # (B, 3p)
    own = (weights * pixels**2).sum(1, keepdim=True)
    squares = own - 2 * (weights * pixels) @ candidates.T + weights @ (candidates**2).T
    return (squares / weights.sum(1, keepdim=True).clamp(min=1e-3)).clamp(min=0)


def losses(
    network: SimNet, batch: Batch, queue: Candidates, config: SimNetTraining
) -> tuple[Tensor, Tensor, Candidates]:
    """Contrastive and ranking loss of a batch, and its photos before the queue's."""
    both = torch.cat([batch.filled, batch.whole]).contiguous(memory_format=torch.channels_last)
    with torch.autocast(both.device.type, torch.bfloat16):
        described = network(both)
    queries, keys = F.normalize(described.float(), dim=1).chunk(2)
    pixels = F.adaptive_avg_pool2d(batch.whole, _COARSE).flatten(1)  # (B, 3 * 16 * 16)
    holes = F.adaptive_avg_pool2d(batch.masks, _COARSE).flatten(1)  # (B, 16 * 16)
    candidates = Candidates(keys, pixels, batch.thumbnails).then(queue)
    copies = batch.thumbnails @ candidates.thumbnails.T > _COPY
    copies.fill_diagonal_(fill_value=False)
    distances = hole_distances(pixels, holes, candidates.pixels)
    distances += config.whole * hole_distances(pixels, torch.ones_like(holes), candidates.pixels)
    return (
        contrastive_loss(queries, candidates.vectors, copies, config.contrast),
        ranking_loss(queries, candidates.vectors, distances, config.temperature, config.sharpness),
        candidates,
    )


class Run:
    """A training run: everything that its next step depends on.

    Args:
        config: the recipe.
        photos: a digest of what it learns from; a state of other photos is not gone on with.
        device: where the network learns.
    """

    def __init__(self, config: SimNetTraining, photos: str, device: torch.device) -> None:
        self.config, self.device, self.done = config, device, 0
        self.begun_with = json.dumps({**asdict(config), "photos": photos}, sort_keys=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = SimNet()
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.queue = Candidates.none(device)

    def learn(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Take one step and give both losses."""
        config, step = self.config, self.done
        warmth = min(1.0, (step + 1) / config.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
        self.optimizer.param_groups[0]["lr"] = config.learning_rate * warmth * cosine
        contrastive, ranking, candidates = losses(self.network, batch, self.queue, config)
        self.optimizer.zero_grad()
        (contrastive + config.ranking * ranking).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.queue = candidates.newest(config.queue)
        # A young average must not remember the random beginning.
        decay = min(config.average, (1 + step) / (10 + step))
        pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
        with torch.no_grad():
            for average, parameter in pairs:
                average.lerp_(parameter, 1 - decay)
        self.done += 1
        return contrastive.detach(), ranking.detach()

    def save(self, path: Path) -> None:
        """Write the run's state, atomically."""
        tensors = self._modules() | {f"queue.{k}": v for k, v in vars(self.queue).items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{slot}": value for slot, value in slots.items()}
        tensors["done"] = torch.tensor(self.done)
        words = {"begun_with": self.begun_with, "sha256": tensors_sha256(tensors)}
        write_tensors(path, tensors, words)

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote.

        Raises:
            InputError: it was begun with another recipe.
            WeightsError: the file is missing or damaged.
        """
        tensors, words = read_tensors(path)
        if words.get("sha256") != tensors_sha256(tensors):
            raise WeightsError(
                f"{path}: damaged, its checksum does not hold; remove it to begin anew"
            )
        if words.get("begun_with") != self.begun_with:
            found = words.get("begun_with")
            raise InputError(f"{path}: was begun with {found}, found {self.begun_with} now")
        own = self._modules()
        check_tensors(path, tensors, own)
        for name, tensor in own.items():
            tensor.data.copy_(tensors[name])
        self.queue = Candidates(
            *(tensors[f"queue.{name}"].to(self.device) for name in vars(self.queue))
        )
        state = self.optimizer.state_dict()
        state["state"] = {
            index: {slot: tensors[f"adam.{index}.{slot}"] for slot in _ADAM}
            for index in range(len(list(self.network.parameters())))
        }
        self.optimizer.load_state_dict(state)
        self.done = int(tensors["done"])

    def _modules(self) -> dict[str, Tensor]:
        parts = {"network": self.network, "average": self.average}
        return {f"{p}.{k}": v for p, part in parts.items() for k, v in part.state_dict().items()}


def train_simnet(
    photos: Sequence[Path],
    strokes: StrokeBank,
    folder: Path,
    config: SimNetTraining,
    *,
    resume: bool = False,
    device: str = "auto",
    save_every: float = 60.0,
    say: Callable[[str], None] = _logger.info,
) -> Path:
    """Train SimNet; killed at any moment and resumed, it ends with the same weights.

    Args:
        photos: folders of aligned faces.
        strokes: what holes are drawn with.
        folder: of the run: decoded photos, `state.safetensors`, `simnet.safetensors`.
        config: the recipe.
        resume: go on with the run in `folder`.
        device: "auto", "cpu" or "cuda".
        save_every: seconds between two states on disk and two lines.
        say: told how it stands, a line a minute.

    Returns:
        the path of the trained network, in float16.

    Raises:
        InputError: too few photos, a run without `resume`, or another recipe.
        WeightsError: a damaged state.
        SimpaintError: a loss is infinite or not a number; the state on disk is an earlier one.
    """
    state = folder / _STATE
    if state.exists() and not resume:
        raise InputError(f"{folder}: holds a run already; --resume goes on with it")
    make_folder(folder)
    say(f"decoding {', '.join(map(str, photos))}")
    squares, names = cache_photos(photos, folder)
    if len(squares) < config.batch:
        raise InputError(f"expected at least {config.batch} photos, found {len(squares)}")
    run = Run(config, names, torch.device(pick_device(device)))
    if resume and state.exists():
        run.restore(state)
    thumbnails = thumbnails_of(squares)
    masks = draw_masks(strokes, config.masks, config.seed)
    batches = (
        make_batch(squares, thumbnails, masks, config.batch, config.seed, step)
        for step in range(run.done, config.steps)
    )
    said, since, began = run.done, time.monotonic(), time.monotonic()
    for batch in _ahead(batches):
        found = run.learn(batch.to(run.device))
        if (passed := time.monotonic() - since) >= save_every or run.done == config.steps:
            _refuse_infinite(found, run.done)
            run.save(state)
            say(_line(run, found, (run.done - said) / passed))
            said, since = run.done, time.monotonic()
    say(f"{(time.monotonic() - began) / 60:.1f} minutes")
    return _keep(run, folder / "simnet.safetensors")


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Prepare the next batch in a thread while the present one is learned from."""
    with ThreadPoolExecutor(1, "batch") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def _line(run: Run, found: tuple[Tensor, Tensor], speed: float) -> str:
    contrastive, ranking = (float(loss) for loss in found)
    left = (run.config.steps - run.done) / speed / 60
    return (
        f"step {run.done}/{run.config.steps}: contrastive {contrastive:.3f}, "
        f"ranking {ranking:.3f}, {speed:.2f} steps/s, {left:.0f} min left"
    )


def _refuse_infinite(found: tuple[Tensor, Tensor], step: int) -> None:
    for name, loss in zip(("contrastive", "ranking"), found, strict=True):
        if not loss.isfinite():
            raise SimpaintError(
                f"the {name} loss is {float(loss)} at step {step}: expected a number; begin again "
                "in another folder, with another seed or a lower learning rate"
            )


def _keep(run: Run, path: Path) -> Path:
    tensors = {name: value.half() for name, value in run.average.state_dict().items()}
    words = {
        "network": "simnet",
        "recipe": json.dumps(asdict(run.config)),
        "sha256": tensors_sha256(tensors),
    }
    write_tensors(path, tensors, words)
    return path
