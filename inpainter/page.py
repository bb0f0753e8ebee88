"""A report for people: the same text as Markdown, and as one HTML file with its pictures inside."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from markdown_it import MarkdownIt

from ..data.files import replacing

_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1200px }
table { border-collapse: collapse; margin: .6em 0 1.6em }
th, td { border-bottom: 1px solid #ddd; padding: .25em .7em; white-space: nowrap }
img { max-width: 100% }
"""


class Page:
    """Written part by part in Markdown: what it calls bold is bold, what it calls code is code."""

    def __init__(self, folder: Path, title: str) -> None:
        """Begin.

        Args:
            folder: where the page goes, and its pictures are.
            title: its first heading.
        """
        self._folder, self._title = folder, title
        self._parts = [f"# {title}"]

    def heading(self, text: str, level: int = 2) -> None:
        """A heading, of level 2 or deeper."""
        self._parts.append(f"{'#' * level} {text}")

    def text(self, text: str) -> None:
        """A paragraph."""
        self._parts.append(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; all columns but the first hold numbers."""
        lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
        cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        self._parts.append("\n".join(f"| {' | '.join(line)} |" for line in cells))

    def picture(self, path: Path, alt: str) -> None:
        """A picture in the page's folder or below: PNG or JPEG."""
        self._parts.append(f"![{alt}](<{path.relative_to(self._folder).as_posix()}>)")

    def write(self) -> Path:
        """Write `report.md` and `report.html`; the second's path.

        Raises:
            StorageError: a file cannot be written.
        """
        markdown = "\n\n".join(self._parts) + "\n"
        renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
        renderer.add_render_rule("image", _embedding(self._folder))
        page = (
            f'<!doctype html><meta charset="utf-8"><title>{self._title}</title>'
            f"<style>{_STYLE}</style>\n{renderer.render(markdown)}"
        )
        for name, text in (("report.md", markdown), ("report.html", page)):
            with replacing(self._folder / name) as temporary:
                temporary.write_text(text, "utf-8")
        return self._folder / "report.html"


def _embedding(folder: Path) -> Callable[..., str]:
    """A rule for images that puts their files inside the page."""

    def image(_: Any, tokens: Sequence[Any], index: int, *__: Any) -> str:  # noqa: ANN401 - markdown-it's own
        token = tokens[index]
        path = folder / unquote(token.attrs["src"])
        kind = "png" if path.suffix == ".png" else "jpeg"
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        return f'<img alt="{token.content}" src="data:image/{kind};base64,{data}">'

    return image
