import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from scipy.ndimage import distance_transform_edt

from simpaint.cli import main
from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import write_mask, write_png
from simpaint.index_build import BuildConfig, build_index
from simpaint.inpainter import SimUNet, UNetConfig
from simpaint.inpainter.checkpoint import save

from ..inpainter.tiny import WIDTHS, write_networks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli-inpaint")
    write_networks(folder)
    (folder / "faces").mkdir()
    for seed in range(4):
        write_png(folder / "faces" / f"{seed}.png", drawn_face(np.random.default_rng(seed), 64))
    build_index(folder / "faces", folder / "db", BuildConfig(workers=1, device="cpu"))
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A photo with its mask."""
    face = drawn_face(np.random.default_rng(27), 80)  # its frame holds the hole
    Image.fromarray(face).save(tmp_path / "photo.jpg", quality=90)
    write_mask(tmp_path / "mask.png", hole())
    return tmp_path


def hole() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    mask = np.zeros((80, 80), np.bool_)
    mask[30:45, 20:60] = True
    return mask


def run(folder: Path, *arguments: object, k: int = 1) -> Result:
    networks = ["--coarse", folder / "pconv.safetensors"]
    networks += ["--network", folder / f"sim-{k}.safetensors", "--size", 32, "--device", "cpu"]
    return CliRunner().invoke(main, ["inpaint", *map(str, [*networks, *arguments])])


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


def test_a_network_with_another_k_is_refused(folder: Path, work: Path) -> None:
    out = run(folder, work / "photo.jpg", "--mask", work / "mask.png", "--out", work / "o.png",
              "--database", folder / "db", "-k", 3)  # fmt: skip
    assert out.exit_code == 2
    assert "-k 3: expected a network that borrows from 3 photos, found one of 1" in out.stderr


@pytest.fixture
def folders(work: Path) -> Path:
    """Five photos; one has no mask, one is none, one has a mask of another size."""
    for name in ("photos/in", "masks/in"):
        (work / name).mkdir(parents=True)
    for i, name in enumerate(("in/a", "b", "c", "d")):
        face = drawn_face(np.random.default_rng(i), 80)
        Image.fromarray(face).save(work / "photos" / f"{name}.jpg")
    for name in ("in/a", "b", "e"):
        write_mask(work / "masks" / f"{name}.png", hole())
    write_mask(work / "masks" / "c.png", np.ones((9, 9), np.bool_))
    (work / "photos" / "e.jpg").write_text("no photo")
    return work


def test_folders_are_painted_and_failures_told(folder: Path, folders: Path) -> None:
    arguments = (folders / "photos", "--mask", folders / "masks", "--out", folders / "out")
    out = run(folder, *arguments, k=0)
    assert out.exit_code == 1
    assert f"{folders / 'out'}: 2 photos written, 0 were there already" in out.output
    failed = sorted(line for line in out.stderr.splitlines() if line.startswith("failed: "))
    assert len(failed) == 3
    assert "c.png: expected a mask of the photo's 80 x 80 pixels, found 9 x 9" in failed[0]
    assert "d.jpg: expected a mask of the same name, found none" in failed[1]
    assert "e.jpg: expected a JPEG" in failed[2]
    done = {path.relative_to(folders / "out") for path in (folders / "out").rglob("*.jpg")}
    assert done == {Path("in/a.jpg"), Path("b.jpg")}


def test_folders_are_resumed(folder: Path, folders: Path) -> None:
    for name in ("c", "d"):
        write_mask(folders / "masks" / f"{name}.png", hole())
    (folders / "photos" / "e.jpg").unlink()
    arguments = (folders / "photos", "--mask", folders / "masks", "--out", folders / "out")
    first = run(folder, *arguments, "--json", k=0)
    assert first.exit_code == 0, first.output
    before = {path: path.read_bytes() for path in (folders / "out").rglob("*.jpg")}
    assert len(before) == 4
    (folders / "out" / "b.jpg").unlink()
    (folders / "out" / "c.jpg").write_bytes(b"kept")
    second = run(folder, *arguments, "--json", k=0)
    report = json.loads(second.stdout)
    assert (report["done"], report["kept"]) == (1, 3)
    assert (folders / "out" / "b.jpg").read_bytes() == before[folders / "out" / "b.jpg"]
    assert (folders / "out" / "c.jpg").read_bytes() == b"kept"
    third = run(folder, *arguments, "--overwrite", k=0)
    assert "4 photos written, 0 were there already" in third.output
    assert {path: path.read_bytes() for path in before} == before


def test_a_folder_painted_otherwise_is_refused(folder: Path, folders: Path) -> None:
    arguments = (folders / "photos", "--mask", folders / "masks", "--out", folders / "out")
    run(folder, *arguments, k=0)
    for name, before, now in (("seed", 0, 5), ("grow", 0, 2)):
        other = run(folder, *arguments, f"--{name}", now, k=0)
        assert other.exit_code == 2
        told = f"holds photos painted with {name} {before}, asked for is {now}; name another"
        assert told in other.stderr
    again = run(folder, *arguments, "--seed", 5, "--overwrite", k=0)
    assert "2 photos written, 0 were there already" in again.output
    assert run(folder, *arguments, k=0).exit_code == 2


def test_a_folder_painted_with_other_weights_of_the_same_name_is_refused(
    tmp_path: Path, folders: Path
) -> None:
    arguments = (folders / "photos", "--mask", folders / "masks", "--out", folders / "out")
    write_networks(tmp_path)
    run(tmp_path, *arguments, k=0)
    shutil.copy(tmp_path / "sim-0.safetensors", tmp_path / "before.safetensors")
    save(tmp_path / "sim-0.safetensors", SimUNet(UNetConfig("sim", WIDTHS, 0)), {})
    changed = run(tmp_path, *arguments, k=0)
    assert changed.exit_code == 2
    assert "painted with weights.network " in changed.stderr
    shutil.copy(tmp_path / "before.safetensors", tmp_path / "sim-0.safetensors")
    assert "0 photos written, 2 were there already" in run(tmp_path, *arguments, k=0).output


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


def test_painting_again_goes_on_where_it_was_stopped(
    folder: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (folders / "photos", "--mask", folders / "masks", "--out", folders / "out")
    for name in ("c", "d", "e"):
        (folders / "photos" / f"{name}.jpg").unlink()
    run(folder, *arguments, k=0)
    results = [folders / "out" / name for name in ("b.jpg", "in/a.jpg")]
    before = [result.read_bytes() for result in results]
    for path in (folders / "photos", folders / "masks", folders / "out"):
        for file in path.rglob("*.*"):
            os.utime(file, (1e9, 1e9 + (path.name == "out")))
    os.utime(folders / "out" / ".painted.json")  # alone it does not make results old
    assert "0 photos written, 2 were" in run(folder, *arguments, k=0).output

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("simpaint.inpainter.whole.folders.paint_folder", stopped)
        assert run(folder, *arguments, "--grow", 3, "--overwrite", k=0).exit_code == 130
    assert run(folder, *arguments, k=0).exit_code == 2
    begun = (folders / "out" / ".painted.json").stat().st_mtime_ns
    os.utime(results[0], ns=(begun, begun))  # as if written in the tick of the clock
    again = run(folder, *arguments, "--grow", 3, k=0)
    assert "1 photos written, 1 were there already" in again.output
    assert results[0].read_bytes() == before[0]
    assert results[1].read_bytes() != before[1]
    assert "0 photos written, 2 were" in run(folder, *arguments, "--grow", 3, k=0).output


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


def test_a_photo_whose_mask_is_gone_fails_as_it_did_at_first(folder: Path, folders: Path) -> None:
    arguments = (folders / "photos", "--mask", folders / "masks", "--out", folders / "out")
    run(folder, *arguments, k=0)
    (folders / "masks" / "b.png").unlink()
    out = run(folder, *arguments, k=0)
    assert "0 photos written, 1 were there already" in out.output
    assert "b.jpg: expected a mask of the same name, found none" in out.stderr


def test_a_folder_of_masks_that_is_not_there_is_one_line(folder: Path, folders: Path) -> None:
    missing = folders / "nothing"
    out = run(folder, folders / "photos", "--mask", missing, "--out", folders / "out", k=0)
    assert out.exit_code == 2
    assert (
        out.stderr.strip()
        == f"Error: {missing}: expected a mask or a folder of masks, found nothing"
    )


def test_a_photo_whose_mask_is_newer_is_painted_again(folder: Path, folders: Path) -> None:
    arguments = (folders / "photos", "--mask", folders / "masks", "--out", folders / "out")
    run(folder, *arguments, k=0)
    mask, out = folders / "masks" / "b.png", folders / "out" / "b.jpg"
    write_mask(mask, hole()[::-1])
    later = out.stat().st_mtime + 5
    os.utime(mask, (later, later))
    assert "1 photos written, 1 were there already" in run(folder, *arguments, k=0).output


def test_folders_that_cannot_be_paired_are_refused(folder: Path, folders: Path) -> None:
    photos, masks, out = (folders / name for name in ("photos", "masks", "out"))
    assert (
        "masks: expected another folder"
        in run(folder, photos, "--mask", masks, "--out", masks, k=0).stderr
    )
    (folders / "empty").mkdir()
    nothing = run(folder, folders / "empty", "--mask", masks, "--out", out, k=0)
    assert nothing.exit_code == 2
    assert "empty: expected photos, found none" in nothing.stderr
    Image.fromarray(hole()).save(masks / "b.tif")
    two = run(folder, photos, "--mask", masks, "--out", out, k=0)
    assert two.exit_code == 2
    assert "b.jpg: expected one mask, found b.png and b.tif" in two.stderr


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
