import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from simpaint.errors import DatabaseError, InputError
from simpaint.index_build.adding import AddConfig, add
from simpaint.index_build.change import compact, rebuild, remove
from simpaint.index_build.faiss_index import read_index
from simpaint.index_build.manifest import Manifest, open_checked, read_manifest
from simpaint.index_build.publish import IndexConfig, writing
from simpaint.index_build.shards import read_shard
from simpaint.index_build.store import all_rows, iter_vectors, read_skipped

from .test_build import Stopped, built, content
from .tiny import TinyDescriptor, added, draw_faces, face_jpeg


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = draw_faces(tmp_path / "photos", 20)
    (folder / "bad.jpg").write_bytes(b"")
    return folder


def stop_adding(db: Path, photos: Path) -> None:
    """Stop at the sixth batch; with one worker, those before it are done."""
    with pytest.raises(KeyboardInterrupt):
        add(db, photos, AddConfig(workers=1), descriptor=Stopped(5))


def paths(db: Path) -> dict[str, int]:
    return {row.path: row.id for row in all_rows(db, read_manifest(db))}


def by_path(db: Path) -> dict[str, NDArray[np.float32]]:
    rows, vectors = content(db)
    return {row.path: vector for row, vector in zip(rows, vectors, strict=True)}


def indexed(db: Path) -> list[int]:
    """The ids in the FAISS index, each found by its own vector."""
    manifest = open_checked(db)
    index = read_index(db / manifest.index.file, manifest.index.parameters)
    vectors = np.concatenate([v for _, v in iter_vectors(db, manifest)])
    return [int(i) for i in index.search(vectors, 1)[1][:, 0]]


def test_added_photos_get_new_ids_and_old_ones_keep_theirs(photos: Path, db: Path) -> None:
    before, (rows, vectors) = paths(db), content(db)
    draw_faces(photos, 10, start=20)
    result = added(db, photos)
    assert (result.added, result.changed, result.unchanged, result.lost) == (10, 0, 20, 0)
    assert result.manifest.skipped_count == 1
    after = paths(db)
    assert {path: after[path] for path in before} == before
    assert [after[f"{i:04d}.jpg"] for i in range(20, 30)] == list(range(21, 31))
    assert sorted(indexed(db)) == sorted(after.values())
    assert content(db)[0][:20] == rows
    np.testing.assert_array_equal(content(db)[1][:20], vectors)


def test_adding_in_steps_gives_the_vectors_of_one_build(photos: Path, tmp_path: Path) -> None:
    draw_faces(photos, 12, start=20)
    built(photos, tmp_path / "whole")
    for path in sorted(photos.glob("00[23]*.jpg")):
        path.rename(tmp_path / path.name)
    built(photos, tmp_path / "steps")
    for path in sorted(tmp_path.glob("00*.jpg")):
        path.rename(photos / path.name)
    added(tmp_path / "steps", photos)
    whole, steps = (by_path(tmp_path / name) for name in ("whole", "steps"))
    assert whole.keys() == steps.keys()
    for name, vector in whole.items():
        np.testing.assert_allclose(steps[name], vector, atol=1e-3)


def test_nothing_new_changes_nothing(photos: Path, db: Path) -> None:
    before = read_manifest(db)
    result = added(db, photos)
    assert (result.manifest, result.added, result.unchanged) == (before, 0, 20)
    assert read_manifest(db) == before


def test_a_changed_photo_gets_a_new_id_and_a_mended_one_is_used(photos: Path, db: Path) -> None:
    (photos / "0003.jpg").write_bytes(face_jpeg(500))
    (photos / "bad.jpg").write_bytes(face_jpeg(501))
    result = added(db, photos)
    assert (result.added, result.changed, result.manifest.skipped_count) == (2, 1, 0)
    assert (result.manifest.count, result.manifest.tombstones) == (21, 1)
    assert paths(db)["0003.jpg"] == 21
    assert 3 not in indexed(db)


