"""One forward pass of a network that somebody else wrote: its logits, or an error that shows the line of its code."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from variate.errors import GradientError, InputError, VariateError
from variate.inputs.validation import checked_logits

OURS = str(Path(__file__).parents[1])
LIBRARY = str(Path(torch.__file__).parent)
INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def asked(network: nn.Module, x: Tensor) -> Tensor:
    """The checked logits of a network: (B, ...) to (B, K). Raises ``InputError``."""
    with own_errors(x):
        output = network(x.clone())  # it may work in place
    return checked_logits(output, x)


@contextmanager
def own_errors(x: Tensor) -> Iterator[None]:
    """Context of a forward pass on inputs of shape (B, ...).

    Raises:
        InputError: for whatever the network's own code raises, with the line that raised it.
        GradientError: for parameters that were made in inference mode.
    """
    try:
        yield
    except (VariateError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if "nference tensor" in str(error):
            raise GradientError(
                "the network has no gradient: its tensors were made in inference mode",
                findings=[str(error).partition("\n")[0]],
                todo="build and load it outside torch.inference_mode(), or use a black-box attack",
            ) from error
        raise raised_inside(error, x) from error


def raised_inside(error: Exception, x: Tensor) -> InputError:
    """The error for one that the network's own code raised on inputs ``x``, with the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((OURS, LIBRARY, "<frozen"))]
    own = [frame for frame in own if not frame.filename.startswith(INSTALLED)] or own
    kind = "" if type(error) is RuntimeError else f"{type(error).__name__}: "
    return InputError(
        f"the network cannot take inputs of shape {tuple(x.shape)} and type {x.dtype}: {kind}{error}",
        findings=[f"{frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}" for frame in own[-1:]],
    )
