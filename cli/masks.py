"""`simpaint masks`: strokes and irregular hole masks (QD-IMD)."""

import click


@click.group()
def masks() -> None:
    """Hole masks drawn from human strokes (QD-IMD)."""
