"""`simpaint demo`: the main job, offline, from nothing."""

from pathlib import Path

import click

from .progress import progress_bar


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder to write.",
)
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of aligned faces to borrow from.  [default: 500 generated faces of nobody]",
)
def demo(out: Path, photos: Path | None) -> None:
    """Index faces, fill holes in a real photo and in held-out faces, and show every step.

    Nothing is downloaded. OUT/report.html shows it all, and says what is real and what generated.
    """
    from ..inpainter.demo import write_demo

    click.echo(f"Look at {write_demo(out, photos, progress_bar)}.")