def test_files_from_elsewhere_are_added_once(db: Path, tmp_path: Path) -> None:
    more = draw_faces(tmp_path / "more", 2, start=70)
    assert added(db, more).added == 2
    assert "../more/0070.jpg" in paths(db)
    (tmp_path / "list.txt").write_text("more/0070.jpg\nphotos/0001.jpg\n")
    assert added(db, tmp_path / "list.txt").unchanged == 2
    assert remove(db, paths=[str(more / "0070.jpg"), "../more/0071.jpg"]).count == 20


def test_a_source_of_another_kind_is_refused(db: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [face_jpeg(1)]}), tmp_path / "more.parquet")
    with pytest.raises(InputError, match="found a parquet"):
        added(db, tmp_path / "more.parquet")


def test_another_descriptor_is_refused_and_both_are_named(photos: Path, db: Path) -> None:
    other = TinyDescriptor()
    other.weights_sha256 = "1" * 64
    with pytest.raises(DatabaseError, match=r"tiny with weights 0000.*1111"):
        add(db, photos, descriptor=other)


def test_removed_photos_are_gone_and_their_ids_stay_unused(photos: Path, db: Path) -> None:
    manifest = remove(db, [4, 5], ["0007.jpg"])
    assert (manifest.count, manifest.tombstones) == (17, 3)
    assert not {4, 5, 7} & {int(i) for ids, _ in iter_vectors(db, manifest) for i in ids}
    with pytest.raises(DatabaseError, match="2 that it does not, the first: 4"):
        remove(db, [4], ["nobody.jpg"])
    draw_faces(photos, 1, start=90)
    added(db, photos)
    assert paths(db)["0090.jpg"] > 20


def test_compacting_keeps_ids_and_vectors_and_forgets_the_removed(photos: Path, db: Path) -> None:
    draw_faces(photos, 5, start=20)
    added(db, photos)
    manifest = remove(db, [0, 9, 21, 22])
    stored = {r["id"]: r for s in manifest.shards for r in read_shard(db / s.file).to_pylist()}
    compacted = compact(db)
    assert (compacted.tombstones, compacted.removed) == (0, None)
    assert [shard.rows for shard in compacted.shards[:-1]] == [8] * (len(compacted.shards) - 1)
    rows = [r for s in compacted.shards for r in read_shard(db / s.file).to_pylist()]
    assert rows == [stored[i] for i in sorted(stored) if i not in (0, 9, 21, 22)]
    assert sorted(indexed(db)) == [row["id"] for row in rows]
    files = {p.relative_to(db).as_posix() for p in db.rglob("*.*")}
    assert files == {"manifest.json", ".lock", *compacted.files}
    assert compact(db) == compacted


def test_a_database_without_photos_is_not_compacted(db: Path) -> None:
    remove(db, list(range(20)))
    with pytest.raises(DatabaseError, match="every photo was removed"):
        compact(db)


def test_an_index_that_too_few_are_left_for_is_refused_before_shards_are_rewritten(
    db: Path,
) -> None:
    rebuild(db, IndexConfig("IVF16,Flat"))
    manifest = remove(db, range(8))
    before = sorted(db.rglob("*"))
    with pytest.raises(InputError, match=r"at least 16 .*: `simpaint index rebuild .*--type auto`"):
        compact(db)
    assert sorted(db.rglob("*")) == before
    assert read_manifest(db) == manifest
    rebuild(db, IndexConfig())
    assert compact(db).count == 12


def test_another_type_of_index_is_made_of_the_same_vectors(db: Path) -> None:
    before = content(db)
    manifest = rebuild(db, IndexConfig("HNSW8,Flat"))
    assert (manifest.index.type, manifest.generation) == ("HNSW8,Flat", 2)
    assert manifest.index.parameters
    assert [p.name for p in db.glob("*.faiss")] == [manifest.index.file]
    assert content(db)[0] == before[0]
    with pytest.raises(InputError, match="IVF4096"):
        rebuild(db, IndexConfig("IVF4096,Flat"))
    assert read_manifest(db) == manifest


