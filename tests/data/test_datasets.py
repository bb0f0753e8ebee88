"""Masks for PyTorch's data loaders."""

import torch
from torch.utils.data import DataLoader

from simpaint.data.datasets import MaskDataset
from simpaint.data.masks import MaskConfig, MaskGenerator
from simpaint.data.strokes import synthetic_bank


def test_worker_processes_draw_the_same_masks_as_the_generator() -> None:
    generator = MaskGenerator(synthetic_bank(), MaskConfig(size=32))
    dataset = MaskDataset(generator, count=7, first=5)
    batches = list(DataLoader(dataset, batch_size=4, num_workers=2))
    assert [tuple(batch.shape) for batch in batches] == [(4, 1, 32, 32), (3, 1, 32, 32)]
    for offset, mask in enumerate(torch.cat(batches)):
        assert (mask[0].numpy() == generator[5 + offset]).all()
