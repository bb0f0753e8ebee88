"""Metrics that need other people's networks, where they are to hand: LPIPS, FID, inception score.

Their weights are large and not simpaint's to ship; each is measured if its file lies in torch hub's
cache, and else left out with a line that says what is missing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn

from .metrics import Floats
from .plan import Planned
from .results import BLOCK, Summary, groups_of
from .work import Work, picture

_ALEXNET: Final = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
_INCEPTION: Final = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)


@dataclass(frozen=True)
class Networks:
    """What is to hand.

    Attributes:
        lpips: from two batches (B, 3, H, W) uint8 to (B,) distances; None without weights.
        inception: features of (B, 3, H, W) uint8 for the Frechet distance; None without weights.
        logits: those of the inception score; None without weights.
        left_out: a line for each metric that cannot be measured.
    """

    lpips: Callable[[Tensor, Tensor], Tensor] | None = None
    inception: nn.Module | int | None = None
    logits: nn.Module | str | None = None
    left_out: tuple[str, ...] = ()


def find_networks(folder: Path | None = None) -> Networks:
    """Look for the weights.

    Args:
        folder: where they would be; torch hub's cache if left out.
    """
    folder = folder or Path(torch.hub.get_dir()) / "checkpoints"
    alexnet, inception = (folder / url.rpartition("/")[2] for url in (_ALEXNET, _INCEPTION))
    left_out = []
    if not alexnet.exists():
        left_out.append(f"LPIPS is left out: put {_ALEXNET} into {folder}.")
    library = find_spec("torch_fidelity") is not None
    if not library:
        left_out.append("FID and inception score are left out: pip install torch-fidelity.")
    elif not inception.exists():
        left_out.append(f"FID and inception score are left out: put {_INCEPTION} into {folder}.")
    usable = library and inception.exists()
    return Networks(
        _lpips if alexnet.exists() else None,
        2048 if usable else None,
        "logits_unbiased" if usable else None,
        tuple(left_out),
    )


def perceptual(
    work: Work, planned: Sequence[Planned], table: pa.Table, networks: Networks
) -> Iterator[Summary]:
    """Measure what can be measured: `lpips`, `fid` and `inception_score` of each method and group.

    A group of one case has no Frechet distance.

    Args:
        work: what was painted.
        planned: the methods.
        table: their results.
        networks: what is to hand.
    """
    if networks.lpips is None and networks.inception is None:
        return
    for one in planned:
        own = table.filter(pc.equal(table["method"], one.label))
        for group in groups_of(table):
            cases = own.filter(pc.equal(own["bucket"], group))["case"].to_pylist()
            batches = [cases[i : i + BLOCK] for i in range(0, len(cases), BLOCK)]
            pictures = (_pictures(work, one, batch) for batch in batches)
            for name, mean, std in _measure(pictures, networks):
                yield Summary(one.label, group, name, mean, std, len(cases))


def _measure(
    pictures: Iterator[tuple[Tensor, Tensor]], networks: Networks
) -> Iterator[tuple[str, float, float]]:
    """Each metric's name, mean and deviation over pairs of filled and true photos."""
    frechet, score = _accumulators(networks)
    distances: list[Floats] = []
    for filled, truth in pictures:
        if networks.lpips is not None:
            distances.append(networks.lpips(filled, truth).double().numpy())
        for metric in (frechet, score):
            if metric is not None:
                # The Frechet distance is told which photos are real.
                metric.update(filled, real=False) if metric is frechet else metric.update(filled)
        if frechet is not None:
            frechet.update(truth, real=True)
    if distances:
        whole = np.concatenate(distances)
        yield "lpips", float(whole.mean()), float(whole.std())
    if frechet is not None and frechet.real_features_num_samples > 1:  # covariances need two
        yield "fid", float(frechet.compute()), float("nan")
    if score is not None:
        mean, std = score.compute()
        yield "inception_score", float(mean), float(std)


def _accumulators(networks: Networks) -> tuple[Any, Any]:
    """Fresh ones of Frechet distance and inception score; torchmetrics has no types for them."""
    if networks.inception is None:
        return None, None
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    frechet = FrechetInceptionDistance(networks.inception).set_dtype(torch.float64)
    return frechet, None if networks.logits is None else InceptionScore(networks.logits)


def _pictures(work: Work, planned: Planned, cases: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Filled and true photos, (B, 3, S, S) uint8 each."""
    blocks = [work.cases.block(case, case + 1) for case in cases]
    truth = np.concatenate([block.truth for block in blocks])
    holes = np.concatenate([block.holes for block in blocks])[..., None] > 0
    painted = np.stack([picture(png) for png in work.of(planned).pictures(cases)])
    filled = np.where(holes, painted, truth)
    a, b = (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous() for x in (filled, truth))
    return a, b


def _lpips(filled: Tensor, truth: Tensor) -> Tensor:
    """Zhang et al. 2018, with AlexNet."""
    from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

    pair = (filled.float() / 255, truth.float() / 255)
    found: Tensor = learned_perceptual_image_patch_similarity(
        *pair, net_type="alex", reduction="none", normalize=True
    )
    return found.detach().reshape(-1)
