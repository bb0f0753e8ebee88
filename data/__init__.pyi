from .buckets import BUCKET_EDGES, bucket_name, bucket_of, hole_ratio
from .datasets import MaskDataset
from .mask_files import write_masks
from .mask_sources import GeneratedMasks, StoredMasks
from .masks import MaskConfig, MaskGenerator
from .recipes import Recipe
from .strokes import StrokeBank, import_drawings, synthetic_bank

__all__ = [
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
]
