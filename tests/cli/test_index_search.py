import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from simpaint.cli import main
from simpaint.data.drawn_faces import drawn_face
from simpaint.index_build import Descriptor
from simpaint.retrieval import ImageDatabase, Match, lookup, read_neighbors

DATABASE = "faces.simpaint"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["index", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "photos").mkdir()
    for seed in range(6):
        face = drawn_face(np.random.default_rng(seed), 64)
        Image.fromarray(face).save(folder / "photos" / f"{seed:02d}.png")
    built = run("build", folder / "photos", "--out", folder / DATABASE, "--device", "cpu")
    assert built.exit_code == 0, built.output
    return folder


def test_search_prints_score_id_and_path(folder: Path) -> None:
    result = run("search", folder / DATABASE, folder / "photos" / "03.png", "-k", 2)
    lines = result.output.splitlines()
    assert len(lines) == 2
    score, photo, path = lines[0].split()
    assert float(score) > 0.99
    assert (photo, path) == ("3", str(folder / "photos" / "03.png"))


def test_search_for_scripts_and_for_people(folder: Path, tmp_path: Path) -> None:
    query = folder / "photos" / "03.png"
    options = ("--json", "--grid", tmp_path / "grid.png", "--verify", "sizes")
    matches = json.loads(run("search", folder / DATABASE, query, "-k", 4, *options).output)
    assert [sorted(match) for match in matches] == [["id", "path", "score"]] * 4
    assert matches[0]["id"] == 3
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width == 8 + 5 * 168
    rest = run("search", folder / DATABASE, query, "--json", "--max-score", 0.999)
    assert 3 not in [match["id"] for match in json.loads(rest.output)]


def test_search_with_what_is_no_photo_is_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_text("no photo")
    result = run("search", folder / DATABASE, tmp_path / "no.jpg")
    assert result.exit_code == 2
    assert "no.jpg" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_neighbors_writes_the_table_and_says_what_a_copy_is(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "neighbors.parquet"
    result = run("neighbors", folder / DATABASE, "-k", 3, "--out", out, "--max-score", 0.999)
    assert result.exit_code == 0, result.output
    assert "3 neighbors of 6 photos; copies are more similar than 0.999" in result.output
    table = read_neighbors(out)
    assert table.neighbors.shape == (6, 3)
    assert not (table.neighbors == table.ids[:, None]).any()
    assert run("neighbors", folder / DATABASE, "--out", out).exit_code == 0  # simnet's own


def test_rebuild_changes_the_type_and_nothing_else(folder: Path) -> None:
    def matches() -> list[dict[str, object]]:
        found = run("search", folder / DATABASE, folder / "photos" / "01.png", "--json")
        return [dict(match) for match in json.loads(found.output)]

    before = [match["id"] for match in matches()]
    result = run("rebuild", folder / DATABASE, "--type", "HNSW8")
    assert "index HNSW8, efSearch" in result.output
    assert [match["id"] for match in matches()] == before
    refused = run("rebuild", folder / DATABASE, "--type", "IVF64,Flat")
    assert refused.exit_code == 2
    assert "at least 64 vectors to train on, found 6" in refused.output


def test_nothing_that_is_read_is_written_over(folder: Path, tmp_path: Path) -> None:
    database, photo = folder / DATABASE, tmp_path / "me.png"
    photo.write_bytes((folder / "photos" / "03.png").read_bytes())
    found, manifest = folder / "photos" / "03.png", database / "manifest.json"
    before = [path.read_bytes() for path in (photo, found, manifest)]
    for words in (
        ("search", database, photo, "--grid", photo),
        ("search", database, photo, "--grid", found),
        ("search", database, photo, "--grid", database / "grid.png"),
        ("neighbors", database, "--out", manifest),
    ):
        result = run(*words)
        assert result.exit_code == 2
        line = f"Error: {words[-1]}: expected a file outside of what is read, "
        assert result.output.splitlines()[-1].startswith(line)
    assert [path.read_bytes() for path in (photo, found, manifest)] == before
    assert not (database / "grid.png").exists()


def test_a_search_during_a_compaction_finds_what_there_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = shutil.copytree(folder / DATABASE, tmp_path / "db")
    query, search_photo = folder / "photos" / "03.png", lookup.search_photo

    def compacted_first(
        opened: ImageDatabase, descriptor: Descriptor, photo: Path, k: int, max_score: float | None
    ) -> list[Match]:
        if opened.manifest.tombstones:
            assert run("compact", database).exit_code == 0
        return search_photo(opened, descriptor, photo, k, max_score=max_score)

    assert run("remove", database, "00.png").exit_code == 0
    monkeypatch.setattr(lookup, "search_photo", compacted_first)
    result = run("search", database, query, "-k", 9)
    assert result.exit_code == 0, result.output
    assert len([line for line in result.output.splitlines() if line.endswith(".png")]) == 5


def test_a_grid_is_called_a_png(folder: Path, tmp_path: Path) -> None:
    photo = folder / "photos" / "03.png"
    result = run("search", folder / DATABASE, photo, "--grid", tmp_path / "grid.jpg")
    assert (result.exit_code, (tmp_path / "grid.jpg").exists()) == (2, False)
    assert "grid.jpg: expected a name that ends in .png" in result.output
