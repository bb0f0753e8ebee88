"""The Python of the README runs as it stands there."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from simpaint.data import import_drawings
from simpaint.data.drawn_faces import drawn_face
from simpaint.data.images import write_mask, write_png
from simpaint.index_build import build_index

README = Path(__file__).parents[1] / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the snippets find where they run."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "faces").mkdir()
    for seed in range(6):
        write_png(folder / f"faces/{seed}.png", drawn_face(np.random.default_rng(seed), 64))
    for name in ("album.simpaint", "faces.simpaint"):
        build_index(str(folder / "faces"), str(folder / name))
    write_png(folder / "torn.jpg", drawn_face(np.random.default_rng(9), 96))
    (folder / "me.jpg").write_bytes((folder / "faces/0.png").read_bytes())
    hole = np.zeros((96, 96), np.bool_)
    hole[30:50, 20:60] = True
    write_mask(folder / "tear.png", hole)
    strokes = [[[10, 90, 180, 240], [20, 200, 40, 90]], [[5, 250], [5, 250]]]
    lines = [
        json.dumps({"word": word, "key_id": str(i), "recognized": True, "drawing": strokes})
        for i, word in enumerate(("cat", "face", "zigzag", "line", "star") * 4)
    ]
    (folder / "drawings.ndjson").write_text("\n".join(lines))
    import_drawings([folder / "drawings.ndjson"], folder / "strokes.arrow")
    return folder


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) == 5


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_runs(snippet: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exec(compile(snippet.replace("50_000", "24"), "README.md", "exec"), {"__name__": "__main__"})
