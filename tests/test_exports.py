"""The public names: a change here is a change of the interface."""

import importlib

import pytest

PUBLIC = {
    "simpaint": "SimpaintError __version__",
    "simpaint.data": """
        BUCKET_EDGES GeneratedMasks MaskConfig MaskDataset MaskGenerator PhotoSource Recipe
        StoredMasks StrokeBank bucket_name bucket_of decode hole_ratio import_drawings open_source
        read_mask read_photo square synthetic_bank write_mask write_masks
    """,
    "simpaint.index_build": """
        AddConfig Added BuildConfig Descriptor DescriptorConfig IndexConfig Manifest
        Moved NetworkDescriptor PhotoRow Stages Whitened Whitening add build_index compact
        database_descriptor iter_vectors load_descriptor missing moved open_checked
        read_manifest read_removed rebuild remove rows
    """,
    "simpaint.inpainter": """
        CopyConfig CopyUNet Evaluation Inpainter LossWeights Outcome PConvUNet Painted PaintingRun
        PartialConv2d RECIPES Recipe Result RunOptions SimUNet Stage UNetConfig VARIANTS build_unet
        coarse_picture composite_8bit evaluate inpainting_loss load load_coarse measure_filled
        paint_last train_painting
    """,
    "simpaint.retrieval": """
        ImageDatabase Match NeighborTable Retrieved Retriever describe_pictures read_neighbors
        search_photo write_neighbors
    """,
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names(name: str) -> None:
    module = importlib.import_module(name)
    assert sorted(module.__all__) == PUBLIC[name].split()
    for public in module.__all__:
        assert hasattr(module, public)
