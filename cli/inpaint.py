"""`simpaint inpaint`: photos with holes in, whole photos out."""

import json
import logging
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .progress import progress_bar

if TYPE_CHECKING:
    from ..inpainter.pipeline import Inpainter
    from ..inpainter.whole.folders import Report
    from ..inpainter.whole.work import Result

_logger = logging.getLogger(__name__)

_path = click.Path(path_type=Path)
_SHOWN = 9  # photos that were borrowed from


@click.command()
@click.argument("photo", type=_path)
@click.option(
    "--mask",
    type=_path,
    required=True,
    help="As large as PHOTO; white is hole, and a little wider than the damage.",
)
@click.option("--database", type=_path, help="Similar photos, as `simpaint index build` made it.")
@click.option("--moved", type=_path, help="Where the database's photos are now, if moved.")
@click.option("--out", type=_path, required=True, help="The result: a file, or a folder.")
@click.option(
    "-k", type=click.IntRange(0), help="Photos to borrow from.  [default: 3, or what there is]"
)
@click.option("--steps", type=_path, help="Draw every step of the way as PNG.")
@click.option(
    "--reference",
    "references",
    type=_path,
    multiple=True,
    help="Borrow from this photo, of the face or of the place, not from the database. Repeat for "
    "several.",
)
@click.option(
    "--auxiliary",
    type=click.Choice(["database", "random", "noise"]),
    default="database",
    show_default=True,
    help="Borrow from similar photos; from any; from none: to see what similar ones are worth.",
)
@click.option(
    "--network",
    default="simpaint-small",
    show_default=True,
    help="Last network by name or file: our own, which takes any -k, or the paper's sim-0, sim-1, "
    "sim-3.",
)
@click.option(
    "--coarse",
    help='First network, name or file; several joined by "+".  [default: what goes with the last]',
)
@click.option("--black-holes", is_flag=True, help="The mask's holes are black.")
@click.option(
    "--grow",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Pixels by which the mask's holes are made wider on each side.",
)
@click.option("--overwrite", is_flag=True, help="In folders: paint again what is there.")
@click.option(
    "--size",
    default=128,
    show_default=True,
    type=click.IntRange(16, 4096),
    help="Side at which networks paint.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Of grain and of --auxiliary.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1...")