def test_whoever_reads_while_photos_are_added_keeps_the_last_finished_state(
    photos: Path, db: Path
) -> None:
    before = open_checked(db)
    seen: list[Manifest] = []

    class Watching(TinyDescriptor):
        def __call__(self, images: Tensor) -> Tensor:
            seen.append(open_checked(db))
            with pytest.raises(DatabaseError, match="another process"), writing(db):
                pass
            return super().__call__(images)

    draw_faces(photos, 10, start=20)
    result = add(db, photos, descriptor=Watching())
    assert seen == [before] * len(seen)
    assert open_checked(db) == result.manifest != before


def test_a_stopped_addition_goes_on_where_it_was(photos: Path, db: Path) -> None:
    before = read_manifest(db)
    draw_faces(photos, 20, start=20)
    stop_adding(db, photos)
    assert open_checked(db) == before
    left = {p.name: p.stat().st_mtime_ns for p in db.glob("images/*.parquet")}
    assert len(left) > len(before.shards)
    result = added(db, photos)
    assert result.added == 20
    now = {p.name: p.stat().st_mtime_ns for p in db.glob("images/*.parquet")}
    assert {name: now.get(name) for name in left} == left


def test_the_leftovers_of_a_stopped_addition_go_with_another_change(photos: Path, db: Path) -> None:
    draw_faces(photos, 20, start=20)
    stop_adding(db, photos)
    manifest = remove(db, [1])
    files = {p.relative_to(db).as_posix() for p in db.rglob("*.*")}
    assert files == {"manifest.json", ".lock", *manifest.files}


def test_skipped_files_are_kept_in_one_list(photos: Path, db: Path) -> None:
    (photos / "worse.txt").write_text("no photo")
    manifest = added(db, photos).manifest
    assert [s.path for s in read_skipped(db / manifest.skipped)] == ["bad.jpg", "worse.txt"]


# A process that computes nothing itself, so that it may fork: one child changes and is killed,
# the next one checks what is left. Each has a little longer than the one before.
KILLS = """
import os, signal, sys, time
from pathlib import Path
import faiss, numpy as np, pyarrow as pa
from index_build.test_change import added, change, check

pa.array(np.zeros(1))  # what this imports, children need not
db, photos = Path(sys.argv[1]), Path(sys.argv[2])

def child(work, *arguments):
    pid = os.fork()
    if not pid:
        code = 255
        try:
            code = work(*arguments)
        finally:
            os._exit(code)
    return pid

generation, step = 1, 0
while generation < 4:
    changing = child(change, db, photos, step)
    time.sleep(0.01 * 1.2 ** step)
    os.kill(changing, signal.SIGKILL)
    os.waitpid(changing, 0)
    generation = os.waitstatus_to_exitcode(os.waitpid(child(check, db), 0)[1])
    step += 1
assert generation < 255, "a state that does not open"
"""


def change(db: Path, photos: Path, step: int) -> int:
    if step % 3 == 0:
        added(db, photos)
    elif step % 3 == 1:
        remove(db, paths=[min(paths(db))])
    else:
        compact(db)
    return 0


def check(db: Path) -> int:
    manifest = open_checked(db)
    assert len(paths(db)) == manifest.count == len(set(indexed(db)))
    return manifest.generation


def test_killed_at_any_moment_a_change_leaves_a_state_that_opens(photos: Path, db: Path) -> None:
    draw_faces(photos, 12, start=20)
    tests = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", KILLS, str(db), str(photos)], check=True, cwd=tests)
    added(db, photos)
    compact(db)
    assert len(paths(db)) == 32
    check(db)


