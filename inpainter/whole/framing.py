"""Frames set right: from roughly where a face is to the frame that the networks know.

Detectors say where a face is, not how it is turned, and landmarks that a hole hides mislead. A
small network that was trained on faces with holes looks at what is known around a rough frame, and
tells how far it is off, and whether there is a face at all.
"""

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...data.images import Pixels
from ...errors import InputError
from ..conv import Conv2d, Residual
from .frames import Frame, cut, cut_hole

_AT_ONCE: Final = 64  # views
_LOOKS: Final = 5
_LOST: Final = -math.inf
_MIRRORED: Final = (-1.0, 1.0, 1.0, -1.0, 1.0)  # what is told, in the mirror image
_FARTHEST: Final = 0.6  # of a detector's frame's side; what moves farther is lost


@dataclass(frozen=True)
class FramingConfig:
    """How large, wide and deep.

    Attributes:
        size: side of what is seen, in pixels; a power of two.
        room: side of what is seen, in sides of the frame.
        widths: channels at a half, a quarter ... of the size.
    """

    size: int = 64
    room: float = 1.5
    widths: tuple[int, ...] = (24, 48, 96, 128)

    def __post_init__(self) -> None:
        if self.size % (1 << len(self.widths)) or not self.widths or self.room < 1:
            raise InputError(f"a view is to be halved {len(self.widths)} times: {self}")


class FramingNet(nn.Module):
    """Views around rough frames to how far these are off.

    Attributes:
        config: what it was built from.
    """

    def __init__(self, config: FramingConfig) -> None:
        super().__init__()
        self.config = config
        first, *rest = config.widths
        layers: list[nn.Module] = [Conv2d(4, first, 5, 2, 2)]
        for width, wider in zip(config.widths, rest, strict=False):
            layers += [nn.ReLU(), Conv2d(width, wider, 3, 2, 1), Residual(wider)]
        side = config.size >> len(config.widths)
        layers += [nn.ReLU(), nn.Flatten(), nn.Linear(config.widths[-1] * side**2, 256), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.told = nn.Linear(256, 5)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)

    def forward(self, views: Tensor) -> Tensor:
        """Tell where the right frames are, and whether there is a face.

        Args:
            views: (B, 4, S, S), as `view` makes them.

        Returns:
            (B, 5): how far right and down the right frame's centre is, in sides of the rough one;
            the logarithm of its side over the rough one's; by how many radians it is turned; the
            log-odds that a face is near the rough frame at all.
        """
        out: Tensor = self.told(self.features(views))
        return out


def view(photo: Pixels, hole: NDArray[np.bool_], frame: Frame, config: FramingConfig) -> Tensor:
    """What the network sees of a photo: colours, 0 where it is not known, and what is not.

    Args:
        photo: uint8 RGB (H, W, 3); what stands in the hole is not seen.
        hole: (H, W).
        frame: roughly where the face is.
        config: of the network.

    Returns:
        (4, S, S) float32; what lies beyond the photo is not known either.
    """
    side = frame.side * config.room
    wide = Frame.about(frame.centre, side)
    hidden = cut_hole(hole, wide, config.size)[..., None]
    colours = np.where(hidden, 0, cut(photo, wide, config.size) / 255)
    seen = np.concatenate([colours, hidden], axis=2, dtype=np.float32)
    return torch.from_numpy(seen).permute(2, 0, 1)


class Face(NamedTuple):
    """A face in a photo.

    Attributes:
        frame: its square.
        score: log-odds that it is one.
    """

    frame: Frame
    score: float

    def back(self, scale: float, corner: complex = 0j) -> "Face":
        """The face in the photo of which a part, cut out at `corner`, was reduced to `scale`."""
        frame = Frame(self.frame.corner / scale + corner, self.frame.side / scale)
        return Face(frame, self.score)


def set_right(
    network: FramingNet, photo: Pixels, hole: NDArray[np.bool_], frames: Sequence[Frame]
) -> list[Face]:
    """Rough frames moved, scaled and turned to where faces are, step by step.

    Each step is the mean of what the network tells of a view and of its mirror image.

    Args:
        network: in evaluation mode, on the CPU.
        photo: uint8 RGB (H, W, 3).
        hole: (H, W): what of it is not known.
        frames: roughly where faces are.

    Returns:
        as many; where the network goes astray, the rough frame, with a score of -inf.
    """
    found = [Face(frame, 0.0) for frame in frames]
    for _ in range(_LOOKS):
        told = corrected(network, photo, hole, [face.frame for face in found])
        found = [
            face if before.score > _LOST and _near(face.frame, rough) else Face(rough, _LOST)
            for before, face, rough in zip(found, told, frames, strict=True)
        ]
    return found


def corrected(
    network: FramingNet, photo: Pixels, hole: NDArray[np.bool_], frames: Sequence[Frame]
) -> list[Face]:
    """One step of `set_right`: each frame as the network corrects it, and its score before."""
    faces: list[Face] = []
    for start in range(0, len(frames), _AT_ONCE):
        some = frames[start : start + _AT_ONCE]
        views = torch.stack([view(photo, hole, frame, network.config) for frame in some])
        with torch.inference_mode():
            here, there = network(torch.cat([views, views.flip(-1)])).double().chunk(2)
        told = ((here + there * there.new_tensor(_MIRRORED)) / 2).tolist()
        faces += [
            Face(_moved(frame, offset), score)
            for frame, (*offset, score) in zip(some, told, strict=True)
        ]
    return faces


def offset_between(rough: Frame, right: Frame) -> tuple[float, float, float, float]:
    """What the network should tell of a rough frame."""
    shift = (right.centre - rough.centre) / rough.side
    change = cmath.log(right.side / rough.side)
    return shift.real, shift.imag, change.real, change.imag


def _moved(frame: Frame, offset: Sequence[float]) -> Frame:
    right, down, scale, turn = offset
    side = frame.side * cmath.exp(complex(scale, turn))
    return Frame.about(frame.centre + frame.side * complex(right, down), side)


def _near(right: Frame, rough: Frame) -> bool:
    ratio = abs(right.side) / abs(rough.side)
    away = abs(right.centre - rough.centre) / abs(rough.side)
    return 0.5 < ratio < 2 and away < _FARTHEST
