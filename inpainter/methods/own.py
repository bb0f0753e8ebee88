"""Anyone's own method, by "module:function"."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from ...errors import InputError
from .signature import Method, Similar


def load_own(source: str, similar: Similar) -> tuple[Method, int, str]:
    """Import a method; modules of the working directory are found too.

    Args:
        source: "package.module:function", called with photos and masks; with "@4" behind it also
            with 4 similar photos of each, (B, 4, 3, H, W) in [0, 1], the most similar first.
        similar: finds these.

    Returns:
        the function, which runs without gradients and raises `InputError` whatever it fails by, how
        many similar photos it looks at, and a hash of its name and its module's source, but not of
        what the module imports or reads.

    Raises:
        InputError: it cannot be imported.
    """
    path, _, count = source.rpartition("@")
    path, k = (path, int(count)) if count.isdecimal() else (source, None)
    module_name, _, function = path.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    with _blamed(f"{source}: expected MODULE:FUNCTION that can be imported"):
        module = import_module(module_name)
        method: Callable[..., Tensor] = getattr(module, function)
        text = inspect.getsource(module)
    if not callable(method):
        raise InputError(f"{source}: expected a function, found {type(method).__name__}")

    @torch.no_grad()  # not inference_mode, inside which a method could not turn gradients on
    def blamed(photos: Tensor, masks: Tensor) -> Tensor:
        shown = []
        if k is not None:
            none = photos.new_empty(len(photos), 0, *photos.shape[1:])
            shown = [similar(photos, masks, k) if k else none]
        with _blamed(source):
            return method(photos, masks, *shown)

    return blamed, k or 0, hashlib.sha256(f"{source}\n{text}".encode()).hexdigest()


@contextmanager
def _blamed(what: str) -> Iterator[None]:
    """Turn whatever a stranger's code raises into an `InputError`; what it prints is no result."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        raise InputError(f"{what}: {type(error).__name__}: {error}") from error
