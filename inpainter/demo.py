"""The main job from nothing: a database, holes, and photos made whole, with every step shown."""

import shutil
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from ..data.files import make_folder, replacing
from ..data.images import Pixels, decode, write_mask, write_png
from ..data.masks import MaskConfig, MaskGenerator
from ..data.settings import expect_unused, write_settings
from ..data.sources import open_source
from ..data.strokes import synthetic_bank
from ..data.tensors import to_pixels
from ..errors import InputError
from ..index_build.build import build_index
from ..index_build.publish import Stages
from .checkpoint import load
from .dcgan import Generator, generate_faces
from .page import Page
from .pipeline import Inpainter
from .whole.steps import draw_steps

_SETTINGS: Final = ".demo.json"
_MADE: Final = ("database", "faces", "pictures", "photos.txt", "report.html", "report.md")
_GENERATED: Final = 500
_HELD_OUT: Final = 4
_SMALLEST: Final = 8  # what masks are drawn for
_SEED: Final = 0


class _Case(NamedTuple):
    """A photo with a hole.

    Attributes:
        name: of its files.
        title: of its part of the report.
        photo: uint8 RGB (H, W, 3), whole.
        hole: bool (H, W).
    """

    name: str
    title: str
    photo: Pixels
    hole: NDArray[np.bool_]


def write_demo(folder: Path, photos: Path | None, bar: Stages) -> Path:
    """Build a database, fill holes with its help, and write a report of every step.

    Args:
        folder: gets `report.html`, `pictures/`, `database/` and, without photos, `faces/`.
        photos: a folder of photos for the database; a few are held out and painted. Faces of
            nobody are generated if left out.
        bar: shows progress.

    Returns:
        the report.

    Raises:
        InputError: too few photos, or one to paint that is too small; or the folder holds
            something else.
        StorageError: a file cannot be written.
    """
    if not (folder / _SETTINGS).exists():
        expect_unused(folder, _MADE)
        make_folder(folder)
        write_settings(folder / _SETTINGS, {"made by": "simpaint demo"})
    listed, held_out = _generated(folder / "faces") if photos is None else _given(photos, folder)
    database = folder / "database"
    if database.exists():
        shutil.rmtree(database)  # of the demo before: its photos may be others
    manifest = build_index(listed, database, stages=bar)
    inpainter = Inpainter.load(database)
    page = Page(folder, "simpaint")
    page.text(_about(manifest.count, generated=photos is None))
    cases = [*_astronaut(), *_faces(held_out)]
    with bar("Painting", "photos") as progress:
        for done, case in enumerate(cases, start=1):
            _show(page, folder / "pictures", inpainter, case)
            progress(done, len(cases))
    return page.write()


def _generated(folder: Path) -> tuple[Path, list[Pixels]]:
    """The folder of generated faces, and faces that are not in it."""
    faces = to_pixels(generate_faces(load("dcgan", Generator), _GENERATED + _HELD_OUT, _SEED))
    make_folder(folder)
    for number, face in enumerate(faces[:_GENERATED]):
        write_png(folder / f"{number:03d}.png", face)
    return folder, [*faces[_GENERATED:]]


def _given(photos: Path, folder: Path) -> tuple[Path, list[Pixels]]:
    """A list of the user's photos, less a few that are held out, and these."""
    if not photos.is_dir():
        raise InputError(f"{photos}: expected a folder of photos, found none")
    source = open_source(photos, exclude=folder)
    if len(source.names) <= _HELD_OUT:
        raise InputError(f"{photos}: expected more than {_HELD_OUT} photos to hold some out")
    held = {source.names[i * len(source.names) // _HELD_OUT] for i in range(_HELD_OUT)}
    listed = folder / "photos.txt"
    make_folder(folder)
    with replacing(listed) as temporary:
        root = photos.absolute()
        lines = [str(root / name) for name in source.names if name not in held]
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    painted = [decode(photos / name) for name in sorted(held)]
    for name, photo in zip(sorted(held), painted, strict=True):
        if min(photo.shape[:2]) < _SMALLEST:
            raise InputError(
                f"{photos / name}: expected a photo of {_SMALLEST} pixels or more a side to paint, "
                f"found {photo.shape[1]} x {photo.shape[0]}"
            )
    return listed, painted


def _astronaut() -> list[_Case]:
    """A real photo, in the public domain (NASA), with a scratch, and with an eye and mouth gone."""
    photo = np.ascontiguousarray(astronaut())  # type: ignore[no-untyped-call]  # 512 x 512
    scratch = _drawn(photo, [[(60, 30), (190, 96), (255, 150), (330, 300)]], width=11)
    features = _drawn(photo, [[(190, 101), (218, 103)], [(205, 146), (245, 145)]], width=24)
    return [
        _Case("scratch", "A real photo with a scratch", photo, scratch),
        _Case("eye", "A real photo without an eye and the mouth", photo, features),
    ]


def _drawn(photo: Pixels, lines: list[list[tuple[int, int]]], width: int) -> NDArray[np.bool_]:
    """A hole along polylines of (x, y)."""
    hole = np.zeros(photo.shape[:2], dtype=np.uint8)
    for line in lines:
        cv2.polylines(hole, [np.array(line, dtype=np.int32)], False, 1, width)
    return hole.astype(np.bool_)


def _faces(photos: list[Pixels]) -> list[_Case]:
    """Held-out faces with holes of strokes, from 0.2 of the photo up."""
    cases = []
    for number, photo in enumerate(photos):
        side = min(photo.shape[:2])
        masks = MaskGenerator(synthetic_bank(), MaskConfig(size=side, balanced=True))
        hole = np.zeros(photo.shape[:2], dtype=np.bool_)
        hole[:side, :side] = masks[number + 2] > 0  # mask i is aimed at bucket i % 6
        title = f"A face that is not in the database ({number + 1})"
        cases.append(_Case(f"face-{number + 1}", title, photo, hole))
    return cases


def _show(page: Page, folder: Path, inpainter: Inpainter, case: _Case) -> None:
    """Paint a case, and put its pictures on the page."""
    make_folder(folder)
    result = inpainter(case.photo, case.hole)
    assert isinstance(result.photo, np.ndarray)  # noqa: S101 - an array goes in
    holed = np.where(case.hole[..., None], np.uint8(255), case.photo)
    page.heading(case.title)
    shown = folder / f"{case.name}.png"
    write_png(shown, np.concatenate([holed, result.photo, case.photo], axis=1))
    write_png(folder / f"{case.name}-result.png", result.photo)
    write_mask(folder / f"{case.name}-mask.png", case.hole)
    page.text("With its hole, as painted, and as it was:")
    page.picture(shown, case.title)
    steps = folder / f"{case.name}-steps.png"
    write_png(steps, draw_steps(result, inpainter.names(result.ids)))
    page.text(
        "What the networks saw and did, a line for each square of the photo: masked, coarse, the "
        "photos that were found by it and their cosines, and the result; what is not painted by "
        "networks is closed smoothly or copied:"
    )
    page.picture(steps, f"{case.title}: steps")


def _about(count: int, *, generated: bool) -> str:
    """What is real here and what is not."""
    what = (
        "faces of nobody, generated by the network that simpaint ships" if generated else "photos"
    )
    return (
        f"The database holds {count:,} {what}. The photo of an astronaut (Eileen Collins, NASA) is "
        "real and in the public domain. The holes are drawn by the program; nothing in them "
        "was seen by the networks."
    )
