"""The `simpaint` command: each command parses, calls one library function and prints.

The modules here import nothing heavy at the top, so that `simpaint --help` stays quick.
"""

import errno
import io
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from .. import __version__
from ..errors import SimpaintError
from .demo import demo
from .evaluate import evaluate
from .faces import faces
from .index import index
from .inpaint import inpaint
from .masks import masks
from .train import train

_NO_MEMORY = re.compile("out of memory|can't allocate memory")  # as torch says it


class _Failure(click.ClickException):
    """An expected error: one line on stderr, exit code 2."""

    exit_code = 2


@contextmanager
def _usage_in_one_line() -> Iterator[None]:
    """Where click would print three; a command given nothing shows its help, as ever."""
    try:
        yield
    except getattr(click.exceptions, "NoArgsIsHelpError", ()):
        raise
    except click.UsageError as error:
        hint = f" Try '{error.ctx.command_path} --help'." if error.ctx else ""
        raise _Failure(" ".join(error.format_message().split()) + hint) from error


class _Root(click.Group):
    """Turns what the library raises into what a shell expects."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _usage_in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            with _usage_in_one_line():
                return super().invoke(ctx)
        except SimpaintError as error:
            if ctx.params["verbose"]:
                traceback.print_exc()
            raise _Failure(" ".join(str(error).split())) from error
        except (OSError, MemoryError, UnicodeError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _NO_MEMORY.search(str(error)):
                raise
            if isinstance(error, OSError) and error.errno == errno.EPIPE:  # click knows what to do
                raise
            if ctx.params["verbose"]:
                traceback.print_exc()
            reason = " ".join(str(error).split()) or "no memory is left"
            raise _Failure(f"{type(error).__name__}: {reason}") from error
        except (KeyboardInterrupt, click.Abort):
            click.echo("Stopped. What is finished stays; repeat the command to go on.", err=True)
            ctx.exit(130)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="simpaint")
@click.option("-v", "--verbose", is_flag=True, help="Show what is done, and tracebacks of errors.")
def main(verbose: bool) -> None:
    """Fill the holes of a photo with what similar photos show."""
    for stream in (sys.stdout, sys.stderr):  # names of files may have letters that it has not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s"
    )


main.add_command(masks)
main.add_command(demo)
main.add_command(train)
main.add_command(evaluate)
main.add_command(faces)
main.add_command(index)
main.add_command(inpaint)
