"""A folder of photos to an image database."""

from .adding import AddConfig, Added, add
from .build import BuildConfig, build_index, database_descriptor
from .change import compact, rebuild, remove
from .descriptors import (
    Descriptor,
    DescriptorConfig,
    NetworkDescriptor,
    Whitened,
    Whitening,
    load_descriptor,
)
from .manifest import Manifest, open_checked, read_manifest
from .publish import IndexConfig, Stages
from .shards import PhotoRow
from .store import iter_vectors, read_removed, rows
from .whereabouts import Moved, missing, moved

__all__ = [
    "AddConfig",
    "Added",
    "BuildConfig",
    "Descriptor",
    "DescriptorConfig",
    "IndexConfig",
    "Manifest",
    "Moved",
    "NetworkDescriptor",
    "PhotoRow",
    "Stages",
    "Whitened",
    "Whitening",
    "add",
    "build_index",
    "compact",
    "database_descriptor",
    "iter_vectors",
    "load_descriptor",
    "missing",
    "moved",
    "open_checked",
    "read_manifest",
    "read_removed",
    "rebuild",
    "remove",
    "rows",
]
