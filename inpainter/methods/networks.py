"""Networks: PConv, Sim-K with the similar photos it needs, and our own with the coarse picture."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ...data.files import sha256
from ...errors import InputError, WeightsError
from ...index_build.tensors import tensors_sha256
from ..checkpoint import SHIPPED, load, shipped
from ..copy_unet import CopyUNet
from ..painters import (
    CoarseNetwork,
    Ensemble,
    coarse_of,
    coarse_picture,
    is_joined,
    load_coarse,
    neighbors_of,
    paint_last,
)
from ..unet import PConvUNet, SimUNet
from .signature import Similar


class NetworkMethod:
    """A network from a weights file, or the mean of several coarse ones.

    Attributes:
        k: similar photos that it looks at.
        coarse: the network whose coarse pictures they are searched with, if there are any.
        fingerprint: of its weights.
    """

    def __init__(
        self,
        source: str,
        similar: Similar,
        k: int | None = None,
        device: str = "cpu",
        others: Sequence[str] = (),
    ) -> None:
        """Load it.

        Args:
            source: a shipped name or a file; several coarse networks' joined by "+".
            similar: finds similar photos.
            k: how many, for our own network, which takes any number.
            device: where it runs.
            others: what else the caller would have understood, for the error.

        Raises:
            WeightsError: no such file, a damaged one, or one of a network that paints nothing.
            InputError: the network does not take k similar photos.
        """
        network, self.fingerprint = _load(source, others)
        self._network = network.to(device)
        self._coarse: CoarseNetwork | None = None
        self.k, self.coarse = 0, ""
        if isinstance(self._network, (SimUNet, CopyUNet)):
            self.k = neighbors_of(self._network, k)
            self.coarse = coarse_of(self._network) if self.k else ""
        elif not isinstance(self._network, (PConvUNet, Ensemble)):
            found = type(self._network).__name__
            raise WeightsError(f"{source}: expected a network that paints photos, found a {found}")
        elif k:
            raise InputError(f"{source}: expected a network that looks at {k} similar photos")
        if isinstance(self._network, CopyUNet):
            self._coarse = load_coarse(self._network.config.coarse).to(device)
            self.fingerprint += f" {tensors_sha256(self._coarse.state_dict())} {self.k}"
        self._similar, self._device = similar, device

    @torch.inference_mode()
    def __call__(self, photos: Tensor, masks: Tensor) -> Tensor:
        """Fill the holes.

        Args:
            photos: (B, 3, H, W) in [0, 1], black in the holes.
            masks: (B, 1, H, W), 1 = hole.

        Returns:
            (B, 3, H, W) on the CPU, as the network paints it: known pixels too, not clamped.
        """
        here, holes = photos.to(self._device), masks.to(self._device)
        coarse = here if self._coarse is None else coarse_picture(self._coarse, here, holes)
        similar = photos.new_empty(len(photos), 0, *photos.shape[1:])
        if self.k:
            similar = self._similar(photos, masks, self.k)
        return paint_last(self._network, here, holes, coarse, similar.to(self._device)).cpu()


def _load(source: str, others: Sequence[str]) -> tuple[nn.Module, str]:
    """A network and the fingerprint of its weights."""
    if is_joined(source):
        joined = load_coarse(source)
        return joined, tensors_sha256(joined.state_dict())
    path = SHIPPED / f"{source}.safetensors" if source in shipped() else Path(source)
    if not path.is_file():
        known = ", ".join([*others, *shipped(PConvUNet, SimUNet, CopyUNet)])
        raise WeightsError(f"{source}: expected a weights file or one of {known}; found neither")
    return load(path, nn.Module), sha256(path)
