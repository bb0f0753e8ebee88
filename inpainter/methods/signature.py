"""What a method is, and what it may ask for."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from torch import Tensor

Method: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(photos (B, 3, H, W) in [0, 1], masks (B, 1, H, W), 1 = hole) to (B, 3, H, W)."""


class Similar(Protocol):
    """Finds photos that resemble others that have holes."""

    def __call__(self, photos: Tensor, masks: Tensor, k: int) -> Tensor:
        """The k most similar photos of each: (B, k, 3, H, W) in [0, 1], the most similar first."""
        ...
