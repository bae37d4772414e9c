"""A network lent to another library: an ordinary module over fixed draws, every pass through it counted.

The library gets scores and input gradients. The network itself is no part of the module, so its mode, its parameters
and their gradients are out of the library's reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from variate.errors import UsageError
from variate.inputs.validation import checked_logits
from variate.oracle.averaging import Average, scores_of
from variate.oracle.queries import Queries
from variate.oracle.repeated_draws import Watch
from variate.random.seeding import under


class LentNetwork(nn.Module):
    """A network's scores, averaged over draws that stay the same, for any tool that takes a module.

    What one pass costs is charged to the examples that the module was lent for: a pass of as many inputs as there are
    examples, or of a multiple, is a pass of each. A library that batches otherwise is charged for every example as if
    it had asked about the whole batch, rounded up; lent for a single example, the counts are exact whatever it does.

    Args:
        network: the network.
        keys: the draws, K of them.
        average: how the draws become one, as in ``variate.oracle.averaging``; a single draw is left as it is.
        like: inputs, shape (B, ...), whose type and device are the network's.
        rows: the examples that it is lent for, by number in the batch of ``queries``, shape (B,).
        queries: where passes are counted.
        watch: looks at the draws.
    """

    def __init__(
        self,
        network: nn.Module,
        keys: Sequence[int],
        average: Average,
        like: Tensor,
        rows: Tensor,
        queries: Queries,
        watch: Watch,
    ) -> None:
        super().__init__()
        self.eval()  # what the library does with the mode stays here
        self.keys = list(keys)
        self.average = average
        self._hidden = (network, like.new_zeros(0), rows.cpu(), queries, watch)  # in a tuple: no submodule, no buffer

    def forward(self, x: Tensor) -> Tensor:
        """Scores for inputs of shape (B, ...): (B, K), in the type and on the device of the inputs."""
        if torch.is_grad_enabled() and x.requires_grad:
            scores: Tensor = _Pass.apply(x, self)  # type: ignore[no-untyped-call]
            return scores
        with torch.no_grad():
            return self._scores(x).to(x)

    def _scores(self, x: Tensor) -> Tensor:
        network, like, rows, queries, watch = self._hidden
        inputs, outputs = x.to(like), []
        for key in self.keys:
            with under(network, key):
                logits = network(inputs)
            # a library may look at NaN inputs on its way, and gets what it asked for
            outputs.append(checked_logits(logits, inputs) if bool(inputs.isfinite().all()) else logits)
        watch.see(self.keys, [output.detach() for output in outputs])
        queries.count(rows.repeat(self._times(x)), self.keys, forwards=1, backwards=0, again=True)
        return outputs[0] if len(outputs) == 1 else scores_of(torch.stack(outputs), self.average)

    def _count_backward(self, x: Tensor) -> None:
        _, _, rows, queries, _ = self._hidden
        np.add.at(queries.backwards, rows.numpy(), self._times(x) * len(self.keys))  # an example may stand twice

    def _times(self, x: Tensor) -> int:
        """How often each example was asked about in a pass of ``x``."""
        return -(-len(x) // max(len(self._hidden[2]), 1))


class _Pass(torch.autograd.Function):
    """A pass whose gradient ends at the inputs: parameters get none, however the library calls backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, lent: LentNetwork) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_(True)
            scores = lent._scores(leaf)
        if not scores.requires_grad:
            raise UsageError(
                f"the average {lent.average!r} has no gradient"
                if len(lent.keys) > 1
                else "the network's outputs have no gradient in its inputs",
                todo="average loss, logits or probability, or take an attack that needs no gradients",
            )
        ctx.lent, ctx.leaf, ctx.scores = lent, leaf, scores
        return scores.detach().to(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        # kept, since a library may ask for the gradient of each class of one forward pass
        (gradient,) = torch.autograd.grad(ctx.scores, ctx.leaf, slope.to(ctx.scores), retain_graph=True)
        ctx.lent._count_backward(ctx.leaf)
        return gradient, None
