"""A descriptor for tests, and photos for it: quick, and nothing to load."""

import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from simpaint.data.drawn_faces import drawn_face
from simpaint.index_build.adding import Added, add
from simpaint.index_build.descriptors import JSON


class TinyDescriptor:
    """Pixels averaged on a 4 by 4 grid, less their mean: 48 dimensions."""

    name = "tiny"
    d = 48
    input_size = 32
    weights_sha256 = "0" * 64

    def __init__(self) -> None:
        self.config: dict[str, JSON] = {"name": "tiny"}

    def __call__(self, images: Tensor) -> Tensor:
        grid = F.adaptive_avg_pool2d(images, 4).flatten(1)
        return F.normalize(grid - 0.5 + 1e-3, dim=1)


def face_jpeg(seed: int, size: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(drawn_face(np.random.default_rng(seed), size)).save(buffer, "JPEG")
    return buffer.getvalue()


def draw_faces(folder: Path, count: int, start: int = 0) -> Path:
    """Fill a folder with `count` drawn faces, named so that they sort by number."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(start, start + count):
        (folder / f"{i:04d}.jpg").write_bytes(face_jpeg(i))
    return folder


def added(db: Path, photos: Path) -> Added:
    return add(db, photos, descriptor=TinyDescriptor())


def tensor_of(path: Path, size: int) -> Tensor:
    """The slow way: one photo (1, 3, S, S), without draft."""
    with Image.open(path) as image:
        small = image.convert("RGB").resize((size, size), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 255
