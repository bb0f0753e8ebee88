"""Networks that paint, by the part they have: the coarse picture, or the last one."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import InputError, WeightsError
from .checkpoint import load
from .copy_unet import CopyUNet
from .unet import PConvUNet, SimUNet


class Ensemble(nn.Module):
    """Several coarse networks as one, which paints the mean of their pictures.

    Each errs in its own way, and the mean less than any: PConv's and Sim-0's mean is 0 to 2 % below
    the better of both in L1 inside wide holes, and 3 % in strokes.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        """Join them.

        Args:
            members: photos (B, 3, H, W) and holes (B, 1, H, W) to (B, 3, H, W), each of them.
        """
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, photos: Tensor, holes: Tensor) -> Tensor:
        """Paint: the mean of what the members paint.

        Args:
            photos: (B, 3, H, W) in [0, 1].
            holes: (B, 1, H, W), 1 = hole.

        Returns:
            (B, 3, H, W) float32 in [0, 1], known pixels included.
        """
        pictures = [member(photos, holes).float().clamp(0, 1) for member in self.members]
        return torch.stack(pictures).mean(0)


CoarseNetwork: TypeAlias = PConvUNet | SimUNet | Ensemble
"""(photos (B, 3, H, W), holes (B, 1, H, W)) to (B, 3, H, W); a SimUNet here is a Sim-0."""

LastNetwork: TypeAlias = SimUNet | CopyUNet

USUAL_K: Final = 3
"""How many photos our own network, which takes any number, is given unless told otherwise."""

_PAPERS_COARSE: Final = "pconv"
_PIXELS_AT_ONCE: Final = 256 * 256  # on a CPU


def load_coarse(source: str | Path) -> CoarseNetwork:
    """Read a network that needs no similar photos.

    Args:
        source: a shipped name or a file; or several, joined by "+", to paint their mean.

    Raises:
        WeightsError: it cannot be read, or is another network's.
    """
    if is_joined(source):
        return Ensemble(map(load_coarse, str(source).split("+"))).eval()
    network = load(source, nn.Module)
    if isinstance(network, PConvUNet) or (isinstance(network, SimUNet) and network.config.k == 0):
        return network
    raise WeightsError(
        f"{source}: expected a network that needs no similar photos, found {_described(network)}"
    )


def is_joined(source: str | Path) -> bool:
    """Whether a source names several coarse networks, joined by "+", and no file."""
    return "+" in str(source) and not Path(source).is_file()


def load_last(source: str | Path) -> LastNetwork:
    """Read a network that paints last.

    Args:
        source: a shipped name or a file.

    Raises:
        WeightsError: it cannot be read, or is another network's.
    """
    network = load(source, nn.Module)
    if isinstance(network, (SimUNet, CopyUNet)):
        return network
    raise WeightsError(
        f"{source}: expected a network that paints last, found {_described(network)}"
    )


def coarse_picture(
    network: Callable[[Tensor, Tensor], Tensor], photos: Tensor, holes: Tensor
) -> Tensor:
    """What a coarse network paints, and what it paints into the mirror image: their mean.

    A photo and its mirror image are filled with different errors, and their mean has less of them:
    1 to 2.5 % less in L1 inside wide holes.

    Args:
        network: photos and holes to (B, 3, H, W).
        photos: (B, 3, H, W) in [0, 1].
        holes: (B, 1, H, W), 1 = hole.

    Returns:
        (B, 3, H, W) float32 in [0, 1], as the network fills it: what is known may differ.
    """
    here = network(photos, holes).float().clamp(0, 1)
    mirrored = network(photos.flip(-1), holes.flip(-1)).float().clamp(0, 1)
    return (here + mirrored.flip(-1)) / 2


def coarse_of(network: LastNetwork) -> str:
    """The shipped network whose coarse pictures a last network goes with."""
    return network.config.coarse if isinstance(network, CopyUNet) else _PAPERS_COARSE


def neighbors_of(network: LastNetwork, k: int | None = None) -> int:
    """How many photos a network borrows from.

    Args:
        network: Sim-K has its own K; our own takes any number.
        k: how many are wished for.

    Raises:
        InputError: fewer than none, or Sim-K's K is another.
    """
    if k is not None and k < 0:
        raise InputError(f"-k {k}: expected 0 or more")
    if isinstance(network, CopyUNet):
        return USUAL_K if k is None else k
    if k not in (None, network.config.k):
        raise InputError(
            f"-k {k}: expected a network that borrows from {k} photos, found one of "
            f"{network.config.k}"
        )
    return network.config.k


def paint_last(
    network: nn.Module,
    photos: Tensor,
    holes: Tensor,
    coarse: Tensor,
    neighbors: Tensor,
    faces: Tensor | None = None,
) -> Tensor:
    """Fill holes with any network that paints, given all that any of them looks at.

    Args:
        network: a coarse network, Sim-K or our own.
        photos: (B, 3, H, W) in [0, 1].
        holes: (B, 1, H, W), 1 = hole.
        coarse: (B, 3, H, W), which our own network looks at.
        neighbors: (B, K, 3, H, W), which Sim-K and our own look at.
        faces: (B,) bool, for our own: which photos show a face as it knows them; all if None.

    Returns:
        (B, 3, H, W), known pixels included, not clamped.
    """
    painted: Tensor
    kind = getattr(network, "module", network)  # what is trained may be wrapped by PyTorch's DDP
    if isinstance(kind, CopyUNet):
        painted = network(photos, holes, coarse, neighbors, faces)
    elif isinstance(kind, SimUNet):
        painted = network(photos, holes, neighbors)
    else:
        painted = network(photos, holes)
    return painted


def in_turns(network: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Run a network on a CPU on no more than so many pixels at once; elsewhere on all of them.

    Features of more photos leave the processor's caches, and each time fresh pages are asked for
    them: 16 photos of 256 pixels at once take 2.5 times as long as one after another.

    Args:
        network: (B, ...) tensors to (B, C, H, W).
        inputs: what it takes; the first are photos (B, 3, H, W).
    """
    photos = inputs[0]
    if photos.device.type != "cpu":
        return network(*inputs)
    at_once = max(1, _PIXELS_AT_ONCE // photos[0, 0].numel())
    parts = zip(*(torch.split(tensor, at_once) for tensor in inputs), strict=True)
    return torch.cat([network(*part) for part in parts])


def _described(network: nn.Module) -> str:
    config = getattr(network, "config", None)
    return f"a {type(network).__name__} of {config}" if config else f"a {type(network).__name__}"
