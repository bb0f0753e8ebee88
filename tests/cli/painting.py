"""`simpaint inpaint` with small networks, and a hole."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from simpaint.cli import main


def hole() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    mask = np.zeros((80, 80), np.bool_)
    mask[30:45, 20:60] = True
    return mask


def run(folder: Path, *arguments: object, k: int = 1) -> Result:
    networks = ["--coarse", folder / "pconv.safetensors"]
    networks += ["--network", folder / f"sim-{k}.safetensors", "--size", 32, "--device", "cpu"]
    return CliRunner().invoke(main, ["inpaint", *map(str, [*networks, *arguments])])