@click.option(
    "--verify",
    type=click.Choice(["full", "sizes"]),
    default="full",
    show_default=True,
    help="Read every byte of the database first, or compare sizes only.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inpaint(photo: Path, mask: Path, out: Path, **options: Any) -> None:  # noqa: ANN401
    """Fill the holes of PHOTO, or of all photos in the folder PHOTO, with what similar ones show.

    Only pixels under the mask change; size, mode, orientation and format stay, unless --out names
    another format. PNG, TIFF, BMP and lossless WebP keep all other pixels exactly; a JPEG is
    encoded again, at quality 95 with full colour resolution, and keeps EXIF and colour profile but
    not its thumbnail. Palettes stay too: the nearest colours are taken.

    In folders, the mask of a photo has its name, whatever its ending; finished photos are kept, so
    repeat the command to go on.
    """
    from ..inpainter.whole.folders import (
        Job,
        claim,
        expect_paintable,
        paint_file,
        paint_folder,
        pair,
    )

    job = Job(photo, mask, out)
    jobs = pair(photo, mask, out) if photo.is_dir() else []
    if not jobs:
        expect_paintable(job, options["steps"])
    elif options["steps"] is not None:
        raise InputError(f"--steps: expected beside a single photo, found the folder {photo}")
    references = {path.resolve() for path in options["references"]}
    for written in filter(None, [out, options["steps"], *(job.out for job in jobs)]):
        if written.resolve() in references:
            raise InputError(f"{written}: expected another file than a reference")
    inpainter = _load(options)
    if not jobs:
        with progress_bar("Painting", "squares") as progress:
            result = paint_file(
                inpainter,
                job,
                black_holes=options["black_holes"],
                grow=options["grow"],
                steps=options["steps"],
                progress=progress,
            )
        _say_result(inpainter, photo, out, result, as_json=options["as_json"])
        _say_useless(inpainter)
        return
    since = claim(out, _painting(options, inpainter), overwrite=options["overwrite"])
    with progress_bar("Painting", "photos") as progress:
        report = paint_folder(
            inpainter,
            jobs,
            black_holes=options["black_holes"],
            grow=options["grow"],
            overwrite=options["overwrite"],
            since=since,
            progress=progress,
        )
    _say_useless(inpainter)
    _say_report(out, report, as_json=options["as_json"])


def _painting(options: dict[str, Any], inpainter: "Inpainter") -> dict[str, Any]:
    """What decides what is painted, as JSON values."""
    names = ("network", "coarse", "database", "size", "seed", "auxiliary", "black_holes", "grow")
    references = [str(path.absolute()) for path in options["references"]]
    chosen = {name: options[name] for name in names}
    return {
        name: str(value.absolute()) if isinstance(value, Path) else value
        for name, value in chosen.items()
    } | {"references": references, "k": inpainter.k, "weights": inpainter.weights()}


def _load(options: dict[str, Any]) -> "Inpainter":
    from ..inpainter.memory import keep_freed_memory
    from ..inpainter.pipeline import Inpainter

    keep_freed_memory()
    return Inpainter.load(
        options["database"],
        coarse=options["coarse"],
        network=options["network"],
        k=options["k"],
        references=options["references"],
        auxiliary=options["auxiliary"],
        size=options["size"],
        seed=options["seed"],
        device=options["device"],
        verify=options["verify"],
        moved=options["moved"],
    )


def _say_result(
    inpainter: "Inpainter", photo: Path, out: Path, result: "Result", *, as_json: bool
) -> None:
    """What was painted, and what was borrowed."""
    squares: list[dict[str, Any]] = []
    parts = zip(result.frames, result.scores, result.ids, result.moved.tolist(), strict=True)
    for frame, scores, ids, moved in parts:
        names = inpainter.names(ids)
        neighbors = [
            {"id": number, "score": None if isnan(score) else score, "path": name}
            for number, score, name in zip(ids.tolist(), scores.tolist(), names, strict=True)
            if number >= 0
        ]
        corner, side = frame.corner, frame.side
        squares.append(
            {
                "corner": [corner.real, corner.imag],
                "edge": [side.real, side.imag],
                "moved": moved,
                "neighbors": neighbors,
            }
        )
    if as_json:
        click.echo(json.dumps({"photo": str(photo), "out": str(out), "squares": squares}, indent=1))
        return
    if not squares:
        click.echo(f"{out}: no pixel of the mask is white, the photo is untouched")
        return
    moved = [bool(square["neighbors"]) for square in squares if square["moved"]]
    places, alone = moved.count(True), moved.count(False)
    told = f", {places} of them with photos of the same place or moment" if places else ""
    told += f", {alone} of them with the photo itself" if alone else ""
    click.echo(f"{out}: {_squares(len(squares))} painted{told}")
    borrowed: dict[str, list[float]] = {}
    for neighbor in (one for square in squares for one in square["neighbors"]):
        score = neighbor["score"]
        borrowed.setdefault(neighbor["path"], []).append(-1 if score is None else score)
    most = sorted(borrowed.items(), key=lambda item: (-len(item[1]), -max(item[1])))
    same = {n["path"] for square in squares if square["moved"] for n in square["neighbors"]}
    for path, found in most[:_SHOWN]:
        score = f"  {max(found):.4f}" if max(found) > -1 else ""
        told = ", the same place or moment" if path in same else ""
        told += f", {_squares(len(found))}" if len(squares) > 1 else ""
        click.echo(f"from{score}  {path}{told}")
    if len(most) > _SHOWN:
        click.echo(f"and from {len(most) - _SHOWN} more (--json names all)")


def _say_useless(inpainter: "Inpainter") -> None:
    """Reference photos that nothing but their middle was borrowed from."""
    for path in inpainter.useless():
        _logger.warning(
            "%s: no face was found in it, nor the place of a photo that was painted", path
        )


def _squares(count: int) -> str:
    return f"{count} square{'s' * (count > 1)}"


def _say_report(out: Path, report: "Report", *, as_json: bool) -> None:
    """What became of a folder; exit code 1 if a photo failed."""
    if as_json:
        counts = {"done": report.done, "kept": report.kept}
        untouched = [str(path) for path in report.untouched]
        failed = [{"photo": str(path), "reason": reason} for path, reason in report.failed]
        click.echo(json.dumps({**counts, "untouched": untouched, "failed": failed}, indent=1))
    else:
        click.echo(f"{out}: {report.done:,} photos written, {report.kept:,} were there already")
        for path in report.untouched:
            click.echo(f"{path}: no pixel of the mask is white, the photo is untouched")
        for path, reason in report.failed:
            named = reason if str(path) in reason else f"{path}: {reason}"
            click.echo(f"failed: {named}", err=True)
    if report.failed:
        raise SystemExit(1)
