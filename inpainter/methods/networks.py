"""Networks: PConv, Sim-K with the similar photos it needs, and our own with the coarse picture."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ...data.files import sha256
from ...errors import InputError, WeightsError
from ...index_build.tensors import tensors_sha256
from ..checkpoint import load, shipped
from ..copy_unet import USUAL_K, CopyUNet
from ..unet import PConvUNet
from .signature import Similar


class NetworkMethod:
    """A network from a weights file.

    Attributes:
        k: similar photos that it looks at.
        fingerprint: of its weights.
    """

    def __init__(
        self,
        path: Path,
        similar: Similar,
        k: int | None = None,
        device: str = "cpu",
        others: Sequence[str] = (),
    ) -> None:
        """Load it.

        Args:
            path: the file.
            similar: finds similar photos.
            k: how many, for our own network, which takes any number.
            device: where it runs.
            others: what else the caller would have understood, for the error.

        Raises:
            WeightsError: no such file, a damaged one, or one of a network that paints nothing.
        """
        if not path.is_file():
            known = ", ".join([*others, *shipped()])
            raise WeightsError(f"{path}: expected a weights file or one of {known}; found neither")
        self._network: nn.Module = load(path, nn.Module).to(device)
        self._coarse: nn.Module | None = None
        if isinstance(self._network, CopyUNet):
            k = USUAL_K if k is None else k
            self._coarse = load("pconv", PConvUNet).to(device)
        elif k is None:
            k = getattr(getattr(self._network, "config", None), "k", None)
        else:
            raise InputError(f"{path}: expected a network that takes any number, to give it {k}")
        if k is None:
            found = type(self._network).__name__
            raise WeightsError(f"{path}: expected a network that paints photos, found a {found}")
        self.k = k
        self.fingerprint = sha256(path)
        if self._coarse is not None:
            self.fingerprint += f" {tensors_sha256(self._coarse.state_dict())} {k}"
        self._similar, self._device = similar, device

    @torch.inference_mode()
    def __call__(self, photos: Tensor, masks: Tensor) -> Tensor:
        """Fill the holes."""
        inputs = [photos.to(self._device), masks.to(self._device)]
        if self._coarse is not None:
            inputs.append(self._coarse(*inputs).clamp(0, 1))
            if not self.k:
                inputs.append(photos.new_empty(len(photos), 0, *photos.shape[1:]))
        if self.k:
            inputs.append(self._similar(photos, masks, self.k))
        painted: Tensor = self._network(*(values.to(self._device) for values in inputs))
        return painted.cpu()
