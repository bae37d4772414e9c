"""A network lent to another library: an ordinary module over fixed draws that counts every pass.

The library gets scores and input gradients. The network itself is not a submodule, so the library cannot change its
mode, its parameters or their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from variate.inputs.asking import own_errors
from variate.inputs.validation import checked_logits, logits_in
from variate.oracle.averaging import Average, scores_of
from variate.oracle.input_pass import scores_at
from variate.oracle.queries import Queries
from variate.oracle.repeated_draws import Watch
from variate.oracle.view import View
from variate.random.seeding import input_type, under


class LentNetwork(nn.Module):
    """A network's scores, averaged over fixed draws, for any tool that takes a module.

    Every pass counts for the examples the module was lent for: a pass of as many inputs as there are examples, or a
    multiple, is one pass, or that many, of each. If a library batches in another way, every example counts as if the
    pass covered the whole batch, rounded up. For a single example, the counts are always exact.

    Args:
        network: the network.
        keys: keys of the draws.
        average: how the draws become one, as in ``variate.oracle.averaging``; a single draw is returned as it is.
        like: inputs, shape (B, ...), with the dtype and device of the network.
        rows: indices of the examples it is lent for, in the batch of ``queries``, shape (B,).
        queries: counts the passes.
        watch: checks that the draws differ.
        view: the two logits that stand for the answers of another task than classes.
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
        view: View | None = None,
    ) -> None:
        super().__init__()
        self.eval()  # the library changes only this module's own mode
        self.keys = list(keys)
        self.average = average
        self._hidden = (
            network,
            like.new_zeros(0),
            rows.cpu(),
            queries,
            watch,
            view,
        )  # in a tuple: no submodule, no buffer

    def forward(self, x: Tensor) -> Tensor:
        """Scores for inputs of shape (B, ...): (B, K), in the dtype and on the device of the inputs."""
        return scores_at(x, self._scores, self.average, len(self.keys), self._count_backward)

    def _scores(self, x: Tensor) -> Tensor:
        network, like, rows, queries, watch, view = self._hidden
        inputs, outputs = x.to(like), []
        dtype = input_type(network, inputs)
        for key in self.keys:
            with under(network, key), own_errors(inputs):
                output = network(inputs.to(dtype, copy=True))  # it may work in place
            # a library may pass NaN inputs along the way, and gets their outputs unchecked
            finite = bool(inputs.isfinite().all())
            logits = checked_logits(output, inputs) if finite else cast(Tensor, logits_in(output))
            outputs.append(logits if view is None else view.of(logits, rows.repeat(self._times(x))[: len(x)]))
        watch.see(self.keys, [output.detach() for output in outputs])
        queries.count(rows.repeat(self._times(x)), self.keys, forwards=1, backwards=0, again=True)
        return outputs[0] if len(outputs) == 1 else scores_of(torch.stack(outputs), self.average)

    def _count_backward(self, x: Tensor) -> None:
        rows, queries = self._hidden[2:4]
        np.add.at(queries.backwards, rows.numpy(), self._times(x) * len(self.keys))  # an example may occur twice

    def _times(self, x: Tensor) -> int:
        """How many passes of each example a pass of ``x`` counts as."""
        return -(-len(x) // max(len(self._hidden[2]), 1))
