"""Networks: PConv, and Sim-K with the similar photos it needs."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ...data.files import sha256
from ...errors import WeightsError
from ..checkpoint import load, shipped
from .signature import Similar


class NetworkMethod:
    """A network from a weights file.

    Attributes:
        k: similar photos that it looks at.
        fingerprint: of its weights.
    """

    def __init__(
        self, path: Path, similar: Similar, device: str = "cpu", others: Sequence[str] = ()
    ) -> None:
        """Load it.

        Args:
            path: the file.
            similar: finds similar photos.
            device: where it runs.
            others: what else the caller would have understood, for the error.

        Raises:
            WeightsError: no such file, a damaged one, or one of a network that paints nothing.
        """
        if not path.is_file():
            known = ", ".join([*others, *shipped()])
            raise WeightsError(f"{path}: expected a weights file or one of {known}; found neither")
        self._network: nn.Module = load(path, nn.Module).to(device)
        k = getattr(getattr(self._network, "config", None), "k", None)
        if k is None:
            found = type(self._network).__name__
            raise WeightsError(f"{path}: expected a network that paints photos, found a {found}")
        self.k: int = k
        self.fingerprint = sha256(path)
        self._similar, self._device = similar, device

    @torch.inference_mode()
    def __call__(self, photos: Tensor, masks: Tensor) -> Tensor:
        """Fill the holes."""
        inputs = [photos, masks]
        if self.k:
            inputs.append(self._similar(photos, masks, self.k))
        painted: Tensor = self._network(*(values.to(self._device) for values in inputs))
        return painted.cpu()
