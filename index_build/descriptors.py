"""Descriptors: what a photo looks like, as a vector whose inner products tell resemblance.

`simnet` is our own and needs no download; `vgg16` is the paper's choice (Iskakov 2018, section 3);
`dlib` tells who it is rather than what it looks like.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError, WeightsError, expect_one_of
from .simnet import DIMENSIONS, INPUT_SIZE, load_simnet
from .tensors import read_tensors, tensors_sha256, write_tensors
from .vgg import load_vgg16

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"
Pooling: TypeAlias = Literal["grid", "flatten", "gem", "avg"]

_VGG_SIZE = 224
_VGG_GRID = 4
_ROUNDING = 1e-10  # of the squared length: variance that is not of the vectors but of their floats
_GEM_POWER = 3.0  # Radenovic et al. 2018: between average (1) and maximum (infinity)


class Descriptor(Protocol):
    """Squares in, unit vectors out."""

    @property
    def name(self) -> str:
        """One of "simnet", "vgg16" and "dlib"."""

    @property
    def d(self) -> int:
        """How many dimensions a vector has."""

    @property
    def input_size(self) -> int:
        """The side S of the squares it takes, in pixels."""

    @property
    def weights_sha256(self) -> str:
        """A hash of the weights; whatever else decides the vectors stands in `config`."""

    @property
    def config(self) -> dict[str, JSON]:
        """The options it was made with, as they go into a database's manifest."""

    def __call__(self, images: Tensor) -> Tensor:
        """Describe photos.

        Args:
            images: (B, 3, S, S) float32 RGB in [0, 1], on any device.

        Returns:
            (B, d) float32 on the CPU, rows of length 1: their inner product is the cosine.
        """


@dataclass(frozen=True)
class DescriptorConfig:
    """Which descriptor, and how.

    Attributes:
        name: the network.
        pooling: what becomes of VGG-16's last feature map: averaged on a 4 by 4 grid, which keeps
            where things are; all of it; generalised mean; mean. The others have no such choice.
        pca: dimensions to whiten to; learned from a sample when a database is built.
        weights: a file of weights in place of the shipped or downloaded ones.
    """

    name: Literal["simnet", "vgg16", "dlib"] = "simnet"
    pooling: Pooling = "grid"
    pca: int | None = None
    weights: Path | None = None

    def __post_init__(self) -> None:
        expect_one_of("descriptor", self.name, ("simnet", "vgg16", "dlib"))
        expect_one_of("pooling", self.pooling, get_args(Pooling))

    def as_json(self) -> dict[str, JSON]:
        """What decides the vectors, without the path: weights are told apart by their hash."""
        values = cast("dict[str, JSON]", asdict(self))
        del values["weights"]
        return values


def load_descriptor(config: DescriptorConfig, device: str = "auto") -> Descriptor:
    """Make a descriptor ready to use, not whitened yet: see `Whitened`.

    Args:
        config: which one.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1"...; dlib uses the CPU.

    Raises:
        InputError: an option that this descriptor does not have.
        WeightsError: weights missing, damaged or of another network.
        DependencyError: `dlib` without the extra `faces`.
    """
    if config.name != "vgg16" and config.pooling != "grid":
        raise InputError(f"--pooling {config.pooling}: expected with vgg16, found {config.name}")
    if config.name == "dlib":
        from .faces import DlibDescriptor

        if config.weights is not None:
            raise InputError("--weights: expected with simnet or vgg16, found dlib")
        return DlibDescriptor(config.as_json())
    place = torch.device(pick_device(device))
    if config.name == "simnet":
        simnet = load_simnet(config.weights)
        return NetworkDescriptor(simnet, "simnet", DIMENSIONS, INPUT_SIZE, config.as_json(), place)
    pooled = _PooledVGG(load_vgg16(config.weights), config.pooling)
    return NetworkDescriptor(pooled, "vgg16", pooled.d, _VGG_SIZE, config.as_json(), place)


