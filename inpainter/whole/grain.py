"""Grain for painted pixels, of the strength and the spectrum of the known pixels around them.

A network's painting is smoother than a photo, the more so where it was enlarged. What a photo has
at the finest scale is measured in small patches; the quietest tenth is taken, so that edges do
not count, and noise of the same power spectrum is drawn (Galerne et al. 2011, Random Phase
Textures). Noise has no structure: no edge of the surroundings appears twice.
"""

import math
from typing import Final

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .boxes import box_of
from .frames import Floats

_FEWEST: Final = 4  # patches; less tells nothing about grain
_QUIET: Final = 0.1  # the share of patches that counts as grain alone
_MOST: Final = 400  # patches; more only take time


def _sigma(scale: float) -> float:
    """The scale in pixels under which details count as grain."""
    return max(1.5, scale)


def _patch(scale: float) -> int:
    return 2 * math.ceil(3 * _sigma(scale))


def reach(scale: float) -> int:
    """How many pixels around a hole are looked at.

    Args:
        scale: the photo's pixels in one of the network's.
    """
    return 2 * _patch(scale)


def grain(
    photo: Floats,
    known: NDArray[np.bool_],
    painted: Floats,
    hole: NDArray[np.bool_],
    scale: float,
    rng: np.random.Generator,
) -> Floats:
    """Noise to add to a painting.

    Args:
        photo: (H, W, 3) in [0, 1], used where it is known.
        known: (H, W).
        painted: (H, W, 3), used in the hole.
        hole: (H, W), the pixels that are to get grain.
        scale: the photo's pixels in one of the network's.
        rng: decides the noise.

    Returns:
        (H, W, 3) float32; zeros where there is too little to measure, or no grain.
    """
    side = _patch(scale)
    there = _quiet_patches(high_pass(photo, known, scale), known, side)
    if there is None:
        return np.zeros_like(painted)
    here = _quiet_patches(high_pass(painted, hole, scale), hole, side)
    missing = float((there**2).mean()) - (0 if here is None else float((here**2).mean()))
    if missing <= 0:
        return np.zeros_like(painted)
    box = box_of(hole)
    height, width = hole[box].shape
    drawn = _noise_like(there, (max(height, 2 * side), max(width, 2 * side)), rng)
    noise = np.zeros_like(painted)
    noise[box] = drawn[:height, :width]
    # As the photo's was, over whole patches: a lone pixel has no detail of its own to be measured.
    measured = high_pass(drawn, np.ones(drawn.shape[:2], np.bool_), scale).var()
    # A photo smaller than the network's picture has little grain of its own: what is fine in it is
    # mostly drawing, and that the network can paint.
    gain = min(1.0, scale) * math.sqrt(missing / max(float(measured), 1e-12))
    return np.asarray(noise * gain, np.float32)


def high_pass(picture: Floats, valid: NDArray[np.bool_], scale: float) -> Floats:
    """What a picture (H, W, 3) has at the finest scale, from its valid pixels alone; else 0."""
    mask, sigma = valid.view(np.uint8), _sigma(scale)
    weight = np.asarray(cv2.GaussianBlur(valid.astype(np.float32), (0, 0), sigma))[..., None]
    smooth = cv2.GaussianBlur(cv2.copyTo(picture, mask), (0, 0), sigma)
    details = picture - smooth / np.maximum(weight, 1e-6)
    return np.asarray(cv2.copyTo(details, mask), np.float32)


def _quiet_patches(details: Floats, valid: NDArray[np.bool_], side: int) -> Floats | None:
    """The quietest of all wholly valid patches (n, side, side, 3); None if there are few."""
    if min(valid.shape) < side:
        return None
    step = max(1, side // 2)
    whole = sliding_window_view(valid, (side, side))[::step, ::step].all(axis=(2, 3))
    places = np.argwhere(whole)
    if len(places) < _FEWEST:
        return None
    rows, columns = places[:: -(-len(places) // _MOST)].T
    windows = sliding_window_view(details, (side, side), axis=(0, 1))[::step, ::step]
    patches = np.moveaxis(windows[rows, columns], 1, -1)  # (n, side, side, 3)
    strength = patches.var(axis=(1, 2, 3))
    quiet: Floats = patches[np.argsort(strength)[: max(_FEWEST, round(_QUIET * len(patches)))]]
    return quiet


def _noise_like(patches: Floats, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Gaussian noise (*shape, 3) with the patches' mean spectrum, within and between channels.

    At each frequency the channels' covariance has a Cholesky factor; as filters of white noise,
    these factors give every frequency its strength and every colour its share.
    """
    side = patches.shape[1]
    window = np.outer(np.hanning(side + 2)[1:-1], np.hanning(side + 2)[1:-1])[..., None]
    waves = np.fft.fft2(patches * window, axes=(1, 2))  # (n, side, side, 3)
    covariance = np.einsum("nyxa,nyxb->yxab", waves, waves.conj()) / len(patches)
    least = 1e-6 * np.abs(covariance).max() + 1e-12
    factors = np.linalg.cholesky(covariance + least * np.eye(3))  # (side, side, 3, 3)
    filters = np.fft.fftshift(np.fft.ifft2(factors, axes=(0, 1)).real, axes=(0, 1))
    white = rng.standard_normal((3, *shape), dtype=np.float32)
    noise = np.zeros((*shape, 3), np.float32)
    for colour in range(3):
        for source in range(colour + 1):
            kernel = filters[..., colour, source].astype(np.float32)
            noise[..., colour] += cv2.filter2D(
                white[source], -1, kernel, borderType=cv2.BORDER_REFLECT
            )
    return noise
