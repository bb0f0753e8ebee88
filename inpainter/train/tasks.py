"""What the training loop needs to know of a network that paints: losses, validation, pictures."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.utils import make_grid

from ...data.tensors import to_images
from ..copy_unet import CopyUNet
from ..judge import Judge, adversarial_loss, discriminator_loss, matching_loss
from ..lite0 import load_lite0
from ..losses import LossWeights, composite, inpainting_loss
from ..painters import CoarseNetwork, coarse_picture, paint_last
from ..training import Update
from ..unet import PConvUNet, SimUNet
from .batches import Batch
from .finder import Finder

_SHOWN = 8  # photos in the sample grid


def paint(
    network: nn.Module,
    batch: Batch,
    coarse: nn.Module | None = None,
    finder: Finder | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run a network on a batch.

    Args:
        network: what paints.
        batch: of `InpaintingBatches`.
        coarse: what paints the coarse picture, for networks that are given one.
        finder: what finds the neighbors that the batch wants.

    Returns:
        what it painted, the truth and the hole, floats (B, C, H, W), and the neighbors it was
        shown, (B, K, 3, H, W).
    """
    truth, hole = to_images(batch["photos"]), batch["holes"].float()
    first = truth
    if coarse is not None:
        with torch.no_grad():
            first = coarse_picture(coarse, truth, hole)
    neighbors = truth.new_empty(len(truth), 0, *truth.shape[1:])
    if finder is not None:
        pictures = composite(first, truth, hole)
        found = finder(pictures, truth, batch["rows"], int(batch["wanted"][0]))
        neighbors = to_images(found.to(truth.device))
    elif "neighbors" in batch:
        neighbors = to_images(batch["neighbors"])
    return paint_last(network, truth, hole, first, neighbors).float(), truth, hole, neighbors


class InpaintingTask:
    """A network that paints, trained on equation 1 and, where it has a weight, against a judge.

    Attributes:
        trained: the network, and the judge if there is one.
        fixed: the networks that judge, give features or paint coarsely, where they are needed.
        shipped: the name of the network that is averaged and kept.
    """

    shipped = "network"

    def __init__(
        self,
        network: PConvUNet | SimUNet | CopyUNet,
        features: nn.Module | None,
        weights: LossWeights,
        validation: Sequence[Batch] = (),
        coarse: CoarseNetwork | None = None,
        finder: Finder | None = None,
    ) -> None:
        """Join them.

        Args:
            network: what is trained.
            features: the feature network of perceptual and style loss.
            weights: of equation 1, and of the adversarial term.
            validation: batches whose mean loss decides which network is the best.
            coarse: what paints the coarse picture for our own network.
            finder: what finds similar photos for our own network.
        """
        self.trained: dict[str, nn.Module] = {"network": network}
        if weights.adversarial:
            self.trained["judge"] = Judge()
        sight = load_lite0() if weights.adversarial else None
        fixed = {"features": features, "coarse": coarse, "sight": sight}
        self.fixed = {name: module for name, module in fixed.items() if module is not None}
        self.weights, self.validation, self.finder = weights, validation, finder

    def updates(self, modules: Mapping[str, nn.Module], batch: Batch) -> Iterator[Update]:
        """The judge's step, if there is one, then the network's against the judge it became."""
        out, truth, hole, _ = paint(modules["network"], batch, modules.get("coarse"), self.finder)
        terms = inpainting_loss(out, truth, hole, modules.get("features"), self.weights)
        if "judge" in modules:
            judge, sight = modules["judge"], modules["sight"]
            with torch.no_grad():
                truth_maps = sight(truth)
            comp = composite(out, truth, hole)
            maps = sight(comp)
            real, weights = judge(truth, truth_maps, hole)
            fake, _ = judge(comp.detach(), [m.detach() for m in maps], hole)
            loss = discriminator_loss(real, fake, weights)
            yield Update("judge", loss, {"judge": loss.detach()})
            terms["adversarial"] = adversarial_loss(*judge(comp, maps, hole))
            terms["matching"] = matching_loss(maps, truth_maps)
            terms["total"] = (
                terms["total"]
                + self.weights.adversarial * terms["adversarial"]
                + self.weights.matching * terms["matching"]
            )
        scalars = {name: term.detach() for name, term in terms.items()}
        yield Update("network", terms["total"], scalars)

    @torch.no_grad()
    def validate(
        self, network: nn.Module, modules: Mapping[str, nn.Module]
    ) -> dict[str, float] | None:
        """The terms of equation 1, averaged over the validation photos; "total" decides.

        None with a judge: it buys sharpness with what these terms measure, so the last one is kept.
        """
        if self.weights.adversarial:
            return None
        sums: dict[str, float] = {}
        count = 0
        for batch in self.validation:
            moved = _to(batch, network)
            out, truth, hole, _ = paint(network, moved, modules.get("coarse"), self.finder)
            terms = inpainting_loss(out, truth, hole, modules.get("features"), self.weights)
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + float(term) * len(moved["photos"])
            count += len(moved["photos"])
        return {name: value / count for name, value in sums.items()} if count else None

    @torch.no_grad()
    def samples(self, network: nn.Module) -> Tensor | None:
        """Masked photo, neighbors, painted and true photo, a column each photo: (3, H, W)."""
        if not self.validation:
            return None
        batch = {name: value[:_SHOWN] for name, value in _to(self.validation[0], network).items()}
        out, truth, hole, neighbors = paint(network, batch, self.fixed.get("coarse"), self.finder)
        rows = [torch.where(hole.bool(), 1.0, truth), *neighbors.unbind(1)]
        rows += [composite(out, truth, hole).clamp(0, 1), truth]
        grid: Tensor = make_grid(torch.cat(rows), nrow=len(truth))
        return grid


def _to(batch: Batch, network: nn.Module) -> Batch:
    device = next(network.parameters()).device
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