def pick_device(device: str = "auto") -> str:
    """Let "auto" become "cuda" where there is a usable GPU, else "cpu".

    Raises:
        InputError: another device, or a GPU that is not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if device != "cpu" and (kind != "cuda" or not (number.isdecimal() or device == kind)):
        raise InputError(f"--device {device}: expected auto, cpu, cuda or cuda:NUMBER")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count() or "none"
        raise InputError(f"--device {device}: expected a usable CUDA GPU, found {found}")
    return device


class NetworkDescriptor:
    """A network as a descriptor: inference mode, channels last, bfloat16 on a GPU."""

    def __init__(
        self,
        network: nn.Module,
        name: str,
        d: int,
        input_size: int,
        config: dict[str, JSON],
        device: torch.device,
    ) -> None:
        self.name, self.d, self.input_size, self.config = name, d, input_size, config
        self.weights_sha256 = tensors_sha256(network.state_dict())
        self._device = device
        self._network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: Tensor) -> Tensor:
        """Describe photos: see `Descriptor`."""
        check_squares(images, self.input_size)
        on_gpu = self._device.type == "cuda"
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=on_gpu),
        ):
            squares = images.to(self._device, non_blocking=True)
            vectors = self._network(squares.contiguous(memory_format=torch.channels_last))
            return F.normalize(vectors.float(), dim=1).cpu()


def check_squares(images: Tensor, size: int) -> None:
    """Refuse what is not a batch of RGB squares of the descriptor's size.

    Raises:
        InputError: another shape or type.
    """
    if images.ndim != 4 or images.shape[1:] != (3, size, size) or not images.is_floating_point():
        raise InputError(
            f"images: expected float (B, 3, {size}, {size}), "
            f"found {images.dtype} {tuple(images.shape)}"
        )


class _PooledVGG(nn.Module):
    """VGG-16's last convolution, pooled to one vector a picture."""

    def __init__(self, vgg: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.vgg = vgg
        self.pooling = pooling
        places = {"grid": _VGG_GRID**2, "flatten": (_VGG_SIZE // 16) ** 2, "gem": 1, "avg": 1}
        self.d = 512 * places[pooling]

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.vgg(images)[0]  # (B, 512, 14, 14)
        if self.pooling == "grid":
            x = F.adaptive_avg_pool2d(x, _VGG_GRID)  # (B, 512, 4, 4)
        elif self.pooling == "gem":
            x = x.float().clamp(min=1e-6).pow(_GEM_POWER).mean((2, 3)).pow(1 / _GEM_POWER)
        elif self.pooling == "avg":
            x = x.mean((2, 3))
        return x.flatten(1)


class Whitening:
    """PCA-whitening learned from a sample (Jegou and Chum 2012): fewer, decorrelated dimensions."""

    def __init__(self, mean: Tensor, matrix: Tensor) -> None:
        """Take the mean (D,) and the matrix (D, d), both float32."""
        self.mean, self.matrix = mean, matrix

    @classmethod
    def fit(cls, vectors: Tensor, d: int) -> "Whitening":
        """Learn from a sample of vectors (n, D) the d directions in which they differ most.

        Directions that the sample hardly varies in are not blown up: the divisor is at least a
        thousandth of the largest.

        Raises:
            InputError: d is larger than D, there are too few vectors for it, or all are the same.
        """
        count, dimensions = vectors.shape
        if not 1 <= d <= min(dimensions, count - 1):
            raise InputError(
                f"--pca {d}: expected 1 to {min(dimensions, count - 1)} for a sample of "
                f"{count} vectors of {dimensions} dimensions"
            )
        mean = vectors.double().mean(0)
        variances, directions = _principal(vectors.double() - mean, d)
        if float(variances[0]) <= _ROUNDING * float(mean.square().sum()):
            raise InputError(
                f"--pca {d}: expected photos that differ, found {count} of the same descriptor"
            )
        deviations = variances.clamp(min=1e-6 * float(variances[0])).sqrt()
        matrix = directions / deviations  # (D, d)
        return cls(mean.float(), matrix.float().contiguous())

    def __call__(self, vectors: Tensor) -> Tensor:
        """Whiten vectors (n, D) to rows (n, d) of length 1."""
        white: Tensor = F.normalize((vectors - self.mean) @ self.matrix, dim=1)
        return white

    def save(self, path: Path) -> None:
        """Write mean and matrix as safetensors.

        Raises:
            StorageError: the file cannot be written.
        """
        write_tensors(path, {"mean": self.mean, "matrix": self.matrix})

    @classmethod
    def load(cls, path: Path) -> "Whitening":
        """Read what `save` wrote.

        Raises:
            WeightsError: the file is missing, damaged or holds something else.
        """
        found, _ = read_tensors(path)
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
        mean, matrix = found.get("mean"), found.get("matrix")
        if mean is None or matrix is None or matrix.ndim != 2 or mean.shape != matrix.shape[:1]:
            raise WeightsError(f"{path}: expected mean (D,) and matrix (D, d), found {shapes}")
        if not (mean.isfinite().all() and matrix.isfinite().all()):
            raise WeightsError(f"{path}: expected finite numbers, found others")
        return cls(mean.float(), matrix.float())


def _principal(centred: Tensor, d: int) -> tuple[Tensor, Tensor]:
    """The d largest variances (d,), descending, and their directions (D, d), of rows (n, D).

    By the eigenvectors of whichever is smaller, the (D, D) covariance or the (n, n) Gram matrix.
    """
    count, dimensions = centred.shape
    if dimensions <= count:
        values, vectors = torch.linalg.eigh(centred.T @ centred)
        directions = vectors[:, -d:].flip(1)
    else:
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        directions = F.normalize(centred.T @ vectors[:, -d:].flip(1), dim=0)
    return values[-d:].flip(0) / (count - 1), directions


class Whitened:
    """A descriptor followed by a whitening, itself a descriptor."""

    def __init__(self, descriptor: Descriptor, whitening: Whitening) -> None:
        """Join them.

        Raises:
            WeightsError: the whitening was learned for vectors of another dimension.
        """
        dimensions = whitening.mean.shape[0]
        if dimensions != descriptor.d:
            raise WeightsError(
                f"whitening: expected one for {descriptor.d} dimensions, found {dimensions}"
            )
        self.name, self.input_size = descriptor.name, descriptor.input_size
        self.weights_sha256 = descriptor.weights_sha256
        self.d = whitening.matrix.shape[1]
        self.config: dict[str, JSON] = {**descriptor.config, "pca": self.d}
        self._descriptor, self._whitening = descriptor, whitening

    def __call__(self, images: Tensor) -> Tensor:
        """Describe photos: see `Descriptor`."""
        return self._whitening(self._descriptor(images))
