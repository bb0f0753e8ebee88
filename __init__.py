"""Retrieval-augmented inpainting: fill the holes of a photo with what similar photos show.

The public names live in the sub-packages, so that importing one does not load the others:
``simpaint.data`` (pictures, strokes, masks), ``simpaint.index_build`` (photos to image database),
``simpaint.retrieval`` (image database to similar photos), ``simpaint.inpainter`` (photos with holes
to whole ones, networks and their training).
"""

from .errors import SimpaintError

__version__ = "0.1.0"

__all__ = ["SimpaintError", "__version__"]
