"""Anyone's own method, by "module:function"."""

import hashlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from torch import Tensor

from ...errors import InputError
from .signature import Method


def load_own(source: str) -> tuple[Method, int, str]:
    """Import a method; modules of the working directory are found too.

    Args:
        source: "package.module:function".

    Returns:
        the function, which raises `InputError` whatever it fails by, 0 similar photos, and a hash
        of its name and its module's source, but not of what the module imports or reads.

    Raises:
        InputError: it cannot be imported.
    """
    module_name, _, function = source.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    with _blamed(f"{source}: expected MODULE:FUNCTION that can be imported"):
        module = import_module(module_name)
        method: Method = getattr(module, function)
        text = inspect.getsource(module)
    if not callable(method):
        raise InputError(f"{source}: expected a function, found {type(method).__name__}")

    def blamed(photos: Tensor, masks: Tensor) -> Tensor:
        with _blamed(source):
            return method(photos, masks)

    return blamed, 0, hashlib.sha256(f"{source}\n{text}".encode()).hexdigest()


@contextmanager
def _blamed(what: str) -> Iterator[None]:
    """Turn whatever a stranger's code raises into an `InputError`."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise InputError(f"{what}: {type(error).__name__}: {error}") from error
