"""Two processes that share a batch learn what one learns."""

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from simpaint.inpainter.train.photo_cache import PhotoCache

RUN = """
import sys
from pathlib import Path
from simpaint.data import MaskConfig
from simpaint.inpainter import LossWeights, Recipe, Stage, UNetConfig, build_unet, checkpoint
from simpaint.inpainter.train.batches import InpaintingBatches, PhotoSet
from simpaint.inpainter.train.photo_cache import PhotoCache
import torch
from simpaint.inpainter.train.tasks import InpaintingTask
from simpaint.inpainter.training import RunOptions, train

weights = LossWeights(perceptual=0, style=0)
recipe = Recipe((Stage(32, 6, 4),), learning_rate=1e-3, average=0.9, loss=weights, check_every=3)
photos = PhotoSet.alone(PhotoCache(Path(sys.argv[1])))
batches = InpaintingBatches(photos, [MaskConfig(shape="left")], None, recipe, 0)
torch.manual_seed(0)
network = build_unet(UNetConfig("sim", (4, 6)))
task = InpaintingTask(network, None, weights, batches.validation())
options = RunOptions(Path(sys.argv[2]), workers=0, cpu=True)
train(task, batches, recipe, options, {}, checkpoint.save)
"""


def test_two_processes_learn_what_one_learns(cache: PhotoCache, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    both = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    states = []
    for name, launch in (("one", []), ("two", both)):
        arguments = [script, cache.folder, tmp_path / name]
        command = [sys.executable, *launch, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, timeout=600, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        states.append(load_file(tmp_path / name / "state-00000006.safetensors"))
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value, atol=1e-5, rtol=1e-4)
