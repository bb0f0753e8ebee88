"""Ways to fill a hole: one file each, one signature.

A method takes photos (B, 3, H, W) float32 in [0, 1], black inside the holes, and masks (B, 1, H, W)
float32, 1 = hole, and gives (B, 3, H, W); only what it painted inside the holes counts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from ...errors import InputError
from ..checkpoint import OUR_OWN
from ..painters import coarse_of, load_last
from .biharmonic import biharmonic
from .nearest import Nearest
from .networks import NetworkMethod
from .ns import ns
from .own import load_own
from .signature import Method, Similar
from .telea import telea

__all__ = ["METHODS", "Built", "Method", "Similar", "build_method"]

METHODS: dict[str, Callable[[Similar], Method]] = {
    "telea": lambda _: telea,
    "ns": lambda _: ns,
    "biharmonic": lambda _: biharmonic,
    "nearest": Nearest,
}
"""Methods that need no weights, by name."""

_OUR_OWN: Final = "simpaint"


class Built(NamedTuple):
    """A method that can be called.

    Attributes:
        method: what fills holes.
        k: similar photos that it looks at; 0 for none.
        fingerprint: changes when the method does: its name, or a hash of weights or source.
        coarse: the source of the method that fills holes for the search, unless told otherwise.
    """

    method: Method
    k: int
    fingerprint: str
    coarse: str = "pconv"


def build_method(source: str, similar: Similar, device: str = "cpu") -> Built:
    """Make a method.

    Args:
        source: a name of `METHODS`, "simpaint" for our own network, the name of shipped weights, a
            weights file, "sim-0+pconv" for the mean of two networks that need no similar photos, or
            "module:function" for anyone's own. "@4" behind our own network's or anyone's own
            gives it 4 similar photos.
        similar: where methods that look at similar photos get them.
        device: where networks run.

    Raises:
        InputError: a module or function that cannot be imported; or a number of similar photos for
            a method that does not take it.
        WeightsError: no such name or file, or a damaged one.
    """
    if source in METHODS:
        method = METHODS[source](similar)
        return Built(method, getattr(method, "k", 0), source)
    if ":" in source and not Path(source).exists():
        own = Built(*load_own(source, similar))
        return own._replace(coarse=coarse_of(load_last(OUR_OWN))) if own.k else own
    name, _, count = source.rpartition("@")
    k = int(count) if name and count.isdecimal() else None
    name = source if k is None else name
    if name in METHODS:
        raise InputError(f"{source}: expected {name} alone: it takes no number of similar photos")
    name = OUR_OWN if name == _OUR_OWN else name
    others = [*METHODS, _OUR_OWN, "module:function"]
    network = NetworkMethod(name, similar, k, device, others)
    return Built(network, network.k, network.fingerprint, network.coarse)
