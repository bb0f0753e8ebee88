"""By how much a photo has to be moved to resemble itself."""

from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from .frames import Floats

_PATCH: Final = 8  # pixels on a side
_DIMENSIONS: Final = 24  # of patches, by their principal components
_SAMPLE: Final = 3000  # patches tell the components
_ASKED: Final = 1500  # patches are compared with all
_AT_ONCE: Final = 512
_SAME: Final = 1e-6  # squared: patches that are as near are taken in their order
_PEAK: Final = np.ones((5, 5), np.uint8)


def usual_offsets(
    photo: Floats, unknown: NDArray[np.bool_], near: NDArray[np.bool_], least: int
) -> NDArray[np.int64]:
    """The offsets at which patches of a photo have their nearest neighbor, the commonest first.

    He and Sun 2012 (Statistics of Patch Offsets for Image Completion, section 3): these are few,
    as things stand in rows and surfaces go on, and what a hole hides is mostly found at them.
    The search is exact, among the patches' principal components.

    Args:
        photo: (H, W, 3) in [0, 1].
        unknown: (H, W); patches that touch it are not looked at.
        near: (H, W), where patches that are asked for their neighbors have their top left corner.
        least: of the longer component, in pixels: what overlaps always resembles.

    Returns:
        (n, 2), down and right; n is 0 where too little is known.
    """
    none = np.empty((0, 2), np.int64)
    if min(unknown.shape) < _PATCH:
        return none
    height, width = unknown.shape
    blocked = torch.from_numpy(unknown.astype(np.float32))[None, None]
    whole = F.max_pool2d(blocked, _PATCH, 1)[0, 0] == 0
    rows, columns = torch.nonzero(whole, as_tuple=True)
    patches = F.unfold(torch.from_numpy(photo).permute(2, 0, 1)[None], _PATCH)[0].T
    patches = _principal(patches[whole.flatten()])
    count = len(patches)
    numbers = torch.full_like(whole, count, dtype=torch.int64)
    numbers[whole] = torch.arange(count)
    close = F.pad(numbers, (least - 1,) * 4, value=count)  # of each patch, those around it
    close = close.unfold(0, 2 * least - 1, 1).unfold(1, 2 * least - 1, 1)
    squares = F.pad(patches.square().sum(1), (0, 1), value=torch.inf)
    patches = F.pad(patches, (0, 0, 0, 1))  # one more, that nothing resembles
    asked = numbers[whole & torch.from_numpy(near)[: whole.shape[0], : whole.shape[1]]]
    asked = asked[:: max(1, -(-len(asked) // _ASKED))]
    counts = np.zeros((2 * height + 1, 2 * width + 1), np.float32)
    distances = torch.empty(min(_AT_ONCE, len(asked)), count + 1, dtype=torch.float64)
    for some in torch.split(asked, _AT_ONCE):
        theirs = distances[: len(some)]
        torch.addmm(squares, patches[some], patches.T, alpha=-2, out=theirs)
        theirs.add_(squares[some, None]).clamp_(min=_SAME)
        theirs.scatter_(1, close[rows[some], columns[some]].flatten(1), torch.inf)
        least_far, nearest = theirs.min(1)
        some, nearest = some[least_far < torch.inf], nearest[least_far < torch.inf]
        down, right = rows[nearest] - rows[some], columns[nearest] - columns[some]
        np.add.at(counts, (height + down.numpy(), width + right.numpy()), 1)
    smooth = np.asarray(cv2.GaussianBlur(counts + counts[::-1, ::-1], (0, 0), 1), np.float32)
    peaks = np.argwhere((smooth > 0) & (smooth == cv2.dilate(smooth, _PEAK)))
    commonest = np.argsort(-smooth[tuple(peaks.T)], kind="stable")
    return peaks[commonest].astype(np.int64) - (height, width)


def _principal(patches: torch.Tensor) -> torch.Tensor:
    """Patches (n, d) as their principal components (n, c)."""
    if not len(patches):
        return patches.double()
    patches = patches.double()  # so that no rounding, which threads change, tells who is nearest
    centred = patches - patches.mean(0)
    sample = centred[:: -(-len(patches) // _SAMPLE)]
    _, axes = torch.linalg.eigh(sample.T @ sample)
    components: torch.Tensor = centred @ axes[:, -_DIMENSIONS:]
    return components
