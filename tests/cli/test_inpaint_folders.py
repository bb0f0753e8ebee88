import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from simpaint.data.images import write_mask
from simpaint.inpainter import SimUNet, UNetConfig
from simpaint.inpainter.checkpoint import save

from ..inpainter.tiny import WIDTHS, write_networks
from .painting import hole, run


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


def test_one_mask_for_all_that_is_no_picture_is_one_line(folder: Path, folders: Path) -> None:
    mask = folders / "notes.png"
    mask.write_text("no picture")
    out = run(folder, folders / "photos", "--mask", mask, "--out", folders / "out", k=0)
    assert out.exit_code == 2
    assert out.stderr.startswith(f"Error: {mask}: ")
    assert out.stderr.count("\n") == 1


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
