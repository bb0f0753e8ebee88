"""What the training loop needs to know of a network that paints: losses, validation, pictures."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.utils import make_grid

from .batches import Batch, to_float
from .losses import LossWeights, composite, inpainting_loss
from .training import Update
from .unet import PConvUNet, SimUNet

_SHOWN = 8  # photos in the sample grid


def paint(network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Run a network on a batch: what it painted, the truth and the hole, floats (B, C, H, W)."""
    truth, hole = to_float(batch["photos"]), batch["holes"].float()
    neighbors = [to_float(batch["neighbors"])] if "neighbors" in batch else []
    return network(truth, hole, *neighbors), truth, hole


class InpaintingTask:
    """PConv or Sim-K trained on equation 1.

    Attributes:
        trained: the network.
        fixed: the feature network, if the weights need one.
        shipped: the name of the network that is averaged and kept.
    """

    shipped = "network"

    def __init__(
        self,
        network: PConvUNet | SimUNet,
        features: nn.Module | None,
        weights: LossWeights,
        validation: Sequence[Batch] = (),
    ) -> None:
        """Join them.

        Args:
            network: what is trained.
            features: the feature network of perceptual and style loss.
            weights: of equation 1.
            validation: batches whose mean loss decides which network is the best.
        """
        self.trained: dict[str, nn.Module] = {"network": network}
        self.fixed: dict[str, nn.Module] = {} if features is None else {"features": features}
        self.weights, self.validation = weights, validation

    def updates(self, modules: Mapping[str, nn.Module], batch: Batch) -> Iterator[Update]:
        """One step on equation 1."""
        terms = self._terms(modules["network"], modules, batch)
        scalars = {name: term.detach() for name, term in terms.items()}
        yield Update("network", terms["total"], scalars)

    @torch.no_grad()
    def validate(
        self, network: nn.Module, modules: Mapping[str, nn.Module]
    ) -> dict[str, float] | None:
        """The terms of equation 1, averaged over the validation photos; "total" decides."""
        sums: dict[str, float] = {}
        count = 0
        for batch in self.validation:
            moved = _to(batch, network)
            for name, term in self._terms(network, modules, moved).items():
                sums[name] = sums.get(name, 0.0) + float(term) * len(moved["photos"])
            count += len(moved["photos"])
        return {name: value / count for name, value in sums.items()} if count else None

    @torch.no_grad()
    def samples(self, network: nn.Module) -> Tensor | None:
        """Masked photo, neighbors, painted and true photo, a column each photo: (3, H, W)."""
        if not self.validation:
            return None
        batch = {name: value[:_SHOWN] for name, value in _to(self.validation[0], network).items()}
        out, truth, hole = paint(network, batch)
        rows = [torch.where(hole.bool(), 1.0, truth)]
        if "neighbors" in batch:
            rows += to_float(batch["neighbors"]).unbind(1)
        rows += [composite(out, truth, hole).clamp(0, 1), truth]
        grid: Tensor = make_grid(torch.cat(rows), nrow=len(truth))
        return grid

    def _terms(
        self, network: nn.Module, modules: Mapping[str, nn.Module], batch: Batch
    ) -> dict[str, Tensor]:
        out, truth, hole = paint(network, batch)
        return inpainting_loss(out, truth, hole, modules.get("features"), self.weights)


def _to(batch: Batch, network: nn.Module) -> Batch:
    device = next(network.parameters()).device
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
