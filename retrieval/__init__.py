"""An image database to similar photos."""

from .database import ImageDatabase
from .neighbors import NeighborTable, read_neighbors, write_neighbors
from .retriever import Retrieved, Retriever

__all__ = [
    "ImageDatabase",
    "NeighborTable",
    "Retrieved",
    "Retriever",
    "read_neighbors",
    "write_neighbors",
]
