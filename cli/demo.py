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
def demo(out: Path) -> None:
    """Draw a small mask data set and a picture of it, with nothing downloaded.

    The strokes are synthetic (computed curves, drawn by no human).
    """
    from ..data.mask_files import write_masks
    from ..data.mask_sources import GeneratedMasks
    from ..data.masks import MaskConfig
    from ..data.strokes import synthetic_bank

    source = GeneratedMasks(synthetic_bank(), MaskConfig(), train=2000, test=0, per_bucket=100)
    folder = out / "masks"
    with progress_bar("Drawing masks", "masks") as progress:
        write_masks(source, folder, progress=progress)
    click.echo(f"{folder}: {source.settings['masks']}")
    click.echo("2,000 training masks and 100 test masks in each of the six hole-ratio buckets.")
    click.echo(f"Look at {folder / 'sheet.png'}.")
