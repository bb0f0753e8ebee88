from .buckets import BUCKET_EDGES, bucket_name, bucket_of, hole_ratio
from .datasets import MaskDataset
from .images import decode, read_mask, read_photo, square, write_mask
from .mask_files import write_masks
from .mask_sources import GeneratedMasks, StoredMasks
from .masks import MaskConfig, MaskGenerator
from .recipes import Recipe
from .sources import PhotoSource, open_source
from .stroke_import import import_drawings
from .strokes import StrokeBank, synthetic_bank

__all__ = [
    "BUCKET_EDGES",
    "GeneratedMasks",
    "MaskConfig",
    "MaskDataset",
    "MaskGenerator",
    "PhotoSource",
    "Recipe",
    "StoredMasks",
    "StrokeBank",
    "bucket_name",
    "bucket_of",
    "decode",
    "hole_ratio",
    "import_drawings",
    "open_source",
    "read_mask",
    "read_photo",
    "square",
    "synthetic_bank",
    "write_mask",
    "write_masks",
]
