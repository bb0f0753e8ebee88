"""An image database to similar photos."""

from .database import ImageDatabase
from .lookup import Match, search_photo
from .neighbors import NeighborTable, read_neighbors, write_neighbors
from .retriever import Retrieved, Retriever, describe_pictures

__all__ = [
    "ImageDatabase",
    "Match",
    "NeighborTable",
    "Retrieved",
    "Retriever",
    "describe_pictures",
    "read_neighbors",
    "search_photo",
    "write_neighbors",
]
