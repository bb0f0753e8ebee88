"""The album case: photos of persons, turned into the frame that the networks know.

A folder holds a folder for each person. The frame comes from the landmarks of the face, so eyes and
mouth lie in it where they lie in the aligned photos, and `masks.FIXED_BOXES` hold them.
"""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from ...data.archives import SourceKind
from ...data.files import replacing
from ...data.images import decode
from ...data.sources import PhotoSource, open_source
from ...data.strokes import StrokeBank
from ...errors import ImageError, InputError
from ...index_build.publish import Stages, silently
from ..train.photo_cache import PhotoCache, cache_photos
from ..whole.find_faces import default_finder, surest_face
from ..whole.portraits import portrait
from .cases import Rows
from .holes import BUCKETS, Holes, ShapeHoles, StrokeHoles
from .people import People, describe_faces

_STROKES_FROM: Final = BUCKETS - 4  # the bucket (0.2, 0.3] and those above
_FACES: Final = "faces.npy"


class FaceSource:
    """The surest face of each photo of another source, cut to the networks' frame, as PNG."""

    def __init__(self, photos: PhotoSource, size: int) -> None:
        """Wrap a source.

        Args:
            photos: whole photos.
            size: side of the frame, in pixels.
        """
        self.kind: SourceKind = photos.kind
        self.root, self.earlier = photos.root, photos.earlier
        self._photos, self._size = photos, size
        self._finder = default_finder()

    @property
    def names(self) -> list[str]:
        """As the other source has them."""
        return self._photos.names

    def read(self, name: str) -> bytes:
        """The frame as a PNG.

        Raises:
            ImageError: the photo cannot be used, or there is no face in it.
        """
        photo = decode(self._photos.read(name), name=name)
        frame = surest_face(photo, self._finder)
        if frame is None:
            raise ImageError(f"{name}: expected a face, found none")
        out = io.BytesIO()
        Image.fromarray(portrait(photo, frame, self._size)).save(out, "PNG", compress_level=1)
        return out.getvalue()


def open_album(
    folder: Path, out: Path, size: int, stages: Stages = silently
) -> tuple[PhotoCache, People]:
    """Cut all faces of an album and describe who they are; done once, then read.

    Args:
        folder: with a folder for each person.
        out: where the faces are kept.
        size: side of the frame, in pixels.
        stages: told of photos done.

    Raises:
        InputError: no folder of folders, or no faces.
        DependencyError: dlib is not installed.
    """
    source = open_source(folder, exclude=out)
    persons = _persons(source.names)
    if np.bincount(persons).max(initial=0) < 2 or not any("/" in name for name in source.names):
        raise InputError(f"{folder}: expected a folder of photos for each person, found none")
    if deeper := next((name for name in source.names if name.count("/") > 1), None):
        raise InputError(
            f"{folder}: expected a folder of photos for each person and none inside these, found "
            f"{deeper}"
        )
    faces = FaceSource(source, size)
    with stages("Finding faces", "photos") as progress:
        cache = cache_photos(faces, faces.names, out / "photos", size, progress=progress)
    if not (out / _FACES).exists():
        with stages("Describing faces", "photos") as progress:
            described = describe_faces(cache, progress)
        with replacing(out / _FACES) as temporary, temporary.open("wb") as file:
            np.save(file, described)
    return cache, People(cache, persons, np.load(out / _FACES))


def _persons(names: list[str]) -> Rows:
    folders = [name.partition("/")[0] for name in names]
    return np.unique(folders, return_inverse=True)[1].astype(np.int64)


def album_holes(bank: StrokeBank, size: int, seed: int, count: int) -> list[Holes]:
    """What an album is measured with: strokes of ratios from 0.2 up, eyes, mouth, half the face."""
    strokes = StrokeHoles(bank, size, seed, count, _STROKES_FROM, "strokes (0.2, 0.6]")
    return [strokes, *(ShapeHoles(shape, size, seed, count) for shape in ("eyes", "mouth", "half"))]
