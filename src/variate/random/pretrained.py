"""``save_pretrained`` and ``from_pretrained`` of a random network, for classes whose libraries have them."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from torch import nn

from variate.errors import UsageError

SAVING, LOADING = "save_pretrained", "from_pretrained"
OLD_NAMES = "save_original_format"  # of transformers from 5 on: write the names that parameters had in older versions


def pretrained_methods(original: type[nn.Module]) -> dict[str, Any]:
    """The two methods for random networks of a class that has them; Hugging Face's models do.

    Saved files name the original class, which every library can build: it reads the means. Loading into the random
    class is refused, since the files do not say how each parameter is random.
    """
    methods: dict[str, Any] = {}
    if hasattr(original, SAVING):
        methods[SAVING] = _under_name_of(original)
    if hasattr(original, LOADING):
        methods[LOADING] = _refusing(original)
    return methods


def _under_name_of(original: Any) -> Any:
    """``save_pretrained`` while the random class bears the name of the original, which libraries write into files.

    Parameters keep the names that they have in the network, by which their scales are loaded again: without that, a
    Trainer that resumes leaves those at their start whose names transformers has changed, as in the attention of ViT.
    """
    names = {OLD_NAMES: False} if OLD_NAMES in inspect.signature(original.save_pretrained).parameters else {}

    @functools.wraps(original.save_pretrained)
    def save_pretrained(net: nn.Module, *args: Any, **kwargs: Any) -> Any:
        kind = type(net)
        name, kind.__name__ = kind.__name__, original.__name__
        try:
            return original.save_pretrained(net, *args, **{**names, **kwargs})
        finally:
            kind.__name__ = name

    return save_pretrained


def _refusing(original: type[nn.Module]) -> Any:
    @classmethod  # type: ignore[misc]
    def from_pretrained(kind: type[nn.Module], *args: Any, **kwargs: Any) -> Any:
        raise UsageError(
            f"{LOADING} cannot build a {kind.__name__}: the files do not say how each parameter is random",
            todo=f"load the means with {original.__name__}.{LOADING}(...), randomize them as before, and load the "
            "scales: net.load_state_dict(safetensors.torch.load_file(...), strict=False)",
        )

    return from_pretrained
