"""What becomes of damaged photos and of damaged databases.

    python benchmarks/damage.py PHOTOS [--photos 1000] [--flips 400] [--cuts 100]

Part 1 damages photos in ten ways and builds a database of them: each must be indexed or be named
with a reason. Part 2 flips single bits and cuts files of that database: each must be noticed.
"""

import argparse
import io
import shutil
import struct
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from simpaint.errors import DatabaseError
from simpaint.index_build import BuildConfig, build_index
from simpaint.index_build.manifest import check_files, read_manifest
from simpaint.index_build.store import all_rows, read_skipped

_Damage = Callable[[bytes, np.random.Generator], bytes]


def main() -> None:
    """Run both parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--flips", type=int, default=400)
    parser.add_argument("--cuts", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = damaged_photos(arguments.source, arguments.photos, Path(folder))
        damaged_database(database, arguments.flips, arguments.cuts)


def flipped(content: bytes, rng: np.random.Generator, bits: int = 1) -> bytes:
    """The content with some bits turned."""
    damaged = bytearray(content)
    for place in rng.integers(0, len(content) * 8, bits):
        damaged[place // 8] ^= 1 << int(place % 8)
    return bytes(damaged)


def bomb(_: bytes, rng: np.random.Generator) -> bytes:
    """A small PNG that says it is 400 to 3,600 megapixels large."""
    side = int(rng.integers(20_000, 60_000))
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1 << 20))
    chunks = (
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, data, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def scans(content: bytes, _: np.random.Generator) -> bytes:
    """A progressive JPEG whose last scan comes a thousand times."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * 1000 + whole[-2:]


def as_png(content: bytes, _: np.random.Generator) -> bytes:
    """A whole PNG, under a name that ends in .jpg."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(buffer, "PNG")
    return buffer.getvalue()


DAMAGES: dict[str, _Damage] = {
    "whole": lambda content, _: content,
    "cut anywhere": lambda content, rng: content[: rng.integers(1, len(content))],
    "one bit flipped": flipped,
    "100 bits flipped": lambda content, rng: flipped(content, rng, 100),
    "header flipped": lambda content, rng: flipped(content[:200], rng, 20) + content[200:],
    "PNG named .jpg": as_png,
    "no bytes": lambda *_: b"",
    "text": lambda _, rng: rng.bytes(int(rng.integers(1, 500))).hex().encode(),
    "noise": lambda content, rng: content[:4] + rng.bytes(5000),
    "pixel bomb": bomb,
    "scan bomb": scans,
}


def damaged_photos(source: Path, count: int, folder: Path) -> Path:
    """Build a database of damaged photos and print what became of them."""
    rng = np.random.default_rng(0)
    photos = folder / "photos"
    photos.mkdir()
    originals = sorted(source.glob("*.jpg"))
    kinds = list(DAMAGES)
    for i in range(count):
        content = originals[rng.integers(len(originals))].read_bytes()
        damage = DAMAGES[kinds[i % len(kinds)]]
        (photos / f"{i:05d}.jpg").write_bytes(damage(content, rng))
    start = time.perf_counter()
    manifest = build_index(photos, folder / "db", BuildConfig(device="cpu"))
    seconds = time.perf_counter() - start
    indexed = {row.path for row in all_rows(folder / "db", manifest)}
    skipped = {row.path: row.reason for row in read_skipped(folder / "db" / manifest.skipped)}
    print(f"{count} photos, {seconds:.1f} s; {'kind':<18}{'indexed':>8}{'skipped':>8}  reasons")
    for k, kind in enumerate(kinds):
        names = [f"{i:05d}.jpg" for i in range(k, count, len(kinds))]
        lost = [name for name in names if (name in indexed) == (name in skipped)]
        if lost:
            raise SystemExit(f"neither or both indexed and skipped: {lost}")
        reasons = Counter(skipped[name][:40] for name in names if name in skipped)
        known = sum(name in indexed for name in names)
        common = "; ".join(f"{reason} ({times})" for reason, times in reasons.most_common(2))
        print(f"{kind:<18}{known:>8}{len(names) - known:>8}  {common}")
    return folder / "db"


def damaged_database(database: Path, flips: int, cuts: int) -> None:
    """Damage a copy of each file in turn and print how often that was noticed."""
    rng = np.random.default_rng(1)
    copy = database.with_name("copy")
    shutil.copytree(database, copy)
    files = [path for path in copy.rglob("*") if path.is_file() and path.name != ".lock"]
    noticed: Counter[tuple[str, str]] = Counter()
    tried: Counter[tuple[str, str]] = Counter()
    for trial in range(flips + cuts):
        path = files[trial % len(files)]
        kind = "flip" if trial < flips else "cut"
        content = path.read_bytes()
        cut = content[: rng.integers(len(content))]
        path.write_bytes(flipped(content, rng) if kind == "flip" else cut)
        tried[path.name, kind] += 1
        try:
            check_files(copy, read_manifest(copy))
        except DatabaseError:
            noticed[path.name, kind] += 1
        path.write_bytes(content)
    check_files(copy, read_manifest(copy))
    print(f"\n{'file':<26}{'flips':>12}{'cuts':>12}   noticed of tried")
    for path in files:
        cells = [f"{noticed[path.name, k]} of {tried[path.name, k]}" for k in ("flip", "cut")]
        print(f"{path.name:<26}{cells[0]:>12}{cells[1]:>12}")
    if noticed != tried:
        raise SystemExit("damage went unnoticed")


if __name__ == "__main__":
    main()
