"""Named tensors on disk: safetensors in and out, checked, and never a pickle."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..data.files import replacing
from ..errors import WeightsError


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors and a few words about them, atomically.

    Raises:
        StorageError: the file cannot be written.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(contiguous, dict(metadata or {})))  # save_file's mode is 0600


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors of a safetensors file, and its metadata.

    Raises:
        WeightsError: the file is missing, damaged or no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # the file itself is not iterable
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: expected a whole safetensors file: {error}") from error


def fill(network: nn.Module, path: Path) -> None:
    """Give a network weights of others' making: safetensors, or a PyTorch state dictionary.

    Raises:
        WeightsError: the file is missing, damaged or another network's.
    """
    found = read_tensors(path)[0] if path.suffix == ".safetensors" else _read_pth(path)
    wanted = network.state_dict()
    check_tensors(path, found, wanted)
    network.load_state_dict({name: found[name] for name in wanted})


def _read_pth(path: Path) -> dict[str, Tensor]:
    """A PyTorch state dictionary, read without running anything that the file contains."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # whose own message tells how to run the file's code
        raise WeightsError(
            f"{path}: expected PyTorch weights, a dictionary of tensors; found another file, a "
            "damaged one, or one with more in it"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: expected PyTorch weights: {reason}") from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise WeightsError(
            f"{path}: expected a dictionary of tensors, found {type(found).__name__}"
        )
    return found


def check_tensors(
    source: object, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Refuse tensors whose names or shapes are not the expected ones; extra ones do no harm.

    Args:
        source: what the message names, usually the file.
        found: the tensors read.
        expected: tensors with the right names and shapes.

    Raises:
        WeightsError: the first tensor that is missing or has another shape.
    """
    for name, tensor in expected.items():
        if name not in found:
            raise WeightsError(f"{source}: expected a tensor {name}, found none of that name")
        if found[name].shape != tensor.shape:
            raise WeightsError(
                f"{source}: expected {name} of shape {tuple(tensor.shape)}, "
                f"found {tuple(found[name].shape)}"
            )


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """A SHA-256 of names, shapes and float32 values: equal for equal weights in any file format."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{tuple(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
