"""Masks for PyTorch's data loaders."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .masks import MaskGenerator


class MaskDataset(Dataset[Tensor]):
    """Masks first to first + count of a generator, drawn when asked for.

    Args:
        generator: draws the masks.
        count: how many.
        first: index of the first one.

    An item is (1, size, size) float32, 1 = hole. It does not depend on the worker that draws it.
    """

    def __init__(self, generator: MaskGenerator, count: int, first: int = 0) -> None:
        self.generator = generator
        self.count = count
        self.first = first

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < self.count:
            raise IndexError(f"mask {index} of {self.count}")
        return torch.from_numpy(self.generator[self.first + index][None].astype(np.float32))
