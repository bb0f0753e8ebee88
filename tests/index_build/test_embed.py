from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simpaint.data.sources import open_source
from simpaint.index_build.embed import EmbedConfig, embed
from simpaint.index_build.manifest import ShardInfo
from simpaint.index_build.shards import read_shard
from simpaint.index_build.store import Skipped

from .tiny import TinyDescriptor, draw_faces, tensor_of


def embedded(
    photos: Path, out: Path, config: EmbedConfig, descriptor: TinyDescriptor | None = None
) -> tuple[list[ShardInfo], list[Skipped]]:
    (out / "images").mkdir(parents=True, exist_ok=True)
    source = open_source(photos)
    return embed(source, source.names, descriptor or TinyDescriptor(), out, config)


def content(out: Path, shards: list[ShardInfo]) -> list[dict[str, Any]]:
    tables = [read_shard(out / shard.file) for shard in shards]
    return [value for table in tables for value in (table.to_pylist())]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_faces(tmp_path_factory.mktemp("photos"), 30)
    (folder / "0003.jpg").write_bytes(b"")
    (folder / "0017.jpg").write_bytes(b"no photo")
    return folder


SMALL = EmbedConfig(batch_size=4, shard_size=10, workers=1)


def test_ids_are_places_in_the_listing_and_nothing_is_lost(photos: Path, tmp_path: Path) -> None:
    shards, skipped = embedded(photos, tmp_path, SMALL)
    assert [(s.first_id, s.rows) for s in shards] == [(0, 9), (10, 9), (20, 10)]
    assert [s.path for s in skipped] == ["0003.jpg", "0017.jpg"]
    rows = content(tmp_path, shards)
    assert [(row["id"], row["path"]) for row in rows] == [
        (i, f"{i:04d}.jpg") for i in range(30) if i not in (3, 17)
    ]
    assert all((row["width"], row["height"]) == (48, 48) for row in rows)


def test_vectors_are_those_of_one_photo_at_a_time(photos: Path, tmp_path: Path) -> None:
    shards, _ = embedded(photos, tmp_path, SMALL)
    for row in content(tmp_path, shards):
        expected = TinyDescriptor()(tensor_of(photos / row["path"], 32))[0].numpy()
        np.testing.assert_allclose(np.array(row["vector"], np.float32), expected, atol=0.02)


def test_four_workers_equal_one(photos: Path, tmp_path: Path) -> None:
    one, four = tmp_path / "1", tmp_path / "4"
    shards, skipped = embedded(photos, one, SMALL)
    more = EmbedConfig(batch_size=4, shard_size=10, workers=4)
    assert embedded(photos, four, more) == (shards, skipped)
    assert content(one, shards) == content(four, shards)


class Interrupted(TinyDescriptor):
    calls = 0

    def __call__(self, images: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 7:
            raise KeyboardInterrupt
        return super().__call__(images)


def test_resumed_equals_uninterrupted(photos: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    shards, skipped = embedded(photos, whole, SMALL)
    with pytest.raises(KeyboardInterrupt):
        embedded(photos, parts, SMALL, Interrupted())
    kept = {path: path.stat().st_mtime_ns for path in parts.rglob("*.parquet")}
    assert len(kept) in (1, 2)
    assert embedded(photos, parts, SMALL) == (shards, skipped)
    assert content(parts, shards) == content(whole, shards)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_progress_counts_what_an_earlier_run_did(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    source, calls = open_source(photos), []
    embed(source, source.names[:10], TinyDescriptor(), tmp_path, SMALL)
    embed(
        source,
        source.names,
        TinyDescriptor(),
        tmp_path,
        SMALL,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls[0] == (10, 30)
    assert calls[-1] == (30, 30)


class Broken(TinyDescriptor):
    def __call__(self, images: Tensor) -> Tensor:
        vectors = super().__call__(images)
        vectors[0], vectors[1] = torch.nan, 0
        return vectors


def test_a_vector_that_says_nothing_is_skipped(photos: Path, tmp_path: Path) -> None:
    config = EmbedConfig(batch_size=30, shard_size=30, workers=1)
    shards, skipped = embedded(photos, tmp_path, config, Broken())
    assert [s.path for s in skipped] == ["0000.jpg", "0001.jpg", "0003.jpg", "0017.jpg"]
    assert "not finite" in skipped[0].reason
    assert shards == [ShardInfo("images/part-00000.parquet", 0, 26)]
