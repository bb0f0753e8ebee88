"""`simpaint faces`: the faces of whole photos, cut out for a database."""

from pathlib import Path

import click

from .progress import progress_bar


@click.command()
@click.argument("photos", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the faces.")
@click.option(
    "--size",
    default=256,
    show_default=True,
    type=click.IntRange(16, 4096),
    help="Side of the squares in pixels.",
)
@click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(1), help="Photos at once."
)
def faces(photos: Path, out: Path, size: int, workers: int) -> None:
    """Cut all faces out of PHOTOS, upright, as PNG: for a database, to train or to evaluate with.

    PHOTOS are a folder, a list of paths, a .tar or a .parquet. Networks borrow from squares that
    hold a face as theirs do; of a whole photo a database knows the central square only. Look at the
    faces, and delete what is none. Repeat the command to go on, or for the faces of new photos.
    """
    from ..inpainter.whole.portraits import cut_faces

    with progress_bar("Finding faces", "photos") as progress:
        report = cut_faces(photos, out, size=size, workers=workers, progress=progress)
    click.echo(
        f"{out}: {report.faces:,} faces written; {report.kept:,} photos were searched before"
    )
    if report.faceless:
        click.echo(f"{len(report.faceless):,} photos without a face, as {report.faceless[0]}")
    for name, reason in report.failed:
        click.echo(f"not used: {name}: {reason}", err=True)
