"""`simpaint evaluate`: methods measured on the same photos with the same holes."""

import json
from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from .progress import progress_bar

_path = click.Path(path_type=Path)


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    """A,B,C."""
    return tuple(name.strip() for name in value.split(",") if name.strip())


@click.command()
@click.option("--photos", type=_path, help="Aligned photos: a folder, list, .tar or .parquet.")
@click.option(
    "--album", type=_path,
    help="In place of --photos: a folder with a folder of photos for each person, not aligned.",
)  # fmt: skip
@click.option("--out", type=_path, required=True, help="Folder of the report.")
@click.option(
    "--methods",
    callback=_names,
    default="telea,ns,biharmonic",
    show_default=True,
    help="Names of methods or networks (simpaint is our own), NAME=WEIGHTS_FILE, MODULE:FUNCTION, "
    "MODULE:FUNCTION@3 to be given 3 similar photos; with commas between. After a change in what "
    "a MODULE imports or reads, name its function anew: that is not looked at.",
)
@click.option(
    "--masks",
    help="A folder of masks, each of which is used, or `balanced`: strokes drawn here, as many in "
    "each bucket of hole ratios.  [default: balanced, unless --shape or --album is given]",
)
@click.option(
    "--shape", "shapes", multiple=True, metavar="SHAPE",
    help="Wide holes on every photo: left, right, half (left and right in turn), center, eyes, "
    "mouth, random-box, random-block, random-region; repeat for several.",
)  # fmt: skip
@click.option(
    "--database", "databases", type=_path, multiple=True,
    help="Where similar photos come from; repeat to compare several.",
)  # fmt: skip
@click.option(
    "--auxiliary", "auxiliaries", multiple=True,
    type=click.Choice(["database", "oracle", "random", "noise", "album", "person"]),
    help="What methods are shown as similar photos; oracle looks for the true photo's neighbors. "
    "album: of an "
    "album also the person's other photos, person: these alone. Repeat to compare several.  "
    "[default: database; with --album database, album and person]",
)  # fmt: skip
@click.option(
    "--coarse",
    help="Method that fills holes for the search.  [default: what goes with each network]",
)
@click.option(
    "--strokes", default="synthetic", show_default=True,
    help="Of balanced masks and an album: a file of `masks import`, or `synthetic`.",
)  # fmt: skip
@click.option("--per-bucket", type=click.IntRange(1), help="Masks in each bucket.")
@click.option(
    "--jitter", default=0.0, show_default=True, type=click.FloatRange(0, 1),
    help="Share of the photos that are turned, enlarged and moved, as unaligned faces are.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(1), help="Take so many of the photos.")
@click.option("--black-holes", is_flag=True, help="Black = hole in a plain folder of masks.")
@click.option("--size", default=128, show_default=True, type=click.IntRange(16), help="In pixels.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1...")
@click.option(
    "--sheet", default=16, show_default=True, type=click.IntRange(1),
    help="Cases on each sheet of the best, median and worst.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def evaluate(as_json: bool, album: Path | None, **options: Any) -> None:  # noqa: ANN401 - Evaluation's own names
    """Measure how well methods fill holes, all on the same photos with the same holes.

    Writes report.html, report.md, table.csv, differences.csv and results.parquet. Repeat the
    command to go on where it was stopped. The report shows the --methods of the command: name
    earlier ones again beside new ones, and only the new ones are run.
    """
    from ..inpainter.evaluation import Evaluation
    from ..inpainter.evaluation import evaluate as run
    from ..inpainter.memory import keep_freed_memory

    if (options["photos"] is None) == (album is None):
        found = "neither" if album is None else "both"
        raise InputError(f"--photos: expected it or --album, found {found}")
    if options["masks"] is None:
        options["masks"] = "" if options["shapes"] or album else "balanced"
    usual = ("database", "album", "person") if album else ("database",)
    options["auxiliaries"] = options["auxiliaries"] or usual
    options |= {"photos": album or options["photos"], "album": album is not None}
    keep_freed_memory()
    outcome = run(Evaluation(**options), progress_bar)
    if as_json:
        rows = [one._asdict() for one in outcome.table]
        shown = [{key: None if value != value else value for key, value in r.items()} for r in rows]
        click.echo(json.dumps(shown, indent=1))
        return
    holding = sum(bool(one.better) for one in outcome.differences)
    if outcome.differences:
        click.echo(f"{holding:,} of {len(outcome.differences):,} differences hold at 95 %")
    click.echo(f"Look at {outcome.report}.")
