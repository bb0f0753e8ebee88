"""`simpaint train`: the networks, from photos to weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InputError
from .masks import SHAPES

if TYPE_CHECKING:
    from ..inpainter.train.recipes import Recipe, Stage

Command = TypeVar("Command", bound=Callable[..., None])


@click.group()
def train() -> None:
    """Train networks. Needs the extra `train`: pip install 'simpaint[train]'."""


class _StageType(click.ParamType):  # type: ignore[type-arg]  # in older click it takes none
    """SIZE:STEPS:BATCH."""

    name = "SIZE:STEPS:BATCH"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,  # noqa: ARG002 - click's own signature
        ctx: click.Context | None,  # noqa: ARG002
    ) -> "Stage":
        from ..inpainter.train.recipes import Stage

        try:
            size, steps, batch = (int(number) for number in value.split(":"))
        except ValueError as error:
            raise InputError(f"--stage: expected it as 64:6000:128, found {value}") from error
        return Stage(size, steps, batch)


def _path(**options: Any) -> Any:  # noqa: ANN401 - click's own types
    return click.Path(path_type=Path, **options)


_SHARED = [
    click.option("--out", type=_path(), required=True, help="Folder of the run."),
    click.option("--resume", is_flag=True, help="Go on from the last state in --out, if any."),
    click.option("--stage", "stages", type=_StageType(), multiple=True, help="Repeat for several."),
    click.option(
        "--learning-rate",
        type=click.FloatRange(0, min_open=True),
        help="In place of the recipe's.",
    ),
    click.option("--check-every", type=click.IntRange(1), help="Steps between checkpoints."),
    click.option(
        "--patience",
        type=click.IntRange(1),
        help="End after so many checks without a better network.",
    ),
    click.option(
        "--seed",
        default=0,
        show_default=True,
        type=click.IntRange(0),
        help="Of weights, order and mirroring.",
    ),
    click.option("--minutes", type=click.FloatRange(0), help="End after so long, to be resumed."),
    click.option(
        "--workers",
        default=2,
        show_default=True,
        type=click.IntRange(0),
        help="Processes that make batches.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="auto: bfloat16 on a GPU.",
    ),
    click.option("--compile", is_flag=True, help="Fuse the networks with torch.compile."),
    click.option("--cpu", is_flag=True, help="Do not use a GPU."),
    click.option(
        "--cache",
        type=_path(),
        help="Folder for decoded photos.  [default: .simpaint-photos beside --out]",
    ),
]


def _shared(command: Command) -> Command:
    """The options that all training commands have."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


_strokes = click.option(
    "--strokes",
    default="synthetic",
    show_default=True,
    help="A file of `masks import`, or `synthetic`.",
)

_PAINTING = [
    _strokes,
    click.option(
        "--shape",
        "shapes",
        multiple=True,
        default=["strokes"],
        show_default=True,
        type=click.Choice(SHAPES),
        help="What the holes are; repeat for several, taken in turn.",
    ),
    click.option(
        "--balanced", is_flag=True, help="As many large holes as small ones, where strokes are."
    ),
    click.option("--validation", type=_path(), help="Photos that decide which network is best."),
    click.option(
        "--recipe",
        type=click.Choice(["paper", "small", "small-cpu"]),
        default="paper",
        show_default=True,
        help="Sizes, rates, how long: the paper's, for minutes of a GPU, for hours of two cores.",
    ),
    click.option(
        "--features",
        type=click.Choice(["simnet", "lite0", "vgg16", "none"]),
        default="simnet",
        show_default=True,
        help="Network of perceptual and style loss; the paper's is vgg16. none: without them.",
    ),
    click.option("--feature-weights", type=_path(), help="A file of its weights."),
    click.option(
        "--sharpness",
        default=0.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Weight of as much detail in the hole as the truth has, against blur; try 100.",
    ),
    click.option(
        "--adversarial",
        default=0.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Weight of a judge that knows ImageNet, against blur; try 0.04.",
    ),
    click.option(
        "--matching",
        default=0.0,
        show_default=True,
        type=click.FloatRange(0),
        help="With a judge: weight of what he sees being the truth's; try 0.15.",
    ),
    click.option(
        "--initial", type=_path(), help="Weights to begin with; for sim also those of a smaller K."
    ),
]


_variant = click.option(
    "--variant",
    type=click.Choice(["small", "paper-256", "paper-512"]),
    default="small",
    show_default=True,
    help="How wide and deep.",
)


def _painting(command: Command) -> Command:
    """The options that networks that paint have."""
    for option in reversed(_PAINTING):
        command = option(command)
    return _shared(command)


@train.command()
@click.argument("photos", type=_path())
@_variant
@_painting
@click.option("--bn-frozen", is_flag=True, help="Fine-tune: keep the encoder's batch norms.")
def pconv(**options: Any) -> None:  # noqa: ANN401 - see _PAINTING
    """Train the coarse network, of partial convolutions (Liu et al. 2018).

    PHOTOS is a folder, a text file of paths, a .tar or a .parquet. Prints what the run costs in
    floating-point operations, then a line a minute; `tensorboard --logdir OUT` shows more. A
    stopped run goes on with --resume, to the same weights. OUT/network.safetensors is the result.
    Under `accelerate launch -m simpaint ...` it uses several GPUs or machines.
    """
    _train_painting("pconv", **options)


