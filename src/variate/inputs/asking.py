"""One forward pass of a network that somebody else wrote: its logits, or an error that shows the line of its code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from variate.errors import GradientError, InputError, VariateError
from variate.inputs.validation import checked_logits
from variate.own_code import lines_of


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
        if made_in_inference_mode(error):
            raise no_gradient_in_inference_mode(error) from error
        raise raised_inside(error, x) from error


def made_in_inference_mode(error: Exception) -> bool:
    """Whether torch raised an error because a gradient has to pass tensors that were made in inference mode."""
    return "nference tensor" in str(error)


def no_gradient_in_inference_mode(error: Exception) -> GradientError:
    """The error that says so."""
    return GradientError(
        "the network has no gradient: its tensors were made in inference mode",
        findings=[str(error).partition("\n")[0]],
        todo="build and load it outside torch.inference_mode(), or use a black-box attack",
    )


def raised_inside(error: Exception, x: Tensor) -> InputError:
    """The error for one that the network's own code raised on inputs ``x``, with the line that raised it."""
    kind = "" if type(error) is RuntimeError else f"{type(error).__name__}: "
    return InputError(
        f"the network cannot take inputs of shape {tuple(x.shape)} and type {x.dtype}: {kind}{error}",
        findings=lines_of(error),
    )
