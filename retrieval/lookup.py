"""One photo's neighbors, for a person to look at."""

from pathlib import Path
from typing import NamedTuple

from ..data.files import make_folder
from ..data.images import decode, write_png
from ..data.tensors import to_images
from ..index_build.descriptors import Descriptor
from .database import ImageDatabase
from .grid import SIDE, draw_grid
from .retriever import describe_pictures


class Match(NamedTuple):
    """A photo that was found, with its cosine to the query."""

    score: float
    id: int
    path: str


def search_photo(
    database: ImageDatabase,
    descriptor: Descriptor,
    photo: str | Path,
    k: int,
    *,
    max_score: float | None = None,
) -> list[Match]:
    """The k photos of a database that resemble a photo, the most similar first.

    Args:
        database: where to look.
        descriptor: the one that the database was built with.
        photo: a picture's file.
        k: how many; fewer come back where there are fewer.
        max_score: photos more similar than this, copies, are left out.

    Raises:
        ImageError: the photo cannot be used.
        DatabaseError: the descriptor is not the database's.
    """
    database.check_descriptor(descriptor)
    seen = decode(Path(photo), side=descriptor.input_size)  # as a build has described its photos
    query = describe_pictures(descriptor, to_images(seen[None]))
    scores, ids = database.search(query, k, max_score=max_score)
    found = ids[0] >= 0
    paths = database.paths(ids[0][found])
    return [
        Match(float(score), int(photo_id), path)
        for score, photo_id, path in zip(scores[0][found], ids[0][found], paths, strict=True)
    ]


def draw_matches(database: ImageDatabase, photo: Path, matches: list[Match], out: Path) -> None:
    """Write a PNG that shows a photo and what was found for it.

    Raises:
        InputError: `out` is one of the photos, or inside the database.
        ImageError: one of the photos cannot be used any more.
        StorageError: the picture cannot be written.
    """
    database.expect_outside(out, photo, *(Path(match.path) for match in matches))
    photos = database.photos([match.id for match in matches], SIDE)
    names = [Path(match.path).name for match in matches]
    make_folder(out.parent)
    write_png(
        out, draw_grid(decode(photo, side=SIDE), photos, [match.score for match in matches], names)
    )
