"""Anyone's own method in an evaluation, beside our own network."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import write_png
from simpaint.index_build import BuildConfig, build_index
from simpaint.inpainter import Evaluation, evaluate

OWN = """
def average(photos, masks, similar):
    assert similar.shape == (1, 3, *photos.shape[1:])
    print("at work")
    return photos + masks * similar.mean(1)
"""


def test_it_is_shown_the_similar_photos_that_our_own_network_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, seeds in (("photos", range(3)), ("others", range(12))):  # copies among them
        Path(folder).mkdir()
        for seed in seeds:
            face = drawn_face(np.random.default_rng(seed), 32)
            write_png(Path(folder, f"{seed}.png"), face)
    build_index(Path("others"), Path("others.simpaint"), BuildConfig(device="cpu", workers=1))
    Path("mine_to_compare.py").write_text(OWN)
    methods = ("simpaint@3", "mine_to_compare:average@3")
    evaluate(
        Evaluation(
            Path("photos"), Path("out"), methods, shapes=("center",), size=32,
            databases=(Path("others.simpaint"),), auxiliaries=("database", "random"), device="cpu",
        )
    )  # fmt: skip
    printed = capsys.readouterr()
    assert ("at work" in printed.out, "at work" in printed.err) == (False, True)
    rows = pq.read_table("out/results.parquet").to_pylist()
    found: dict[str, dict[str, list[int]]] = {}
    for row in rows:
        found.setdefault(row["method"], {})[row["photo"]] = row["neighbors"]
    assert list(found) == [name for method in methods for name in (method, f"{method} (random)")]
    for kind in ("", " (random)"):
        assert found[methods[0] + kind] == found[methods[1] + kind]
