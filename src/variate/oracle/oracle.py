"""An attacker's access to a network, averaged over its draws, with every query counted.

The oracle's type is the level of access: an attack with a ``LabelOracle`` cannot take a gradient, because it has no
method for one. Every query draws from the *search* stream; the judge's keys come from another stream, so that no draw
that guided the search takes part in the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from variate.errors import UsageError, unknown_name
from variate.inputs.modality import Reach, free_of, inputs_at, slope_at
from variate.inputs.validation import checked_logits
from variate.oracle.averaging import (
    Average,
    check_average,
    check_differentiable,
    label_of,
    loss_of,
    pull_back,
    scores_of,
)
from variate.oracle.error_score import Score, error_score
from variate.oracle.loss_trace import Trace
from variate.oracle.losses import Loss, cross_entropy, margin
from variate.oracle.memory import room_for
from variate.oracle.module_view import LentNetwork
from variate.oracle.queries import Queries
from variate.oracle.randomness import Coins
from variate.oracle.repeated_draws import Watch
from variate.oracle.unit import Unit
from variate.random.keys import Stream
from variate.random.many import Passes
from variate.random.seeding import Kind, kind_of, outputs_under, passes_under
from variate.registry import Access
from variate.statistics.rates import Rule

Reuse = Literal["fresh", "fixed", "one"]


class Oracle:
    """The lowest access: the attacker knows the input and the label, and makes no queries.

    Queries take ``rows``, the index in the batch of the example that each input belongs to, unless there is one input
    for each example in order: an attack may query only some examples, or many inputs for each. All inputs of one query
    use the same draws.

    Args:
        network: any module, in the mode to attack.
        draws: number of draws that each query averages over; 1 for a network that is not random.
        stream: source of the keys: the search stream, or the training stream during training.
        examples: B, the size of the batch.
        average: quantity averaged over the draws: ``loss``, ``logits``, ``probability``, ``majority`` or ``zero-one``
            (see ``variate.oracle.averaging``).
        keys: ``fresh``: new draws at every query; ``fixed``: the same draws for the whole attack; ``one``: the naive
            attacker, who sees one fresh draw at every query, for any ``draws``.
        kind: result of ``variate.random.seeding.kind_of`` for the network, if known.
        seed: seed of the attacker's own randomness.
        memory: memory limit in bytes for inputs and draws in the network; larger queries are split.
        reach: maps each queried point to the input that the network sees; None: points are inputs.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        draws: int = 1,
        stream: Stream,
        examples: int = 0,
        average: Average = "loss",
        keys: Reuse = "fresh",
        kind: Kind | None = None,
        seed: int = 0,
        memory: int | None = None,
        reach: Reach | None = None,
    ) -> None:
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise UsageError(f"cannot average over {draws!r} draws", expected="a whole number of draws from 1")
        if stream.name == "verdict":
            raise UsageError("the verdict's stream cannot guide a search", expected="a search or train stream")
        if keys not in get_args(Reuse):
            raise unknown_name("way to take keys", keys, get_args(Reuse))
        self.network = network
        self.stream = stream
        self.queries = Queries(examples)
        self.average = check_average(average)
        self._kind = kind
        self._draws = 1 if keys == "one" else draws
        self._last_keys: list[int] | None = None
        self._reuse = keys
        self._seed = seed
        self._memory, self.reach = memory, reach
        self._room: int | None = None
        self._watch = Watch(network)
        self.trace = Trace()
        self._classes = 0
        self._scaled = Unit()

    def coins(self, x: Tensor) -> Coins:
        """The attacker's own coins for original inputs ``x``, shape (B, ...): an example has the same in any batch."""
        return Coins(self._seed, x, free_of(self.reach, x))

    def _keys(self, x: Tensor) -> list[int]:
        if self._kind is None and len(x):
            self._kind = kind_of(self.network, x)
        if self._last_keys is None or self._reuse != "fixed":
            self._last_keys = self.stream.take(1 if self._kind == "deterministic" else self._draws)
        return self._last_keys

    def skip(self, queries: int) -> None:
        """Skip the keys of queries that are not made: the keys of a later query depend only on its position."""
        if self._reuse != "fixed":
            self.stream.index += queries * (1 if self._kind == "deterministic" else self._draws)

    def _outputs(self, x: Tensor, rows: Tensor | None) -> Tensor:
        """The logits of every draw, without gradients: (S, B, K)."""
        keys = self._keys(x)
        outputs = self._logits(inputs_at(self.reach, x, rows), keys)
        self._count(x, rows, keys, forwards=1)
        return outputs

    def _logits(self, x: Tensor, keys: list[int]) -> Tensor:
        if not len(x):
            return x.new_zeros((len(keys), 0, self._classes))
        parts, alone = self._parts(x, keys)
        outputs = torch.cat([outputs_under(self.network, x[part], keys, alone=alone) for part in parts], 1)  # (S, B, K)
        self._classes = outputs.shape[-1]
        self._watch.see(keys, list(outputs))
        return outputs

    def _parts(self, x: Tensor, keys: Sequence[int]) -> tuple[list[slice], bool]:
        """Parts of the inputs that fit in memory, and whether only one draw fits at a time."""
        if self._room is None:
            self._room = room_for(self._memory, self.network, x)
        if self._room is None:
            return [slice(0, len(x))], False
        starts = range(0, len(x), self._room)
        return [slice(start, start + self._room) for start in starts], self._room < len(x) * len(keys)

    def _count(self, x: Tensor, rows: Tensor | None, keys: list[int], forwards: int, g: Tensor | None = None) -> None:
        indices, backwards = torch.arange(len(x)) if rows is None else rows, 0 if g is None else 1
        self.queries.count(indices, keys, forwards=forwards, backwards=backwards, again=self._reuse == "fixed")
        if g is not None:
            self.queries.count_flat(indices, g, len(keys))


