"""PConv's one-channel window sums against full multi-channel mask convolutions.

The peer is the same network and weights with masks as wide as the features, as in NVIDIA's
partialconv with `multi_channel=True`: a second convolution, with ones, counts each window. Both
are checked to give the same picture before they are timed, turn about.

    python benchmarks/partial_conv.py [--variant small] [--size 256] [--batch 4] [--device cpu]
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simpaint.inpainter.partial_conv import PartialConv2d, Source
from simpaint.inpainter.unet import VARIANTS, PConvUNet, UNetConfig

LIMIT = 1.5


class MultiChannel(PartialConv2d):
    """The same layer; masks have as many channels as features, and are convolved with ones."""

    def forward(self, sources: Sequence[Source]) -> Source:
        """Convolve the sources, concatenated."""
        features = torch.cat([f for f, _ in sources], dim=1)
        mask = torch.cat([1.0 - hole.expand_as(f) for f, hole in sources], dim=1)
        with torch.no_grad():
            ones = torch.ones_like(self.conv.weight)
            count = F.conv2d(mask, ones, None, self.stride, self.padding)  # (B, out, H', W')
            reached = count.clamp(0, 1)
            scale = self.conv.weight[0].numel() / (count + 1e-8) * reached
        out = self.conv(features * mask) * scale
        if self.bias is not None:
            out = (out + self.bias.view(1, -1, 1, 1)) * reached
        return out, 1.0 - reached


def multi_channel(network: PConvUNet) -> PConvUNet:
    """A copy of a network with the peer's layers, and the same weights."""
    copy = PConvUNet(network.config)
    for module in copy.modules():
        if isinstance(module, PartialConv2d):
            module.__class__ = MultiChannel
    copy.load_state_dict(network.state_dict())
    return copy


def step(network: nn.Module, photos: Tensor, holes: Tensor) -> Callable[[], None]:
    """One forward and backward pass."""

    def run() -> None:
        network.zero_grad()
        network(photos, holes).square().mean().backward()
        if photos.is_cuda:
            torch.cuda.synchronize()

    return run


def seconds(steps: Sequence[Callable[[], None]], repeats: int) -> list[float]:
    """The median time of each, warmed up, taken turn about so that a busy machine is fair."""
    times: list[list[float]] = [[] for _ in steps]
    for repeat in range(repeats + 2):
        for own, run in zip(times, steps, strict=True):
            start = time.perf_counter()
            run()
            if repeat >= 2:
                own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in times]


def main() -> int:
    """Time both, print the ratio, and tell by the exit code whether it is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", choices=VARIANTS, default="small")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.manual_seed(0)
    network = PConvUNet(UNetConfig("pconv", VARIANTS[options.variant])).to(options.device)
    peer = multi_channel(network).to(options.device)
    photos = torch.rand(options.batch, 3, options.size, options.size, device=options.device)
    side = options.size // 4
    holes = torch.zeros_like(photos[:, :1])
    holes[..., side : 3 * side, side : 3 * side] = 1
    torch.testing.assert_close(network(photos, holes), peer(photos, holes), atol=1e-3, rtol=1e-3)
    ours, theirs = seconds(
        [step(network, photos, holes), step(peer, photos, holes)], options.repeats
    )
    place = torch.cuda.get_device_name() if photos.is_cuda else f"{torch.get_num_threads()} threads"
    print(
        f"{options.variant}, {options.batch} photos of {options.size} px, forward + backward, "
        f"{place}: {ours * 1e3:.0f} ms, multi-channel masks {theirs * 1e3:.0f} ms: "
        f"{theirs / ours:.2f} times as fast (limit {LIMIT})"
    )
    return int(theirs / ours < LIMIT)


if __name__ == "__main__":
    sys.exit(main())
