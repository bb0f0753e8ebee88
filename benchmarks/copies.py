"""Above which score two photos of a database are copies: how `index neighbors` got its default.

    python benchmarks/copies.py DATABASE

Pairs whose 24 x 24 grey thumbnails correlate by more than 0.95 count as copies. The threshold to
choose drops nearly all copies and few of the nearest photos that are none.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from simpaint.index_build.store import iter_vectors
from simpaint.retrieval import ImageDatabase

SIDE, COPY, BLOCK = 24, 0.95, 2000
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)


def thumbnails(database: ImageDatabase, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Grey thumbnails (n, 576), less their mean and of length 1: products are correlations."""
    rows = []
    for start in track(range(0, len(ids), 256), "Thumbnails"):
        for photo in database.photos(ids[start : start + 256], SIDE):
            rows.append(np.asarray(Image.fromarray(photo).convert("L"), np.float32).ravel())
    values = np.stack(rows)
    values -= values.mean(1, keepdims=True)
    unit: NDArray[np.float32] = values / (np.linalg.norm(values, axis=1, keepdims=True) + 1e-6)
    return unit


def scores(
    vectors: NDArray[np.float32], small: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """By blocks, the scores of all copies and of every photo's nearest that is no copy."""
    for start in range(0, len(vectors), BLOCK):
        rows = slice(start, start + BLOCK)
        score = vectors[rows] @ vectors.T  # (BLOCK, n)
        copy = small[rows] @ small.T > COPY
        own = (np.arange(len(score)), np.arange(start, start + len(score)))
        copy[own], score[own] = False, -1
        of_copies = score[copy]
        score[copy] = -1
        yield of_copies, score.max(1)


@click.command()
@click.argument("folder", metavar="DATABASE", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Print which share of copies, and of nearest others, each threshold drops."""
    database = ImageDatabase.open(folder, "sizes")
    parts = list(iter_vectors(folder, database.manifest))
    ids, vectors = (np.concatenate(column) for column in zip(*parts, strict=True))
    pairs = list(scores(vectors, thumbnails(database, ids)))
    copies, others = (np.concatenate(column) for column in zip(*pairs, strict=True))
    table = Table("score above", "copies dropped", "nearest others dropped")
    for threshold in THRESHOLDS:
        shares = ((values > threshold).mean() for values in (copies, others))
        table.add_row(f"{threshold:.2f}", *(f"{share:.2%}" for share in shares))
    Console().print(f"{database.descriptor.name}: {len(copies) // 2:,} pairs of copies", table)


if __name__ == "__main__":
    main()