@train.command()
@click.argument("photos", type=_path())
@click.option("-k", type=click.IntRange(0), default=1, show_default=True, help="Similar photos.")
@click.option("--neighbors", type=_path(), help="What `simpaint index neighbors` wrote.")
@click.option("--moved", type=_path(), help="Where the database's photos are, if moved.")
@_variant
@_painting
def sim(**options: Any) -> None:  # noqa: ANN401 - see _PAINTING
    """Train Sim-K, which sees K similar photos (Iskakov 2018).

    PHOTOS is an image database with its table of --neighbors, or for -k 0 photos as for pconv.
    """
    _train_painting("sim", **options)


@train.command()
@click.argument("photos", type=_path())
@click.option("-k", type=click.IntRange(1), default=3, show_default=True, help="At most so many.")
@click.option(
    "--same-folder",
    is_flag=True,
    help="Take other photos of the photo's own folder first: each has one person's.",
)
@click.option(
    "--max-score",
    type=float,
    help="What is more similar is a copy.  [default: depends on the descriptor]",
)
@click.option("--moved", type=_path(), help="Where the database's photos are, if moved.")
@click.option(
    "--coarse",
    default="sim-0+pconv",
    show_default=True,
    help='Networks of the coarse picture, joined by "+": the mean of theirs.',
)
@click.option(
    "--crispness",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="How much of what wide holes lack in sharpness beside similar photos is made up.",
)
@_painting
def copy(**options: Any) -> None:  # noqa: ANN401 - see _PAINTING
    """Train our own network, which copies from any number of similar photos.

    PHOTOS is an image database; similar photos are found in it as in use, by coarse pictures.
    """
    _train_painting("copy", **options)


@train.command()
@click.argument("photos", type=_path())
@_shared
@click.option("--width", default=64, show_default=True, help="Channels at half the picture's size.")
def dcgan(photos: Path, width: int, **options: Any) -> None:  # noqa: ANN401 - see _SHARED
    """Train a generator of 64-pixel faces of nobody (Radford et al. 2016)."""
    from ..inpainter.dcgan import GeneratorConfig
    from ..inpainter.train.recipes import RECIPES
    from ..inpainter.train.runs import train_dcgan

    recipe = _recipe(RECIPES["dcgan"], options)
    kept = train_dcgan(
        photos,
        GeneratorConfig(width=width),
        recipe,
        _run_options(options),
        _cache(options),
        click.echo,
        seed=options["seed"],
    )
    click.echo(f"The network is {kept}.")


@train.command()
@click.argument("photos", type=_path())
@_shared
def framing(photos: Path, **options: Any) -> None:  # noqa: ANN401 - see _SHARED
    """Train what finds out whether and where a half hidden face is, and how it is turned.

    PHOTOS show a face each, whole and in the middle; the extra `faces` tells where it is. Those in
    which it sees none teach where there is no face.
    """
    from ..inpainter.train.recipes import RECIPES
    from ..inpainter.train.runs import train_framing

    recipe = _recipe(RECIPES["framing"], options)
    run, cache = _run_options(options), _cache(options)
    kept = train_framing(photos, recipe, run, cache, click.echo, seed=options["seed"])
    click.echo(f"The network is {kept}.")


@train.command()
@click.option("--photos", type=_path(), multiple=True, required=True, help="Repeat for several.")
@_strokes
@_shared
def simnet(
    photos: tuple[Path, ...],
    strokes: str,
    **options: Any,  # noqa: ANN401 - see _SHARED
) -> None:
    """Train the descriptor that finds similar faces.

    --photos are folders (or lists, .tar or .parquet files) of aligned faces. --precision auto is
    bfloat16 on a processor too. Several processes would all do the same.
    """
    from ..data.strokes import named_bank
    from ..inpainter.train.recipes import RECIPES
    from ..inpainter.train.runs import train_simnet
    from ..inpainter.train.simnet import SimNetConfig

    kept = train_simnet(
        photos,
        named_bank(strokes),
        SimNetConfig(),
        _recipe(RECIPES["simnet"], options),
        _run_options(options),
        _cache(options),
        click.echo,
        seed=options["seed"],
    )
    click.echo(f"The network is {kept}.")


def _train_painting(kind: Any, **options: Any) -> None:  # noqa: ANN401 - see _PAINTING
    from ..data.strokes import named_bank
    from ..inpainter.train.recipes import RECIPES
    from ..inpainter.train.runs import PaintingRun, train_painting

    names = PaintingRun.__dataclass_fields__.keys() & options.keys()
    run = PaintingRun(kind=kind, **{name: options[name] for name in names})
    recipe = _recipe(RECIPES[options["recipe"]], options)
    if run.features == "none":
        recipe = replace(recipe, loss=replace(recipe.loss, perceptual=0.0, style=0.0))
    bank = named_bank(options["strokes"]) if "strokes" in run.shapes else None
    kept = train_painting(run, bank, recipe, _run_options(options), _cache(options), click.echo)
    click.echo(f"The network is {kept}.")


def _recipe(recipe: "Recipe", options: dict[str, Any]) -> "Recipe":
    """The recipe with what the command line has in place of it."""
    names = ("stages", "learning_rate", "check_every", "patience")
    return replace(recipe, **{name: options[name] for name in names if options[name]})


def _run_options(options: dict[str, Any]) -> Any:  # noqa: ANN401 - imported when needed
    from ..inpainter.memory import keep_freed_memory
    from ..inpainter.training import RunOptions

    keep_freed_memory()
    names = RunOptions.__dataclass_fields__.keys() & options.keys()
    return RunOptions(folder=options["out"], **{name: options[name] for name in names})


def _cache(options: dict[str, Any]) -> Path:
    cache: Path = options["cache"] or options["out"].absolute().parent / ".simpaint-photos"
    return cache
