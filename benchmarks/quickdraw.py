"""Speed and memory of `masks import`, against a loop of `json.loads` over the same file.

    python benchmarks/quickdraw.py [FOLDER] [--mb 200]

FOLDER holds `simplified/` and `raw/` files of Quick, Draw!; their drawings are repeated until each
file has the wished size. Without it, synthetic drawings are written in both forms. Loop and import
take turns, and the best of five counts for each. Limits: twice the speed of the loop, 500 MB.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simpaint.data.stroke_import import import_drawings
from simpaint.data.strokes import StrokeBank, synthetic_bank

REPEATS = 5


def main() -> None:
    """Measure both forms and print ratios to the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--mb", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for form in ("simplified", "raw"):
            path = Path(scratch) / f"{form}.ndjson"
            size = write_big(path, form, args.folder, args.mb * 1_000_000)
            out = Path(scratch) / "strokes.arrow"
            runs: dict[str, Callable[[], object]] = {
                "json.loads": partial(loop, path),
                "import": partial(import_drawings, [path], out),
            }
            best = {name: [float("inf")] * 2 for name in runs}
            for name, run in [*runs.items()] * REPEATS:
                best[name] = [*map(min, best[name], timed(run))]
            print(f"{form}, {size / 1e6:.0f} MB")
            for name, (wall, cpu) in best.items():
                print(
                    f"  {name}: {size / wall / 1e6:.0f} MB/s, "
                    f"{best['json.loads'][0] / wall:.2f} x json.loads on the clock, "
                    f"{best['json.loads'][1] / cpu:.2f} x by processor time (limit: 2)"
                )
            print(f"  peak memory: {peak_memory(path, out):.0f} MB (limit: 500)")


def write_big(path: Path, form: str, folder: Path | None, size: int) -> int:
    """Four categories, one after the other: the published files hold one each, of about 70 MB."""
    if folder is None:
        parts = synthetic_lines(form)
    else:
        parts = [file.read_bytes().rstrip() + b"\n" for file in sorted((folder / form).iterdir())]
    parts = parts[:4]
    each = size // len(parts)
    with path.open("wb") as file:
        for part in parts:
            file.write(part * (each // len(part) + 1))
        return file.tell()


def synthetic_lines(form: str) -> list[bytes]:
    """Lines of each synthetic category; for raw, points every few pixels along the strokes."""
    bank = synthetic_bank(drawings_per_category=30)
    return [
        b"".join(
            record(bank, drawing_rows, category, form)
            for start, stop in bank.row_ranges([category])
            for drawing_rows in drawings(bank, start, stop)
        )
        for category in bank.categories
    ]


def drawings(bank: StrokeBank, start: int, stop: int) -> list[range]:
    """The rows of each drawing between two rows."""
    found = []
    while start < stop:
        found.append(bank.drawing_rows(start))
        start = found[-1].stop
    return found


def record(bank: StrokeBank, rows: range, category: str, form: str) -> bytes:
    """A drawing as its line."""
    strokes = [bank.stroke(row).astype(float) for row in rows]
    if form == "raw":
        drawing = [raw_stroke(stroke) for stroke in strokes]
    else:
        drawing = [stroke.astype(int).T.tolist() for stroke in strokes]
    fields = {
        "word": category,
        "countrycode": "DE",
        "timestamp": "2017-03-02 23:25:10.07453 UTC",
        "recognized": True,
        "key_id": str(bank.drawing_id(rows[0])),
        "drawing": drawing,
    }
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def raw_stroke(stroke: NDArray[np.float64]) -> list[list[float]]:
    """Points every 4 px, with times, on a screen three times as large."""
    along = np.append(0, np.cumsum(np.hypot(*np.diff(stroke, axis=0).T)))
    at = np.arange(0, along[-1] + 1, 4.0)
    xs, ys = (np.interp(at, along, values) * 3 for values in stroke.T)
    return [xs.astype(np.float32).tolist(), ys.astype(np.float32).tolist(), (at * 5).tolist()]


def loop(path: Path) -> None:
    """What there is to beat."""
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and seconds of all processors, worker processes included."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    run()
    return time.perf_counter() - wall, sum(os.times()[:4]) - cpu


def peak_memory(path: Path, out: Path) -> float:
    """MB that a process of its own takes at most for the import."""
    code = (
        "import sys; from pathlib import Path; "
        "from simpaint.data.stroke_import import import_drawings; "
        "import_drawings([Path(sys.argv[1])], Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, str(path), str(out)], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
