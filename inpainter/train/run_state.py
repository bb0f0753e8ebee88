"""A training run on disk: everything that its next step depends on, as safetensors.

A run's folder holds `state-00001000.safetensors` of the last three checks, `network.safetensors`
(the best so far, or the last where nothing is validated) and TensorBoard's `events...`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...data.files import storage_errors
from ...data.settings import changed_settings
from ...errors import InputError, WeightsError
from ...index_build.tensors import check_tensors, read_tensors, tensors_sha256, write_tensors

KEEP = 3
_NAME = re.compile(r"state-(\d{8})\.safetensors")


@dataclass(frozen=True)
class Place:
    """Where a run stands.

    Attributes:
        step: steps taken.
        best: the lowest validation loss so far, infinite before the first.
        since_best: checks since then.
    """

    step: int = 0
    best: float = float("inf")
    since_best: int = 0


class RunState:
    """The modules and optimizers whose tensors make up a run.

    Args:
        folder: the run's folder.
        modules: networks and their averages, by name.
        optimizers: Adams, by name.
        settings: what the run was started with, as JSON values; another run's state is refused.
    """

    def __init__(
        self,
        folder: Path,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        settings: dict[str, Any],
    ) -> None:
        self.folder, self.modules, self.optimizers = folder, modules, optimizers
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))

    def save(self, place: Place) -> None:
        """Write everything, atomically, then drop all but the last three.

        Raises:
            StorageError: the folder cannot be written.
        """
        tensors = self._module_tensors()
        for name, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                tensors |= {f"{name}.adam.{index}.{slot}": value for slot, value in slots.items()}
        metadata = {
            "place": json.dumps(asdict(place)),
            "settings": json.dumps(self.settings),
            "sha256": tensors_sha256(tensors),
        }
        path = self.folder / f"state-{place.step:08d}.safetensors"
        write_tensors(path, tensors, metadata)
        for old in _states(self.folder)[:-KEEP]:
            with storage_errors(old):
                old.unlink()

    def restore(self) -> Place:
        """Read the last state, if there is one, into modules and optimizers.

        Raises:
            InputError: the run was started with other settings.
            WeightsError: the file is damaged.
        """
        states = _states(self.folder)
        if not states:
            return Place()
        path = states[-1]
        tensors, metadata = read_tensors(path)
        if metadata.get("sha256") != tensors_sha256(tensors):
            raise WeightsError(f"{path}: damaged, its checksum does not hold; remove it to go back")
        self._check_settings(path, json.loads(metadata["settings"]))
        own = self._module_tensors()
        check_tensors(path, tensors, own)
        with torch.no_grad():
            for key, value in own.items():
                value.copy_(tensors[key])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(_adam_state(optimizer, name, tensors))
        return Place(**json.loads(metadata["place"]))

    def _module_tensors(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": value
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }

    def _check_settings(self, path: Path, found: dict[str, Any]) -> None:
        for name, before, now in changed_settings(found, self.settings):
            raise InputError(f"{path}: was begun with {name} = {before}, found {now} now")


def _states(folder: Path) -> list[Path]:
    """The states of a run, oldest first."""
    return sorted(path for path in folder.glob("state-*") if _NAME.fullmatch(path.name))


def kept_in(folder: Path) -> Path:
    """The network that a run keeps."""
    return folder / "network.safetensors"


def has_state(folder: Path) -> bool:
    """Whether a run has been begun in a folder and can be resumed."""
    return bool(_states(folder))


def _adam_state(
    optimizer: torch.optim.Optimizer, name: str, tensors: Mapping[str, Tensor]
) -> dict[str, Any]:
    """The optimizer's own description with the slots that were saved."""
    parameters = optimizer.param_groups[0]["params"]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{name}.adam."):
            _, index, slot = key.rsplit(".", 2)
            like = parameters[int(index)]
            if value.shape == like.shape:  # Adam is fast where all memory is laid out alike
                value = torch.empty_like(like).copy_(value)
            slots.setdefault(int(index), {})[slot] = value
    return {**optimizer.state_dict(), "state": slots}
