import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from skimage import data

from simpaint.cli import main
from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import Pixels, decode, write_png
from simpaint.errors import InputError
from simpaint.inpainter.whole.find_faces import FaceFinder, all_faces, default_finder
from simpaint.inpainter.whole.frames import Frame, cut
from simpaint.inpainter.whole.framing import Face
from simpaint.inpainter.whole.portraits import cut_faces, whole_of

LEFT, RIGHT = Frame(10 + 20j, 60 + 0j), Frame(100 + 10j, 70 + 10j)


class Sure(FaceFinder):
    """Finds faces in photos of 200 by 100 as it is told; in others none."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)
        self.calls = 0

    def __call__(self, photo: Pixels, hole: NDArray[np.bool_], smallest: int) -> list[Face]:
        self.calls += 1
        assert not hole.any()
        return self.faces if photo.shape[:2] == (100, 200) else []


@pytest.fixture
def album(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    album = tmp_path / "album"
    (album / "b").mkdir(parents=True)
    pair = np.concatenate([drawn_face(rng, 100), drawn_face(rng, 100)], axis=1)
    write_png(album / "b/two.png", pair)
    write_png(album / "none.png", drawn_face(rng, 50))
    (album / "note.txt").write_text("no photo")
    return album


def test_every_face_becomes_a_square_the_surest_first(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    report = cut_faces(album, out, size=32, finder=Sure(Face(LEFT, 8.3), Face(RIGHT, 8.9)))
    photo = decode(album / "b/two.png")
    for number, frame in ((1, RIGHT), (2, LEFT)):
        expected = np.rint(cut(photo, frame, 32)).clip(0, 255)
        np.testing.assert_array_equal(decode(out / f"b/two.png-{number}.png"), expected)
    assert (report.faces, report.kept, report.faceless) == (2, 0, ["none.png"])
    ((name, reason),) = report.failed
    assert name == "note.txt"
    assert reason.startswith("expected a JPEG")
    assert len(list(out.rglob("*.png"))) == 2


def test_a_repeated_run_searches_what_was_not_searched(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    finder = Sure(Face(LEFT, 8.3), Face(RIGHT, 8.9))
    cut_faces(album, out, finder=finder)
    assert finder.calls == 2
    (out / "b/two.png-2.png").unlink()  # somebody threw it out
    again = cut_faces(album, out, finder=finder)
    assert (again.faces, again.kept, finder.calls) == (0, 2, 2)
    with (out / ".searched-256").open("a") as file:
        file.write('\n"other.p')  # a kill
    write_png(album / "more.png", decode(album / "b/two.png"))
    more = cut_faces(album, out, finder=finder)
    assert (more.faces, more.kept) == (2, 2)
    assert cut_faces(album, out, finder=finder).kept == 3


def test_small_and_cut_off_faces_are_left_out(album: Path, tmp_path: Path) -> None:
    small, cut_off = Frame(50 + 20j, 47 + 0j), Frame(-10 + 20j, 60 + 0j)
    edge = Frame(-4 + 20j, 60 + 0j)
    finder = Sure(Face(small, 8.7), Face(cut_off, 8.8), Face(edge, 8.9))
    assert cut_faces(album, tmp_path / "faces", finder=finder).faces == 1


def test_what_is_surely_a_face_is_taken_once() -> None:
    photo = np.zeros((100, 200, 3), np.uint8)
    again = Frame(LEFT.corner + 3, LEFT.side)
    assert all_faces(photo, Sure(Face(LEFT, 7.5), Face(RIGHT, 8.5))) == [RIGHT, LEFT]
    assert all_faces(photo, Sure(Face(LEFT, 7.5), Face(again, 8.5))) == [again]
    assert all_faces(photo, Sure(Face(LEFT, 3.0), Face(RIGHT, 8.5))) == [RIGHT]
    assert all_faces(photo, Sure(Face(LEFT, 3.0))) == []


def test_groups_of_people_are_looked_at_closely() -> None:
    seen = []

    class Seen(FaceFinder):
        def __call__(self, photo: Pixels, hole: NDArray[np.bool_], smallest: int) -> list[Face]:
            seen.append((photo.shape, hole.shape, smallest))
            return [Face(Frame(100 + 50j, 50 + 0j), 9.0)]

    assert all_faces(np.zeros((3000, 4000, 3), np.uint8), Seen()) == [Frame(400 + 200j, 200 + 0j)]
    assert seen == [((750, 1000, 3), (750, 1000), 40)]


def test_no_name_leads_out_of_the_folder(album: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    listed = tmp_path / "lists/list.txt"
    listed.write_text(f"../album/b/two.png\n{album}/b/two.png\n")
    out = tmp_path / "lists/faces"
    cut_faces(listed, out, finder=Sure(Face(LEFT, 8.5)))
    inside = album.relative_to("/")
    names = {str(path.relative_to(out)) for path in out.rglob("*.png")}
    assert names == {f"{inside}/b/two.png-1.png"}


def test_the_photos_folder_is_no_place_for_faces(album: Path) -> None:
    with pytest.raises(InputError, match="expected another folder"):
        cut_faces(album, album)
    (album / "words").mkdir()
    (album / "words/note.txt").write_text("no photo")
    with pytest.raises(InputError, match=r"none of 1 files .* note\.txt: expected a JPEG"):
        cut_faces(album / "words", album / "faces")
    (album / "empty").mkdir()
    with pytest.raises(InputError, match="expected photos, found none"):
        cut_faces(album / "empty", album / "faces")


def test_the_command_finds_a_real_face(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "faces"
    photos.mkdir()
    astronaut: Any = data.astronaut()  # type: ignore[no-untyped-call]
    write_png(photos / "astronaut.png", astronaut)
    write_png(photos / "wall.png", np.full((60, 60, 3), 128, np.uint8))
    result = CliRunner().invoke(main, ["faces", str(photos), "--out", str(out), "--size", "64"])
    assert result.exit_code == 0, result.output
    assert "1 photos without a face, as wall.png" in result.output
    frames = all_faces(astronaut, default_finder())
    assert len(list(out.glob("*.png"))) == len(frames)
    centres = [frame.corner + frame.side * (0.5 + 0.5j) for frame in frames]
    assert min(abs(centre - (222 + 125j)) for centre in centres) < 20
    assert all(decode(face).shape == (64, 64, 3) for face in out.glob("*.png"))


def test_another_albums_photo_of_the_same_name_is_not_taken_for_the_first(
    album: Path, tmp_path: Path
) -> None:
    out, finder = tmp_path / "faces", Sure(Face(LEFT, 8.3))
    cut_faces(album, out, finder=finder)
    before = (out / "b/two.png-1.png").read_bytes()
    other = tmp_path / "other"
    (other / "b").mkdir(parents=True)
    write_png(other / "b/two.png", np.flip(decode(album / "b/two.png"), 1).copy())
    write_png(other / "c.png", decode(album / "b/two.png"))
    report = cut_faces(other, out, finder=finder)
    assert (report.faces, report.kept) == (1, 0)
    assert report.failed == [("b/two.png", f"{out} holds the faces of another photo of this name")]
    assert (out / "b/two.png-1.png").read_bytes() == before
    # The photo itself, changed or moved, is known.
    shutil.move(album, tmp_path / "moved")
    assert cut_faces(tmp_path / "moved", out, finder=finder).kept == 2
    shutil.move(tmp_path / "moved", album)
    shutil.copy(other / "b/two.png", album / "b/two.png")
    (out / "b/two.png-2.png").write_bytes(before)  # of a face that it does not show any more
    assert cut_faces(album, out, finder=finder).faces == 1
    assert not (out / "b/two.png-2.png").exists()
    assert (out / "b/two.png-1.png").read_bytes() != before


def test_faces_of_another_size_are_not_written_over(album: Path, tmp_path: Path) -> None:
    out, finder = tmp_path / "faces", Sure(Face(LEFT, 8.3))
    cut_faces(album, out, size=64, finder=finder)
    with pytest.raises(InputError, match="holds faces of 64 pixels, asked for are 32"):
        cut_faces(album, out, size=32, finder=finder)
    assert all(decode(face).shape == (64, 64, 3) for face in out.rglob("*.png"))


def test_photos_whose_faces_would_have_the_same_names_are_told(album: Path) -> None:
    with tarfile.open(album.parent / "album.tar", "w") as tar:
        for name in ("b/two.png", "../b/two.png"):
            tar.add(album / "b/two.png", name)
    out = album.parent / "faces"
    report = cut_faces(album.parent / "album.tar", out, finder=Sure(Face(LEFT, 8.5)))
    assert report.faces == 1
    ((name, reason),) = report.failed
    other = {"b/two.png": "../b/two.png", "../b/two.png": "b/two.png"}[name]
    assert reason == f"its faces would have the names of those of {other}"


def test_a_face_knows_the_photo_that_it_was_cut_out_of(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    cut_faces(album, out, finder=Sure(Face(LEFT, 8.3), Face(RIGHT, 8.9)))
    photo, face = album / "b/two.png", out / "b/two.png-1.png"
    whole = whole_of(face)
    assert whole is not None
    np.testing.assert_array_equal(whole.photo, decode(photo))
    assert whole.frame == RIGHT
    moved = tmp_path / "moved"  # both
    for folder in (album, out):
        shutil.copytree(folder, moved / folder.name)
    assert whole_of(moved / "faces/b/two.png-1.png") is not None
    write_png(photo, decode(photo)[:, ::-1])  # another photo of this name
    assert whole_of(face) is None
    photo.unlink()
    assert whole_of(face) is None
    assert whole_of(tmp_path / "nothing.png") is None


@pytest.mark.parametrize("note", ["{", "[]", '["two.png", 1, 2, NaN, 0]', '[1, 2, 3, 4, "a"]', "7"])
def test_a_damaged_note_is_none(tmp_path: Path, note: str) -> None:
    pixels = drawn_face(np.random.default_rng(0), 32)
    write_png(tmp_path / "two.png", pixels)
    write_png(tmp_path / "face.png", pixels, ("simpaint:photo", note))
    assert whole_of(tmp_path / "face.png") is None