class LabelOracle(Oracle):
    """Labels only, by majority of the draws."""

    def labels(self, x: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """The label that most draws predict: (B, ...) to (B,)."""
        return label_of(self._outputs(x, rows))


class ScoreOracle(LabelOracle):
    """Labels and scores."""

    def scores(self, x: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """Scores averaged over the draws: (B, ...) to (B, K); by default the log of the mean probability."""
        return scores_of(self._outputs(x, rows), self.average).to(x.dtype)

    def loss(self, x: Tensor, y: Tensor, loss: Loss = cross_entropy, *, rows: Tensor | None = None) -> Tensor:
        """The loss averaged over the draws.

        Args:
            x: inputs, shape (B, ...).
            y: labels, shape (B,).
            loss: a loss per example: logits (B, K) and labels (B,) to (B,); see ``variate.oracle.losses``.
            rows: index of the example of each input; None: in order.
        """
        return loss_of(self._scaled(self._outputs(x, rows)), y, loss, self.average).to(x.dtype)

    def wrong(self, x: Tensor, y: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """The share of the draws that do not predict ``y``: (B, ...) and (B,) to (B,)."""
        return loss_of(self._outputs(x, rows), y, cross_entropy, "zero-one").to(x.dtype)

    def errors(self, x: Tensor, y: Tensor, rule: Rule, *, rows: Tensor | None = None) -> Tensor:
        """How far the draws are from answering ``y``, as a deployment counts: (B, ...) to (B,).

        The share of wrong draws for ``single`` and ``survive``, the lead of the strongest other class in votes for
        ``majority``, and in the log of the mean probability for ``mean``.
        """
        average: dict[Rule, Average] = {"mean": "probability", "majority": "majority"}
        return loss_of(self._outputs(x, rows), y, margin, average.get(rule, "zero-one")).to(x.dtype)


class GradientOracle(ScoreOracle):
    """Labels, scores and the gradient of the averaged loss (expectation over transformation, Athalye et al. 2018).

    ``trace`` records the losses that come with the gradients of whole batches.
    """

    def take_keys(self, x: Tensor) -> list[int]:
        """The keys of one query, to share between several: a white-box attacker may evaluate the same draw twice."""
        return self._keys(x)

    def module(self, x: Tensor, *, rows: Tensor | None = None, keys: list[int] | None = None) -> LentNetwork:
        """The network at fixed draws as a module, for a library that takes one; every pass is counted."""
        keys = self._keys(x) if keys is None else keys
        indices = torch.arange(len(x)) if rows is None else rows
        return LentNetwork(self.network, keys, self.average, x, indices, self.queries, self._watch)

    def gradient(
        self,
        x: Tensor,
        y: Tensor,
        loss: Loss = cross_entropy,
        *,
        rows: Tensor | None = None,
        keys: list[int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The averaged loss, and its gradient with respect to the inputs.

        The mean loss takes one forward and one backward pass per draw. The loss of the mean logits or probabilities
        takes two forward passes: the first computes the mean, so that only one draw is in memory at a time.

        Args:
            x: inputs, shape (B, ...).
            y: labels, shape (B,).
            loss: a loss per example: logits (B, K) and labels (B,) to (B,).
            rows: index of the example of each input; None: in order.
            keys: keys of the draws, from ``take_keys``; None: the next ones.

        Returns:
            The loss, shape (B,), and the gradient, shape (B, ...).
        """
        keys = self._keys(x) if keys is None else keys
        if not len(x):
            return x.new_zeros(0), torch.zeros_like(x)
        x = inputs_at(self.reach, x, rows)
        if self.average == "loss":
            value, gradient = self._mean_loss(x, y, loss, keys)
            self._count(x, rows, keys, forwards=1, g=gradient)
            self.trace.note(value, loss, rows)
            return value, slope_at(self.reach, gradient, rows)
        check_differentiable(self.average)
        value, slopes = pull_back(self._scaled(self._logits(x, keys)), lambda z: loss_of(z, y, loss, self.average))
        self.trace.note(value, loss, rows)
        return value.to(x.dtype), self._gradient_along(x, y, slopes, rows, keys)

    def error_gradient(
        self, x: Tensor, y: Tensor, rule: Rule, score: Score, *, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """How close a deployment is to an error, and the gradient with respect to the inputs, for any ``average``.

        It takes two forward passes and one backward pass per draw.

        Args:
            x: inputs, shape (B, ...).
            y: labels, shape (B,).
            rule: how the deployment answers.
            score: ``normal`` or ``smoothed``; see ``variate.oracle.error_score``.
            rows: index of the example of each input; None: in order.

        Returns:
            The score, shape (B,), and its gradient, shape (B, ...).
        """
        keys = self._keys(x)
        if not len(x):
            return x.new_zeros(0), torch.zeros_like(x)
        x = inputs_at(self.reach, x, rows)
        value, slopes = pull_back(
            self._scaled(self._logits(x, keys)), lambda logits: error_score(logits, y, rule, score)
        )
        self.trace.note(value, score, rows)
        return value.to(x.dtype), self._gradient_along(x, y, slopes, rows, keys)

    def _gradient_along(self, x: Tensor, y: Tensor, slopes: Tensor, rows: Tensor | None, keys: list[int]) -> Tensor:
        """The gradient (B, ...) of a score with ``slopes``, its gradient with respect to the logits (S, B, K)."""
        gradient = torch.zeros_like(x)
        for part in self._parts(x, keys)[0]:
            for key, slope in zip(keys, slopes, strict=True):
                gradient[part] += next(self._passes(x[part], y[part], partial(_along, slope[part]), [key])).gradient
        self._count(x, rows, keys, forwards=2, g=gradient)
        return slope_at(self.reach, gradient, rows)

    def each(
        self, x: Tensor, y: Tensor, loss: Loss, keys: list[int], *, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss and gradient of each draw, not averaged.

        Args:
            x: inputs, shape (B, ...).
            y: labels, shape (B,).
            loss: a loss per example.
            keys: S keys of draws, from ``take_keys``.
            rows: index of the example of each input; None: in order.

        Returns:
            The losses, shape (S, B), their gradients, shape (S, B, ...), and the logits, shape (S, B, K).
        """
        losses, gradients = x.new_zeros((len(keys), len(x))), x.new_zeros((len(keys), *x.shape))
        logits: list[list[Tensor]] = [[] for _ in keys]
        x = inputs_at(self.reach, x, rows)
        for part in self._parts(x, keys)[0]:
            for s, passed in enumerate(self._passes(x[part], y[part], loss, keys, alone=True)):
                losses[s, part], gradients[s, part] = passed.loss, passed.gradient
                logits[s].append(passed.logits[0])
        self._count(x, rows, keys, forwards=1, g=gradients.transpose(0, 1))
        return losses, slope_at(self.reach, gradients, rows), torch.stack([torch.cat(parts) for parts in logits])

    def _mean_loss(self, x: Tensor, y: Tensor, loss: Loss, keys: list[int]) -> tuple[Tensor, Tensor]:
        value, gradient = x.new_zeros(len(x)), torch.zeros_like(x)
        first: list[Tensor] = []  # the outputs of the first part under every key
        parts, alone = self._parts(x, keys)
        for part in parts:
            for passed in self._passes(x[part], y[part], loss, keys, alone=alone):
                weight = len(passed.logits) / len(keys)
                value[part] += weight * passed.loss
                gradient[part] += weight * passed.gradient
                first += passed.logits if part.start == 0 else []
        self._watch.see(keys, first)
        return value, gradient

    def _passes(
        self, x: Tensor, y: Tensor, loss: Loss, keys: Sequence[int], *, alone: bool = False
    ) -> Iterator[Passes]:
        def checked(logits: Tensor) -> Tensor:
            logits = checked_logits(logits, x)
            self._classes = logits.shape[1]
            return loss(self._scaled(logits), y)

        return passes_under(self.network, x, checked, keys, alone=alone)


def _along(slope: Tensor, logits: Tensor, _y: Tensor) -> Tensor:
    """The product of the logits with a gradient: (B, K) to (B,)."""
    return (logits * slope).sum(1)


ORACLES: dict[Access, type[Oracle]] = {
    "none": Oracle,
    "labels": LabelOracle,
    "scores": ScoreOracle,
    "gradient": GradientOracle,
}
