"""The loss of one batch: the objective of a recipe, a loss of the user's own, or both; with errors that explain it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError, VariateError
from variate.inputs.validation import check_classes, check_labels, checked_logits
from variate.random.seeding import left_as_found
from variate.training.batch import outputs_of, pair_of
from variate.training.wiring import Objective

Loss = Callable[[Any, Any], Tensor]  # outputs of the network and the batch, whatever they are, to a scalar
BatchLoss = Callable[[nn.Module, Any], Tensor]
RAW = (TypeError, RuntimeError, ValueError, IndexError, AttributeError)


def batch_loss(objective: Objective | None, loss: Loss | None, network: nn.Module) -> BatchLoss:
    """The sum of an objective and a loss of the user's own; at least one is given.

    Args:
        objective: an objective on inputs and labels; None: only the loss.
        loss: a loss of outputs and batch; None: only the objective.
        network: the network in training, unwrapped.
    """

    def total(net: nn.Module, batch: Any) -> Tensor:
        terms = [] if loss is None else [_checked(loss(outputs_of(net, batch), batch), loss)]
        if objective is not None:
            x, y = pair_of(batch)
            try:
                terms.append(objective(net, x, y))
            except RAW as error:
                _explain(error, network, x, y)
                raise
        return sum(terms[1:], terms[0])

    return total


def name_of_code(function: Loss) -> str:
    """Module and name of a function, or of the class of a callable object: what determined a result, in records."""
    named: Any = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _checked(value: Any, loss: Loss) -> Tensor:
    if isinstance(value, Tensor) and value.dim() == 0 and value.is_floating_point():
        return value
    found = f"shape {tuple(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
    raise UsageError(
        f"the loss {name_of_code(loss)} returned {found}",
        expected="a scalar tensor: the mean over the batch",
        todo="end it with .mean()",
    )


def _explain(error: Exception, network: nn.Module, x: Tensor, y: Tensor) -> None:
    """Raise what explains an error of an objective, if the labels or the outputs of the network do.

    Raises:
        InputError: for labels that are not one class per example, or a network that does not return logits.
    """
    if isinstance(error, VariateError):
        return
    try:
        check_labels(y, len(x))
        with left_as_found(network), torch.no_grad():
            output = network(x)
        check_classes(y, checked_logits(output, x).shape[1])
    except VariateError as explanation:
        raise explanation from error
    except Exception:  # the network's own error: it is raised as it is
        return
