"""White-box access to a network: gradients averaged over its draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from variate.inputs.modality import inputs_at, slope_at
from variate.inputs.validation import checked_logits
from variate.oracle.averaging import check_differentiable, loss_of, pull_back
from variate.oracle.error_score import Score, error_score
from variate.oracle.losses import Loss, by_row, cross_entropy
from variate.oracle.module_view import LentNetwork
from variate.oracle.oracle import LabelOracle, Oracle, ScoreOracle
from variate.random.many import Passes
from variate.random.seeding import passes_under
from variate.registry import Access
from variate.statistics.rates import Rule


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
        return LentNetwork(self.network, keys, self.average, x, indices, self.queries, self._watch, self.view)

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
            value, gradient = self._mean_loss(x, y, loss, keys, rows)
            self._count(x, rows, keys, forwards=1, backwards=1, gradient=gradient)
            self.trace.note(value, loss, rows)
            return value, slope_at(self.reach, gradient, x, rows)
        check_differentiable(self.average)
        value, slopes = pull_back(
            self._in_units(self._logits(x, keys)),
            lambda outputs: loss_of(self._seen(outputs, rows), y, loss, self.average),
        )
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
            self._in_units(self._logits(x, keys)),
            lambda outputs: error_score(self._seen(outputs, rows), y, rule, score),
        )
        self.trace.note(value, score, rows)
        return value.to(x.dtype), self._gradient_along(x, y, slopes, rows, keys)

    def _gradient_along(self, x: Tensor, y: Tensor, slopes: Tensor, rows: Tensor | None, keys: list[int]) -> Tensor:
        """The gradient (B, ...) of a score with ``slopes``, its gradient with respect to the logits (S, B, K)."""
        gradient = torch.zeros_like(x)
        for part in self._parts(x, keys)[0]:
            for key, slope in zip(keys, slopes, strict=True):
                passed = next(self._passes(x[part], y[part], partial(_along, slope[part]), [key], raw=True))
                gradient[part] += passed.gradient
        self._count(x, rows, keys, forwards=2, backwards=1, gradient=gradient)
        return slope_at(self.reach, gradient, x, rows)

    def logits_of(self, x: Tensor, keys: list[int], *, rows: Tensor | None = None) -> Tensor:
        """The logits of each draw, not averaged and without gradients: (B, ...) and S keys to (S, B, K)."""
        outputs = self._logits(inputs_at(self.reach, x, rows), keys)
        self._count(x, rows, keys, forwards=1)
        return self._seen(outputs, rows)

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
            of = self._rows_of(rows, part, len(x))
            for s, passed in enumerate(self._passes(x[part], y[part], loss, keys, alone=True, rows=of)):
                losses[s, part], gradients[s, part] = passed.loss, passed.gradient
                logits[s].append(self._seen(passed.logits[0], of))
        self._count(x, rows, keys, forwards=1, backwards=1, gradient=gradients.transpose(0, 1))
        return losses, slope_at(self.reach, gradients, x, rows), torch.stack([torch.cat(parts) for parts in logits])

    def _mean_loss(
        self, x: Tensor, y: Tensor, loss: Loss, keys: list[int], rows: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        value, gradient = x.new_zeros(len(x)), torch.zeros_like(x)
        first: list[Tensor] = []  # the outputs of the first part under every key
        parts, alone = self._parts(x, keys)
        for part in parts:
            for passed in self._passes(
                x[part], y[part], loss, keys, alone=alone, rows=self._rows_of(rows, part, len(x))
            ):
                weight = len(passed.logits) / len(keys)
                value[part] += weight * passed.loss
                gradient[part] += weight * passed.gradient
                first += passed.logits if part.start == 0 else []
        self._watch.see(keys, first)
        return value, gradient

    def _rows_of(self, rows: Tensor | None, part: slice, count: int) -> Tensor | None:
        """The examples of a part of ``count`` inputs, if answers are viewed by example."""
        if self.view is None:
            return None
        return (torch.arange(count) if rows is None else rows)[part]

    def _passes(
        self,
        x: Tensor,
        y: Tensor,
        loss: Loss,
        keys: Sequence[int],
        *,
        alone: bool = False,
        raw: bool = False,
        rows: Tensor | None = None,
    ) -> Iterator[Passes]:
        """The passes under each key; with ``raw``, the loss takes the outputs themselves, whatever the task."""

        def checked(output: Tensor, draws: int = 1) -> Tensor:
            inputs = x if draws == 1 else x[:1].expand(draws * len(x), *x.shape[1:])  # only their number is looked at
            outputs = checked_logits(output, inputs)
            self._classes = outputs.shape[1]
            labels = y if draws == 1 else y.repeat(draws, *[1] * (y.dim() - 1))
            return loss(self._in_units(outputs) if raw else self._in_units(self._seen(outputs, rows)), labels)

        stacked = checked if not raw and self.view is None and by_row(loss) else None
        return passes_under(self.network, x, checked, keys, alone=alone, stacked=stacked)


def _along(slope: Tensor, logits: Tensor, _y: Tensor) -> Tensor:
    """The product of the logits with a gradient: (B, K) to (B,)."""
    return (logits * slope).sum(1)


ORACLES: dict[Access, type[Oracle]] = {
    "none": Oracle,
    "labels": LabelOracle,
    "scores": ScoreOracle,
    "gradient": GradientOracle,
}
