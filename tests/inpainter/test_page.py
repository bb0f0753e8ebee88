"""Reports: Markdown and a single HTML file say the same."""

import base64
from pathlib import Path

import numpy as np

from simpaint.data.images import write_png
from simpaint.inpainter.page import Page


def test_a_page_is_written_twice_and_its_html_needs_no_other_file(tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "a face.png"
    picture.parent.mkdir()
    write_png(picture, np.zeros((4, 4, 3), np.uint8))
    page = Page(tmp_path, "Title")
    page.heading("Part")
    page.text("1 < 2, and **bold**")
    page.table(["", "L1"], [["telea|ns", "2.63"]])
    page.picture(picture, "a face")
    written = page.write().read_text("utf-8")
    assert "![a face](<pictures/a face.png>)" in (tmp_path / "report.md").read_text("utf-8")
    assert base64.b64encode(picture.read_bytes()).decode() in written
    for part in (
        "<h1>Title</h1>",
        "<h2>Part</h2>",
        "1 &lt; 2",
        "<strong>bold</strong>",
        "<td>telea|ns</td>",
        "2.63</td>",
    ):
        assert part in written
