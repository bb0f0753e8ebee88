"""Networks on disk: safetensors whose metadata say what they are and how they were made."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import nn

from ..errors import InputError, WeightsError
from ..index_build.simnet import SimNet
from ..index_build.tensors import check_tensors, read_tensors, tensors_sha256, write_tensors
from .copy_unet import CopyConfig, CopyUNet
from .dcgan import Generator, GeneratorConfig
from .unet import PConvUNet, SimUNet, UNetConfig, build_unet
from .whole.framing import FramingConfig, FramingNet

SHIPPED = Path(__file__).parent / "weights"
OUR_OWN = "simpaint-small"
"""The shipped network that paints unless told otherwise."""

_KEY = "simpaint"
_FORMAT = 1

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class _Kind:
    """How a network's configuration becomes the network.

    Attributes:
        network: its class.
        build: from the configuration's JSON values.
    """

    network: type[nn.Module]
    build: Callable[[dict[str, Any]], nn.Module]


def _with_widths(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "widths": tuple(config["widths"])}


_KINDS: dict[str, _Kind] = {
    "pconv": _Kind(PConvUNet, lambda c: build_unet(UNetConfig(**_with_widths(c)))),
    "sim": _Kind(SimUNet, lambda c: build_unet(UNetConfig(**_with_widths(c)))),
    "copy": _Kind(CopyUNet, lambda c: CopyUNet(CopyConfig(**_with_widths(c)))),
    "dcgan": _Kind(Generator, lambda c: Generator(GeneratorConfig(**c))),
    "framing": _Kind(FramingNet, lambda c: FramingNet(FramingConfig(**_with_widths(c)))),
    "simnet": _Kind(SimNet, lambda c: SimNet(**c)),
}


def shipped(*networks: type[nn.Module]) -> list[str]:
    """The names that `load` knows without a path: of all networks, or of these classes."""
    paths = sorted(SHIPPED.glob("*.safetensors"))
    return [path.stem for path in paths if not networks or _is_a(path, networks)]


def _is_a(path: Path, networks: tuple[type[nn.Module], ...]) -> bool:
    with safe_open(path, framework="pt") as file:
        kind = _KINDS[_about(path, file.metadata() or {})["network"]]
    return issubclass(kind.network, networks)


def save(path: Path, network: nn.Module, notes: Mapping[str, Any], *, half: bool = False) -> None:
    """Write a network, atomically.

    Args:
        path: the file.
        network: one of those that `load` can build.
        notes: how it was made: data, recipe, features, numbers; JSON values.
        half: as float16, half the size; for shipping.

    Raises:
        StorageError: the file cannot be written.
    """
    name = next(name for name, kind in _KINDS.items() if type(network) is kind.network)
    dtype = torch.float16 if half else torch.float32
    tensors = {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }
    # A dataclass in all networks but SimNet, of which there is but one.
    config = {} if isinstance(network, SimNet) else asdict(network.config)  # type: ignore[call-overload]
    about = {
        "format": _FORMAT,
        "network": name,
        "config": config,
        "sha256": tensors_sha256(tensors),
        "notes": dict(notes),
    }
    write_tensors(path, tensors, {_KEY: json.dumps(about)})


def load(source: str | Path, network: type[Network]) -> Network:
    """Read a network, in evaluation mode, float32, on the CPU.

    Args:
        source: the name of shipped weights, or the path of a file that `save` wrote.
        network: the class that is expected.

    Raises:
        WeightsError: no such weights, a damaged file, or another network's.
    """
    path = _find(source, network)
    tensors, metadata = read_tensors(path)
    about = _about(path, metadata)
    kind = _KINDS.get(about["network"])
    if kind is None or not issubclass(kind.network, network):
        raise WeightsError(
            f"{path}: expected weights of a {network.__name__}, found those of {about['network']!r}"
        )
    if tensors_sha256(tensors) != about["sha256"]:
        raise WeightsError(f"{path}: damaged: its weights do not have the checksum in its header")
    try:
        built = kind.build(about["config"])
    except (InputError, TypeError, KeyError) as error:
        raise WeightsError(f"{path}: expected a configuration, found {about['config']}") from error
    check_tensors(path, tensors, built.state_dict())
    built.load_state_dict(tensors)  # float16 is widened here
    assert isinstance(built, network)  # noqa: S101 - checked by its kind above
    return built.eval()


def notes(source: str | Path) -> dict[str, Any]:
    """How a network was made: what `save` was given.

    Raises:
        WeightsError: as `load`, but the weights themselves are not checked.
    """
    path = _find(source)
    found: dict[str, Any] = _about(path, read_tensors(path)[1])["notes"]
    return found


def _find(source: str | Path, network: type[nn.Module] = nn.Module) -> Path:
    """A shipped name's file, or the path itself; of a path it is the file that counts more."""
    path = Path(source)
    there = path.is_file()
    if str(source) in shipped() and not (there and isinstance(source, Path)):
        return SHIPPED / f"{source}.safetensors"
    if not there:
        known = ", ".join(shipped(network)) or "none"
        raise WeightsError(
            f"{source or 'no name'}: expected a file or a shipped name ({known}), found neither"
        )
    return path


def _about(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(metadata[_KEY])
        complete = about.keys() >= {"format", "network", "config", "sha256", "notes"}
    except (KeyError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{path}: expected simpaint's weights, found another program's"
        ) from error
    if not complete or about["format"] != _FORMAT:
        raise WeightsError(
            f"{path}: expected weights of format {_FORMAT}, found {about.get('format')}"
        )
    return about
