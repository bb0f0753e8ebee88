"""The public names: a change here is a change of the interface."""

import importlib

import pytest

PUBLIC = {
    "simpaint": ["SimpaintError", "__version__"],
    "simpaint.data": [
        "BUCKET_EDGES",
        "GeneratedMasks",
        "MaskConfig",
        "MaskDataset",
        "MaskGenerator",
        "Recipe",
        "StoredMasks",
        "StrokeBank",
        "bucket_name",
        "bucket_of",
        "hole_ratio",
        "import_drawings",
        "synthetic_bank",
        "write_masks",
    ],
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names(name: str) -> None:
    module = importlib.import_module(name)
    assert sorted(module.__all__) == PUBLIC[name]
    for public in PUBLIC[name]:
        assert hasattr(module, public)
