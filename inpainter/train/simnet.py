"""Training SimNet: what a coarsely filled face is described as must find what the whole one would.

Two terms. A contrastive one (van den Oord et al. 2018, InfoNCE): a photo with a hole, filled
crudely, must lie nearest to its whole self among thousands of photos. And a ranking one: its
similarities to all other photos must order them as their pixels would fill the hole.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...index_build.simnet import DIMENSIONS, SimNet
from ..training import Update
from .batches import Batch
from .simnet_batches import THUMBNAIL

_COARSE = 16  # pixels are compared on a 16 by 16 grid
_COPY = 0.95  # correlation of thumbnails from which two photos count as copies


@dataclass(frozen=True)
class SimNetConfig:
    """What SimNet is asked for; the defaults are the shipped network's.

    Attributes:
        queue: photos of earlier batches that serve as further candidates.
        contrast: factor on cosines in the contrastive term (1 / temperature).
        sharpness: factor on cosines in the ranking term.
        temperature: squared distance, of pixels in [0, 1], in which a target falls by e.
        ranking: weight of the ranking term; the contrastive one has 1.
        whole: weight of squared distances over the whole photo beside those in the hole.
        masks: different holes drawn.
    """

    queue: int = 4096
    contrast: float = 30.0
    sharpness: float = 40.0
    temperature: float = 0.002
    ranking: float = 1.0
    whole: float = 0.25
    masks: int = 12_000


class Candidates(NamedTuple):
    """Photos to find the right one among, the newest first; (n, ·) each.

    Attributes:
        vectors: descriptors, rows of length 1.
        pixels: 16 by 16 pixels, colour by colour.
        thumbnails: see `thumbnails_of`.
    """

    vectors: Tensor
    pixels: Tensor
    thumbnails: Tensor


class Queue(nn.Module):
    """The candidates of earlier batches: buffers, so that they are part of a run's state.

    Args:
        size: photos at most.
    """

    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        widths = (DIMENSIONS, 3 * _COARSE**2, THUMBNAIL**2)
        for name, width in zip(Candidates._fields, widths, strict=True):
            self.register_buffer(name, torch.zeros(size, width))
        self.register_buffer("count", torch.tensor(0))

    def candidates(self) -> Candidates:
        """Those that are held."""
        return Candidates(*(rows[: int(self.count)] for rows in self._rows()))

    def hold(self, candidates: Candidates) -> None:
        """Hold the newest candidates in place of those that were held."""
        for rows, new in zip(self._rows(), candidates, strict=True):
            count = min(len(rows), len(new))
            rows[:count] = new[:count].detach()
        self.count.fill_(count)

    def _rows(self) -> list[Tensor]:
        return [self.get_buffer(name) for name in Candidates._fields]


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
    network: Callable[[Tensor], Tensor], batch: Batch, earlier: Candidates, config: SimNetConfig
) -> tuple[Tensor, Tensor, Candidates]:
    """Contrastive and ranking loss of a batch, and its photos before the earlier ones."""
    both = torch.cat([batch["filled"], batch["photos"]])
    described = network(both.contiguous(memory_format=torch.channels_last))
    queries, keys = F.normalize(described, dim=1).chunk(2)
    pixels = F.adaptive_avg_pool2d(batch["photos"], _COARSE).flatten(1)  # (B, 3 * 16 * 16)
    holes = F.adaptive_avg_pool2d(batch["holes"], _COARSE).flatten(1)  # (B, 16 * 16)
    newest = Candidates(keys, pixels, batch["thumbnails"])
    candidates = Candidates(*map(torch.cat, zip(newest, earlier, strict=True)))
    copies = newest.thumbnails @ candidates.thumbnails.T > _COPY
    copies.fill_diagonal_(fill_value=False)
    distances = hole_distances(pixels, holes, candidates.pixels)
    distances += config.whole * hole_distances(pixels, torch.ones_like(holes), candidates.pixels)
    return (
        contrastive_loss(queries, candidates.vectors, copies, config.contrast),
        ranking_loss(queries, candidates.vectors, distances, config.temperature, config.sharpness),
        candidates,
    )


class SimNetTask:
    """Descriptors by which a coarsely filled face finds what the whole one would.

    Attributes:
        trained: the network, and the queue, which changes as it learns.
        fixed: nothing.
        shipped: the network's name.
    """

    shipped = "network"

    def __init__(self, config: SimNetConfig) -> None:
        self.config = config
        self.trained: dict[str, nn.Module] = {"network": SimNet(), "queue": Queue(config.queue)}
        self.fixed: dict[str, nn.Module] = {}

    def updates(self, modules: Mapping[str, nn.Module], batch: Batch) -> Iterator[Update]:
        """One step: see `training.Task`."""
        queue = cast("Queue", modules["queue"])
        contrastive, ranking, candidates = losses(
            modules["network"], batch, queue.candidates(), self.config
        )
        parts = {"contrastive": contrastive.detach(), "ranking": ranking.detach()}
        yield Update("network", contrastive + self.config.ranking * ranking, parts)
        queue.hold(candidates)

    def validate(self, network: nn.Module, modules: Mapping[str, nn.Module]) -> None:
        """Nothing is validated."""
        del network, modules

    def samples(self, network: nn.Module) -> None:
        """There are no pictures."""
        del network
