"""The loss of one batch: the objective of a recipe, a loss of the user's own, or both; with errors that explain it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from variate.errors import GradientError, UsageError, VariateError
from variate.inputs.asking import asked, made_in_inference_mode, no_gradient_in_inference_mode, own_errors
from variate.inputs.validation import logits_in
from variate.random.seeding import left_as_found
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task, read_answer
from variate.training.batch import first_tensor, outputs_of, pair_of
from variate.training.wiring import Objective

Loss = Callable[[Any, Any], Tensor]  # outputs of the network and the batch, whatever they are, to a scalar
BatchLoss = Callable[[nn.Module, Any], Tensor]


def batch_loss(objective: Objective | None, loss: Loss | None, network: nn.Module, task: Task = CLASSES) -> BatchLoss:
    """The sum of an objective and a loss of the user's own; at least one is given.

    Args:
        objective: an objective on inputs and labels; None: only the loss.
        loss: a loss of outputs and batch; None: only the objective.
        network: the network in training, unwrapped.
        task: what the answers are, for the objective.
    """
    asked_by: dict[int, Logits] = {}  # one for each network, which the training keeps

    def logits_of(net: nn.Module) -> Logits:
        return asked_by.setdefault(id(net), Logits(net, task))

    def total(net: nn.Module, batch: Any) -> Tensor:
        terms = [] if loss is None else [_checked(loss(_outputs(net, batch), batch), loss)]
        if objective is not None:
            x, y = pair_of(batch)
            try:
                terms.append(objective(logits_of(net), x, task.typed(y) if task.reads else y))
            except (VariateError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # of any kind: the network's own code
                _explain(error, task.answers(network), x, y, task)
                raise
        value: Tensor = sum(terms[1:], terms[0])
        if not value.requires_grad:
            raise GradientError(
                f"the loss of {type(network).__name__} has no gradient in its parameters, so there is nothing to train",
                findings=["torch.no_grad(), inference mode, detach(), .data, numpy and rounding have no gradient"],
                todo="let its forward compute with its parameters, with gradients on",
            )
        return value

    return total


class Logits(nn.Module):
    """A network as objectives see it: its outputs, from inputs that its forward may change in place.

    Args:
        network: the network in training, wrapped or not.
        task: how they are read.
    """

    def __init__(self, network: nn.Module, task: Task = CLASSES) -> None:
        super().__init__()
        self.network = network
        self.task = task

    def forward(self, x: Tensor) -> Any:
        """Inputs of shape (B, ...) to outputs of shape (B, M)."""
        answer = self.network(x.clone())
        return read_answer(self.task, answer, tuple(x.shape)) if self.task.reads else logits_in(answer)


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


def _explain(error: Exception, network: nn.Module, x: Tensor, y: Tensor, task: Task) -> None:
    """Raise what explains an error of an objective, if the labels or the outputs of the network do.

    Raises:
        InputError: for labels that are not one class per example, a network that does not return logits, and whatever
            the network's own code raises.
    """
    try:
        task.check_labels(y, len(x))
        with left_as_found(network), torch.no_grad():
            task.check(asked(network, x).shape[1], y)
    except VariateError as explanation:
        raise explanation from error
    if made_in_inference_mode(error):
        raise no_gradient_in_inference_mode(error) from error


def _outputs(network: nn.Module, batch: Any) -> Any:
    """What a network answers to a batch. Raises ``InputError`` for whatever its own code raises."""
    x = first_tensor(batch)
    with nullcontext() if x is None else own_errors(x):
        return outputs_of(network, tree_map_only(Tensor, Tensor.clone, batch))  # it may work in place
