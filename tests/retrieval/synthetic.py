"""A database of given vectors, without photos, written as a build would write it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simpaint.index_build.manifest import DescriptorInfo, IndexInfo, Manifest, ShardInfo, SourceInfo
from simpaint.index_build.publish import IndexConfig, publish
from simpaint.index_build.shards import PhotoRow, shard_name, write_shard
from simpaint.index_build.store import iter_vectors, write_skipped
from simpaint.retrieval import ImageDatabase

D = 24


def vectors_of(count: int, d: int = D, seed: int = 0) -> NDArray[np.float32]:
    """Clustered unit vectors, as descriptors of faces are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((12, d))
    points = centres[rng.integers(0, 12, count)] + 0.7 * rng.standard_normal((count, d))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


def write_database(
    folder: Path,
    vectors: NDArray[np.float32],
    index_type: str = "Flat",
    *,
    contents: Sequence[int] | None = None,
    shard_size: int = 100,
) -> Manifest:
    """Ids are 5, 8, 11...; photos of one number in `contents` have the same bytes."""
    (folder / "images").mkdir(parents=True)
    ids = list(range(5, 5 + 3 * len(vectors), 3))
    shards = []
    for part, start in enumerate(range(0, len(ids), shard_size)):
        rows = [
            PhotoRow(i, f"{i}.jpg", _sha256(i if contents is None else contents[n]), 9, 9)
            for n, i in list(enumerate(ids))[start : start + shard_size]
        ]
        write_shard(folder / shard_name(part), rows, vectors[start : start + shard_size])
        shards.append(ShardInfo(shard_name(part), rows[0].id, len(rows)))
    write_skipped(folder / "skipped-00001.parquet", [])
    manifest = Manifest(
        generation=1,
        descriptor=DescriptorInfo("tiny", {"name": "tiny"}, "0" * 64),
        d=vectors.shape[1],
        count=len(ids),
        source=SourceInfo("folder", str(folder)),
        next_id=ids[-1] + 1,
        tombstones=0,
        skipped_count=0,
        index=IndexInfo("", "", {}, 0.0, "", ""),
        shards=tuple(shards),
        skipped="skipped-00001.parquet",
        removed=None,
        whitening=None,
        plan={"shard size": shard_size},
        files={},
    )
    return publish(folder, manifest, IndexConfig(index_type))


def _sha256(content: int) -> str:
    return hashlib.sha256(str(content).encode()).hexdigest()


def stored(database: ImageDatabase) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """All ids (n,) and vectors (n, d), as searches compare them."""
    parts = list(iter_vectors(database.folder, database.manifest))
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([v for _, v in parts])
