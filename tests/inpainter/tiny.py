"""Networks for tests: small, random, quick; and a detector that finds what it is told."""

import cmath
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from simpaint.data.images import Pixels
from simpaint.inpainter import Inpainter, PConvUNet, SimUNet, UNetConfig
from simpaint.inpainter.checkpoint import save
from simpaint.inpainter.copy_unet import CopyConfig, CopyUNet
from simpaint.inpainter.painters import LastNetwork
from simpaint.inpainter.whole.find_faces import FaceFinder
from simpaint.inpainter.whole.frames import Frame
from simpaint.inpainter.whole.framing import Face

WIDTHS = (8, 8, 8)
FACE = Frame(0.2 + 0.1j, cmath.rect(0.7, 0.15))


def tiny_pconv() -> PConvUNet:
    torch.manual_seed(0)
    return PConvUNet(UNetConfig("pconv", WIDTHS)).eval()


def tiny_sim(k: int = 0) -> SimUNet:
    torch.manual_seed(k + 1)
    return SimUNet(UNetConfig("sim", WIDTHS, k)).eval()


def write_networks(folder: Path) -> None:
    """pconv, sim-0, sim-1 and sim-3, as files."""
    save(folder / "pconv.safetensors", tiny_pconv(), {})
    for k in (0, 1, 3):
        save(folder / f"sim-{k}.safetensors", tiny_sim(k), {})


class Told(FaceFinder):
    """A detector that finds faces where it is told, as shares of whatever it is shown."""

    def __init__(self, *frames: Frame) -> None:
        self.frames = frames
        self.seen: list[Pixels] = []

    def __call__(self, photo: Pixels, hole: NDArray[np.bool_], smallest: int) -> list[Face]:
        self.seen.append(photo)
        width = photo.shape[1]
        return [Face(Frame(f.corner * width, f.side * width), 9.0) for f in self.frames]


def tiny_copy() -> CopyUNet:
    torch.manual_seed(0)
    return CopyUNet(CopyConfig(widths=(4, 4, 8, 8), blocks=1)).eval()


def painter(
    *frames: Frame, size: int = 32, seed: int = 0, network: Callable[[], LastNetwork] = tiny_sim
) -> Inpainter:
    return Inpainter(
        tiny_pconv(), network(), k=0, size=size, finder=Told(*frames), seed=seed, device="cpu"
    )


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()
