"""Masks per second and core, in memory, against a plain Pillow implementation of Algorithm 1.

    python benchmarks/masks.py STROKES|synthetic

Both draw 256 x 256 masks from the same strokes, one after another, on one core; times are processor
times, medians of five runs after one to warm up.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from simpaint.data.masks import MaskGenerator
from simpaint.data.strokes import StrokeBank, synthetic_bank

LIMIT = 10.0


def pillow_mask(strokes: list[NDArray[np.uint8]], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Algorithm 1 as one writes it down with Pillow: draw, upscale, crop, binarise."""
    count = 0
    while count < 1:
        count = round(rng.normal(4, 2))
    canvas = Image.new("L", (256, 256))
    draw = ImageDraw.Draw(canvas)
    for _ in range(count):
        points = [tuple(point) for point in strokes[rng.integers(len(strokes))].tolist()]
        width = round(rng.uniform(5, 15))
        draw.line(points, fill=255, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            half = width / 2
            draw.ellipse((x - half, y - half, x + half, y + half), fill=255)
    side = round(256 * rng.uniform(1, 1.5))
    canvas = canvas.resize((side, side), Image.Resampling.BILINEAR)
    left = (side - 256) // 2
    canvas = canvas.crop((left, left, left + 256, left + 256))
    return np.asarray(canvas) >= 128


def seconds(draw: Callable[[], object], repeats: int = 5) -> float:
    """Processor time: the median of several runs, after one to warm up."""
    draw()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        draw()
        times.append(time.process_time() - start)
    return float(np.median(times))


@click.command()
@click.argument("strokes")
@click.option("--masks", default=2000, show_default=True, help="Masks in each run.")
def main(strokes: str, masks: int) -> None:
    """Print masks per second and core for simpaint and for plain Pillow."""
    cv2.setNumThreads(1)
    bank = synthetic_bank() if strokes == "synthetic" else StrokeBank.open(Path(strokes))
    generator = MaskGenerator(bank)
    out = np.empty((masks, 256, 256), np.uint8)
    ours = seconds(lambda: generator.fill(0, out)) / masks

    own_strokes = [bank.stroke(row).copy() for row in range(min(len(bank), 100_000))]
    rng = np.random.default_rng(0)
    few = masks // 10
    pillow = seconds(lambda: [pillow_mask(own_strokes, rng) for _ in range(few)]) / few

    table = Table("implementation", "masks/s and core", "µs a mask", title="Algorithm 1, 256 x 256")
    table.add_row("simpaint", f"{1 / ours:,.0f}", f"{ours * 1e6:.0f}")
    table.add_row("Pillow", f"{1 / pillow:,.0f}", f"{pillow * 1e6:.0f}")
    console = Console()
    console.print(table)
    console.print(f"ratio {pillow / ours:.1f} (limit: at least {LIMIT:g})")


if __name__ == "__main__":
    main()
