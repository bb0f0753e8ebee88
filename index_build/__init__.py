"""A folder of photos to an image database."""

from .descriptors import (
    Descriptor,
    DescriptorConfig,
    NetworkDescriptor,
    Whitened,
    Whitening,
    load_descriptor,
)

__all__ = [
    "Descriptor",
    "DescriptorConfig",
    "NetworkDescriptor",
    "Whitened",
    "Whitening",
    "load_descriptor",
]
