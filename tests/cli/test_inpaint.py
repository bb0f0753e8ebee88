import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import write_mask, write_png
from simpaint.index_build import BuildConfig, build_index

from .painting import hole, run


def test_a_photo_is_painted_and_the_steps_are_drawn(folder: Path, work: Path) -> None:
    out = run(
        folder, work / "photo.jpg", "--mask", work / "mask.png", "--database", folder / "db",
        "--out", work / "out.png", "--steps", work / "steps.png", "-k", 1,
    )  # fmt: skip
    assert out.exit_code == 0, out.output
    assert out.stdout.splitlines()[0] == f"{work / 'out.png'}: 1 square painted"
    assert str(folder / "faces") in out.stdout
    assert out.stderr.startswith("Painting")
    assert "1/1" in out.stderr
    with Image.open(work / "photo.jpg") as before, Image.open(work / "out.png") as after:
        assert after.format == "PNG"
        changed = (np.asarray(before) != np.asarray(after)).any(axis=2)
    assert changed[hole()].mean() > 0.9
    assert not changed[~hole()].any()
    with Image.open(work / "steps.png") as steps:
        assert steps.size == (8 + 4 * 168, 8 + 212)  # masked, coarse, one neighbor, result


def test_what_was_borrowed_from_is_told_once_for_each_photo(folder: Path, work: Path) -> None:
    three = np.zeros((80, 80), np.bool_)
    three[2:5, 2:5] = three[2:5, 74:78] = three[75:78, 2:5] = True
    write_mask(work / "three.png", three)
    new = work / "new" / "folder" / "out.png"
    asked = (work / "photo.jpg", "--mask", work / "three.png", "--database", folder / "db")
    out = run(folder, *asked, "--out", new, "-k", 1)
    assert out.exit_code == 0, out.output
    assert new.exists()
    first, *told = out.stdout.splitlines()
    scripted = json.loads(run(folder, *asked, "--out", new, "-k", 1, "--json").stdout)["squares"]
    assert first == f"{new}: {len(scripted)} squares painted"
    wanted: dict[str, list[float]] = {}
    for square in scripted:
        wanted.setdefault(square["neighbors"][0]["path"], []).append(
            square["neighbors"][0]["score"]
        )
    counts = {path: f"{len(all_)} square{'s' * (len(all_) > 1)}" for path, all_ in wanted.items()}
    expected = {f"from  {max(wanted[path]):.4f}  {path}, {counts[path]}" for path in wanted}
    assert len(scripted) > 1
    assert set(told) == expected
    assert len(told) == len(wanted)


def test_a_jpeg_stays_a_jpeg(folder: Path, work: Path) -> None:
    out = run(folder, work / "photo.jpg", "--mask", work / "mask.png", "--out", work / "o.jpg", k=0)
    assert out.exit_code == 0, out.output
    with Image.open(work / "photo.jpg") as before, Image.open(work / "o.jpg") as after:
        assert after.format == "JPEG"
        error = np.asarray(before).astype(int) - np.asarray(after)
    assert np.abs(error[~hole()]).mean() < 3


def test_for_scripts_there_is_json(folder: Path, work: Path) -> None:
    reference = folder / "faces" / "2.png"
    out = run(
        folder, work / "photo.jpg", "--mask", work / "mask.png", "--out", work / "o.png",
        "--reference", reference, "--json",
    )  # fmt: skip
    (square,) = json.loads(out.stdout)["squares"]
    (neighbor,) = square["neighbors"]
    assert neighbor["path"] == str(reference)
    assert -1 <= neighbor["score"] <= 1
    out = run(
        folder, work / "photo.jpg", "--mask", work / "mask.png", "--out", work / "o.png",
        "--auxiliary", "noise", "--json",
    )  # fmt: skip
    assert json.loads(out.stdout)["squares"][0]["neighbors"][0]["score"] is None


def test_an_empty_mask_copies_the_file(folder: Path, work: Path) -> None:
    write_mask(work / "empty.png", np.zeros((80, 80), np.bool_))
    out = run(
        folder, work / "photo.jpg", "--mask", work / "empty.png", "--out", work / "o.jpg", k=0
    )
    assert "no pixel of the mask is white, the photo is untouched" in out.output
    assert (work / "o.jpg").read_bytes() == (work / "photo.jpg").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--mask": "small.png"}, "small.png: expected a mask of the photo's 80 x 80 pixels"),
        ({"--mask": "full.png"}, "full.png: the mask covers the whole photo"),
        ({"--mask": "missing.png"}, "missing.png: cannot be read"),
        ({"--mask": "missing.png", "--coarse": "nothing"}, "missing.png: cannot be read"),
        ({"--mask": "photo.jpg"}, "photo.jpg: expected a mask, found the photo itself"),
        ({"photo": "missing.jpg", "--coarse": "nothing"}, "missing.jpg: cannot be read"),
        ({"photo": "text.jpg"}, "text.jpg: expected a JPEG"),
        ({"--out": "out.heic"}, "out.heic: expected a name that ends in"),
        ({"--out": "photo.jpg"}, "photo.jpg: expected another file than the photo"),
        ({"--out": "mask.png"}, "mask.png: expected another file than the mask"),
        ({"--steps": "photo.jpg"}, "photo.jpg: expected another file than photo, mask and result"),
        ({"--steps": "o.png"}, "o.png: expected another file than photo, mask and result"),
        ({"--database": None}, "expected a database or reference photos, found neither"),
        ({"--database": "nowhere"}, "nowhere"),
        ({"--reference": "photo.jpg"}, "expected a database or reference photos to borrow from"),
        ({"--reference": "lost.jpg", "--database": None}, "lost.jpg: cannot be read"),
        ({"--coarse": "nothing"}, "nothing: expected a file or a shipped name"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, work: Path, change: dict[str, str | None], message: str
) -> None:
    write_mask(work / "small.png", np.ones((40, 40), np.bool_))
    write_mask(work / "full.png", np.ones((80, 80), np.bool_))
    (work / "text.jpg").write_text("no photo")
    options: dict[str, object] = {
        "--mask": work / "mask.png", "--out": work / "o.png", "--database": folder / "db",
    }  # fmt: skip
    options |= {key: value and work / value for key, value in change.items()}
    photo = options.pop("photo", work / "photo.jpg")
    given = [part for key, value in options.items() if value for part in (key, value)]
    out = run(folder, photo, *given)
    assert out.exit_code == 2
    assert message in out.stderr
    assert len(out.stderr.splitlines()) == 1
    assert not (work / "o.png").exists()


