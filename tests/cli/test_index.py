import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from simpaint.cli import main
from simpaint.data.drawn_faces import drawn_face

DATABASE = "faces.simpaint"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["index", *map(str, arguments)])


def draw(folder: Path, seeds: range) -> None:
    folder.mkdir(exist_ok=True)
    for seed in seeds:
        face = drawn_face(np.random.default_rng(seed), 64)
        Image.fromarray(face).save(folder / f"{seed:02d}.png")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "photos", range(6))
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    assert run("build", "photos", "--out", DATABASE, "--device", "cpu").exit_code == 0
    return tmp_path / "photos"


def test_the_life_of_a_database(photos: Path) -> None:
    draw(photos, range(6, 8))
    result = run("add", DATABASE, "photos", "--device", "cpu")
    assert "2 photos added, 6 were there already" in result.output
    assert "faces.simpaint: 8 photos, 256 dimensions" in result.output
    assert "1 files could not be used, see faces.simpaint/skipped-00002.parquet" in result.output
    draw(photos.parent / "more", range(8, 9))
    assert "could not be used" not in run("add", DATABASE, "more", "--device", "cpu").output
    assert run("remove", DATABASE, "more/08.png").exit_code == 0
    assert "7 photos" in run("remove", DATABASE, "00.png").output
    assert "6 photos" in run("remove", DATABASE, "--id", 1).output
    assert run("compact", DATABASE).exit_code == 0
    assert "all as written" in run("verify", DATABASE).output


def test_info_says_what_the_manifest_says(photos: Path) -> None:
    values = json.loads(run("info", DATABASE, "--json").output)
    assert (values["count"], values["d"], values["generation"]) == (6, 256, 1)
    text = run("info", DATABASE).output
    assert "descriptor simnet" in text
    assert f"photos from folder {photos}" in text
    assert "index Flat, recall@10 1.000 (Flat: exact search is quick enough" in text


def test_a_build_repeated_is_left_alone_and_another_is_refused(photos: Path) -> None:
    again = run("build", "photos", "--out", DATABASE, "--device", "cpu")
    assert again.exit_code == 0
    assert "already built; `simpaint index add` takes what is new" in again.output
    other = run("build", "photos", "--out", DATABASE, "--device", "cpu", "--type", "Flat")
    assert other.exit_code == 2
    assert "type: auto there, Flat now" in other.output


def test_damage_ends_with_one_line_and_code_2(photos: Path) -> None:
    shard = Path(DATABASE, "images", "part-00000.parquet")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 16
    shard.write_bytes(content)
    result = run("verify", DATABASE)
    assert result.exit_code == 2
    assert "part-00000.parquet: damaged: expected SHA-256" in result.output
    assert run("info", "absent").exit_code == 2


def test_memory_is_written_as_people_write_it(photos: Path) -> None:
    refused = run("build", "photos", "--out", "other", "--limit-memory", "1.5 MB")
    assert refused.exit_code == 2
    assert "at most 2 MiB" in refused.output


def test_where_the_photos_are_now_is_recorded(photos: Path) -> None:
    now = photos.rename("now").absolute()
    refused = run("add", DATABASE, "now", "--device", "cpu")
    assert refused.exit_code == 2
    assert f"if they were moved: simpaint index moved {DATABASE} FOLDER" in refused.output
    lost = run("search", DATABASE, "now/00.png", "--moved", "nowhere")
    assert lost.exit_code == 2
    assert "nowhere: expected a folder, of the database's photos; found nothing" in lost.output
    assert f"simpaint index moved {DATABASE}" in run("remove", DATABASE, now / "00.png").output
    done = run("moved", DATABASE, "now")
    assert f"{DATABASE}: photos from folder {now}\n6 of 6 photos" in done.output
    assert "--photos" not in done.output
    (now / "03.png").unlink()
    assert f"to see which are not: simpaint index verify {DATABASE} --photos" in (
        run("moved", DATABASE, "now").output
    )
    assert str(now / "00.png") in run("search", DATABASE, "now/00.png").output
    assert "5 photos" in run("remove", DATABASE, now / "00.png").output


def test_deleted_photos_are_listed_and_taken_out(photos: Path) -> None:
    assert run("verify", DATABASE, "--photos").exit_code == 0
    for name in ("01.png", "04.png"):
        (photos / name).unlink()
    listed = run("verify", DATABASE, "--photos")
    assert listed.exit_code == 1
    assert listed.output.splitlines()[-3:-1] == ["       1  01.png", "       4  04.png"]
    assert "2 of 6 photos are gone" in listed.output
    assert run("verify", DATABASE).exit_code == 0
    assert "2 photos removed whose files are gone" in run("remove", DATABASE, "--missing").output
    assert run("verify", DATABASE, "--photos").exit_code == 0
    assert "0 photos removed" in run("remove", DATABASE, "--missing").output
    photos.rename("now")  # that is not as if all were deleted
    for words in (("verify", DATABASE, "--photos"), ("remove", DATABASE, "--missing")):
        refused = run(*words)
        assert refused.exit_code == 2
        assert "found none of 4 that were looked for; if they were moved" in refused.output
    assert "4 photos" in run("info", DATABASE).output


def test_an_added_folder_that_is_away_is_taken_out_only_if_asked(photos: Path) -> None:
    more = photos.parent / "more"
    draw(more, range(6, 8))
    run("add", DATABASE, more, "--device", "cpu")
    assert f"photos added from {more}\n" in run("info", DATABASE).output
    more.rename("away")
    assert "2 of 8 photos are gone" in run("verify", DATABASE, "--photos").output
    refused = run("remove", DATABASE, "--missing")
    assert refused.exit_code == 2
    assert refused.output == (
        f"Error: {more}: expected photos of {DATABASE}, found none of 2 that were looked for; "
        "if they were deleted, and no disk is away: "
        f"simpaint index remove {DATABASE} --missing --whole-folders\n"
    )
    assert run("remove", DATABASE, "--id", 0, "--whole-folders").exit_code == 2
    taken = run("remove", DATABASE, "--missing", "--whole-folders")
    assert "2 photos removed whose files are gone" in taken.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compact", "db", "--limit-memory", "lots"],
         "--limit-memory: expected it as 8GB, found 'lots'"),
        (["remove", "db"], "PHOTOS: expected some, --id or --missing, found none of them"),
        (["build", "photos", "--out", "db", "--address", "here"],
         "--address: expected --engine ray beside it, found local"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_one_line(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.output) == (2, f"Error: {said}\n")
