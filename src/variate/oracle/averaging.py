"""How the outputs of several draws become one: the quantity that is averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError, unknown_name
from variate.inputs.asking import asked
from variate.inputs.validation import logits_in
from variate.oracle.input_pass import scores_at
from variate.oracle.losses import Loss
from variate.random.average import mean_log_probabilities
from variate.random.keys import Stream
from variate.random.noise import traced
from variate.random.seeding import input_type, left_as_found, under
from variate.random.strata import stratified

Average = Literal["loss", "logits", "probability", "majority", "zero-one"]
AVERAGES: tuple[Average, ...] = get_args(Average)


def check_average(average: str) -> Average:
    """Return ``average`` if it is a valid name. Raises ``UsageError``."""
    if average not in AVERAGES:
        raise unknown_name("average", average, AVERAGES)
    return average


class FreshAverage(nn.Module):
    """The scores of a network averaged over fresh draws at every call (``AverageNetwork``: over fixed draws).

    Args:
        network: a module from inputs to logits.
        draws: S, number of draws at every call.
        average: quantity to average; ``probability`` gives log probabilities; see ``scores_of``.
        stream: source of the keys. With it, the network is not a submodule, so that a library given this module cannot
            change its mode, its parameters or their gradients; scores are differentiable with respect to the inputs
            only, inputs get the network's own type, and every call leaves the network as it was found. Without
            it, the network draws as usual and is a submodule, so that the module can be exported; its graph uses the
            modes of a network with modes evenly, as draws from a stream do.
    """

    def __init__(
        self, network: nn.Module, draws: int = 16, *, average: Average = "probability", stream: Stream | None = None
    ) -> None:
        super().__init__()
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise UsageError(f"draws is {draws!r}", expected="a whole number from 1")
        self.draws = draws
        self.average = check_average(average)
        self.network = network if stream is None else None
        self._hidden: Any = None if stream is None else (network, stream)  # in a tuple: no submodule
        self.training = network.training if stream is None else False

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to scores of shape (B, K)."""
        if self.network is not None:  # unchecked: an exported graph cannot branch on values
            logits = []
            for draw in range(self.draws):
                with traced.stratum(draw, self.draws):
                    logits.append(cast(Tensor, logits_in(self.network(x))))
            return scores_of(torch.stack(logits), self.average)
        return scores_at(x, self._scores, self.average, self.draws, lambda _inputs: None)

    def _scores(self, x: Tensor) -> Tensor:
        """Scores over the next draws of the stream, which leave the network as it was found."""
        network, stream = self._hidden
        inputs, outputs = x.to(input_type(network, x)), []
        with left_as_found(network):
            for key in stratified(network, stream.take(self.draws)):
                with under(network, key):
                    outputs.append(asked(network, inputs))
        return scores_of(torch.stack(outputs), self.average)


def scores_of(logits: Tensor, average: Average) -> Tensor:
    """Scores of each class: (S, B, K) to (B, K).

    ``logits``: their mean. ``majority`` and ``zero-one``: the log of the share of draws that predict each class, with
    one vote added to every class, so that none is impossible. ``loss`` and ``probability``: the log of the mean
    probability.
    """
    if average == "logits":
        return logits.mean(0)
    if average in ("majority", "zero-one"):
        votes = _votes(logits)
        return ((votes + 1) / (len(logits) + logits.shape[-1])).log()
    return mean_log_probabilities(logits)


def loss_of(logits: Tensor, y: Tensor, loss: Loss, average: Average) -> Tensor:
    """The averaged loss of each example: (S, B, K) and (B,) to (B,).

    ``loss``: the mean of the draws' losses. ``logits``, ``probability``: the loss of the mean. ``majority``, for any
    loss: the share of votes of the strongest other class minus that of the label. ``zero-one``, for any loss: the share
    of draws that are wrong.
    """
    if average == "loss":
        return torch.stack([loss(logits_of_draw, y) for logits_of_draw in logits]).mean(0)
    if average == "zero-one":
        return (logits.argmax(-1) != y).to(logits).mean(0)
    if average == "majority":
        shares = _votes(logits) / len(logits)
        return shares.scatter(1, y[:, None], -torch.inf).amax(1) - shares.gather(1, y[:, None])[:, 0]
    return loss(scores_of(logits, average), y)


def pull_back(logits: Tensor, score: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """A score of all draws, (S, B, K) to (B,): its values, and their gradient with respect to the logits (S, B, K)."""
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_(True)
        value = score(leaf)
        slopes = torch.autograd.grad(value.sum(), leaf)[0]
    return value.detach(), slopes


def check_differentiable(average: Average) -> None:
    """Raise ``UsageError`` for a quantity that has no gradient."""
    if average in ("majority", "zero-one"):
        raise UsageError(
            f"the average {average!r} has no gradient",
            expected="loss, logits or probability",
            todo="use the attack error-rate, which follows a smooth stand-in",
        )


def label_of(logits: Tensor) -> Tensor:
    """The label that most draws predict, the smallest in a tie: (S, B, K) to (B,)."""
    return logits.argmax(-1).mode(0).values


def _votes(logits: Tensor) -> Tensor:
    return F.one_hot(logits.argmax(-1), logits.shape[-1]).sum(0).to(logits)  # (B, K)