@pytest.mark.parametrize("option", ["--reference", "--database"])
def test_what_would_be_borrowed_from_is_refused_where_nothing_is(
    folder: Path, work: Path, option: str
) -> None:
    given = folder / "faces" / "2.png" if option == "--reference" else folder / "db"
    out = run(folder, work / "photo.jpg", "--mask", work / "mask.png", "--out", work / "o.png",
              option, given, k=0)  # fmt: skip
    assert out.exit_code == 2
    assert out.stderr == f"Error: {option}: expected a -k of 1 or more beside it, found none\n"


def test_a_network_with_another_k_is_refused(folder: Path, work: Path) -> None:
    out = run(folder, work / "photo.jpg", "--mask", work / "mask.png", "--out", work / "o.png",
              "--database", folder / "db", "-k", 3)  # fmt: skip
    assert out.exit_code == 2
    assert "-k 3: expected a network that borrows from 3 photos, found one of 1" in out.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--moved", "x"], "--moved: expected --database"), (["--auxiliary", "noise"], "-k,")],
)
def test_options_that_would_change_nothing_are_refused(
    folder: Path, work: Path, options: list[str], told: str
) -> None:
    arguments = (work / "photo.jpg", "--mask", work / "mask.png", "--out", work / "out.png")
    out = run(folder, *arguments, *options, k=0)
    assert out.exit_code == 2
    assert told in out.stderr


def test_holes_are_grown(folder: Path, work: Path) -> None:
    arguments = (work / "photo.jpg", "--mask", work / "mask.png", "--out", work / "o.png")
    out = run(folder, *arguments, "--grow", 3, k=0)
    assert out.exit_code == 0, out.output
    with Image.open(work / "photo.jpg") as before, Image.open(work / "o.png") as after:
        changed = (np.asarray(before) != np.asarray(after)).any(axis=2)
    away = distance_transform_edt(~hole())
    assert changed[(away > 0) & (away <= 3)].mean() > 0.9
    assert not changed[away > 3].any()
    out = run(folder, *arguments, "--grow", 80, k=0)
    assert out.exit_code == 2
    assert "mask.png: the mask, its holes 80 pixels wider, covers the whole photo" in out.stderr


@pytest.mark.parametrize(
    ("inner", "masks", "kind"),
    [("photos", "masks", "photos"), ("masks", "masks", "masks"), ("other", "other/a.png", "masks")],
)
def test_no_result_of_a_folder_is_written_over_a_photo_or_a_mask(
    folder: Path, work: Path, inner: str, masks: str, kind: str
) -> None:
    for at in ("photos", f"photos/{inner}", "masks", "other"):
        (work / at).mkdir(parents=True, exist_ok=True)
    for name in ("photos/a.png", f"photos/{inner}/a.png"):
        write_png(work / name, drawn_face(np.random.default_rng(1), 80))
    for name in ("masks/a.png", "other/a.png"):
        write_mask(work / name, hole())
    before = {path: path.read_bytes() for path in work.rglob("*.*")}
    out = run(folder, work / "photos", "--mask", work / masks, "--out", work, k=0)
    assert out.exit_code == 2
    assert out.stderr == (
        f"Error: {work / inner / 'a.png'}: expected a place for the result of "
        f"{work / 'photos' / inner / 'a.png'}, found one of the {kind}; name another folder for "
        "the results\n"
    )
    assert {path: path.read_bytes() for path in work.rglob("*.*")} == before


def test_a_database_is_told_where_its_photos_are_now(folder: Path, work: Path) -> None:
    shutil.copytree(folder / "faces", work / "before")
    build_index(work / "before", work / "db", BuildConfig(workers=1, device="cpu"))
    (work / "before").rename(work / "after")
    arguments = (work / "photo.jpg", "--mask", work / "mask.png", "--database", work / "db")
    lost = run(folder, *arguments, "--out", work / "o.png")
    assert lost.exit_code == 2
    assert f"Error: {work / 'before'}/" in lost.stderr
    assert "say where they were moved to (--moved), or take this one out" in lost.stderr
    found = run(folder, *arguments, "--out", work / "o.png", "--moved", work / "after")
    assert found.exit_code == 0, found.output
    assert f"{work / 'after'}/" in found.output


@pytest.mark.parametrize("written", ["--out", "--steps"])
def test_a_reference_is_never_written_over(folder: Path, work: Path, written: str) -> None:
    reference = work / "hers.png"
    shutil.copy(folder / "faces/0.png", reference)
    before = reference.read_bytes()
    wanted = {"--out": work / "out.png", "--steps": work / "steps.png", written: reference}
    out = run(
        folder, work / "photo.jpg", "--mask", work / "mask.png", "--reference", reference,
        *(word for pair in wanted.items() for word in pair), "-k", 1,
    )  # fmt: skip
    assert (out.exit_code, out.output) == (
        2,
        f"Error: {reference}: expected another file than a reference\n",
    )
    assert reference.read_bytes() == before