def test_photos_are_removed_by_any_name_of_their_file(
    photos: Path, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(photos)
    names = ["photos/0001.jpg", f"{photos}/0002.jpg", "photos/../photos/0003.jpg", "link/0004.jpg"]
    remove(db, paths=["0000.jpg", *names])
    assert sorted(paths(db)) == [f"{i:04d}.jpg" for i in range(5, 20)]
    with pytest.raises(
        DatabaseError, match=r"found 1 that it does not, the first: photos/0001\.jpg"
    ):
        remove(db, paths=["photos/0001.jpg", "0005.jpg"])


def test_a_photo_is_added_once_by_whatever_names(photos: Path, db: Path, tmp_path: Path) -> None:
    draw_faces(photos, 1, start=30)
    (tmp_path / "link").symlink_to(photos)
    names = [f"{photos}/0030.jpg", f"{tmp_path}/link/0030.jpg", "photos/./0030.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    assert added(db, tmp_path / "list.txt").added == 1
    assert "0030.jpg" in paths(db)
    assert added(db, tmp_path / "link").added == 0


def test_a_path_is_one_photo(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "photos").mkdir()
    (photos / "photos" / "0001.jpg").write_bytes(face_jpeg(77))
    built(photos, tmp_path / "db")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DatabaseError, match=r"photos/0001\.jpg: expected one photo, found 0001\.jpg"
    ):
        remove(tmp_path / "db", paths=["photos/0001.jpg"])
    assert len(paths(tmp_path / "db")) == 21
    remove(tmp_path / "db", paths=[f"{photos}/0001.jpg", "0001.jpg", "photos/0002.jpg"])
    left = paths(tmp_path / "db")
    assert len(left) == 19
    assert "photos/0001.jpg" in left


def test_a_list_of_whole_paths_is_added_once(tmp_path: Path) -> None:
    photos, listed = draw_faces(tmp_path / "below" / "photos", 4), tmp_path / "below" / "list.txt"
    draw_faces(tmp_path / "elsewhere", 1, start=9)
    names = [*map(str, sorted(photos.iterdir())), "../elsewhere/0009.jpg"]
    listed.write_text("\n".join(names))
    built(listed, tmp_path / "db")
    result = added(tmp_path / "db", listed)
    assert (result.added, result.unchanged) == (0, 5)
    assert remove(tmp_path / "db", paths=[str(photos / "0002.jpg")]).count == 4


def test_a_photo_that_cannot_be_read_now_stays_and_a_damaged_one_goes(
    photos: Path, db: Path
) -> None:
    before = paths(db)
    (photos / "0003.jpg").unlink()
    (photos / "0003.jpg").mkdir()  # nothing that can be read
    damaged = photos / "0004.jpg"
    damaged.write_bytes(damaged.read_bytes()[:100])
    names = "\n".join(f"{photos}/{name}" for name in ("0003.jpg", "0004.jpg", "0005.jpg"))
    (photos.parent / "list.txt").write_text(names)
    result = added(db, photos.parent / "list.txt")
    assert (result.added, result.changed, result.unchanged, result.lost) == (0, 0, 2, 1)
    assert paths(db) == {path: i for path, i in before.items() if path != "0004.jpg"}


@pytest.mark.parametrize(
    "change",
    [
        compact,
        lambda db: rebuild(db, IndexConfig("Flat")),
        lambda db: added(db, db.parent / "photos"),
    ],
)
def test_damage_is_not_made_the_truth(
    change: Callable[[Path], object], photos: Path, db: Path
) -> None:
    draw_faces(photos, 1, start=20)
    remove(db, [0])
    shard = db / open_checked(db).shards[0].file
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatabaseError, match="damaged"):
        change(db)
    with pytest.raises(DatabaseError, match="damaged"):
        open_checked(db)


def test_a_lost_or_damaged_index_is_made_anew(db: Path) -> None:
    before = by_path(db)
    for damage in (None, b"\0" * 99):
        file = db / read_manifest(db).index.file
        file.unlink()
        if damage:
            file.write_bytes(damage)
        with pytest.raises(DatabaseError, match=r"make it anew: simpaint index rebuild .*db"):
            open_checked(db)
        rebuild(db, IndexConfig("Flat"))
        open_checked(db)
        assert sorted(indexed(db)) == sorted(paths(db).values())
    assert by_path(db).keys() == before.keys()
