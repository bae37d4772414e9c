"""Weight averaging: a network with the average of the parameters over training."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from variate.random.keys import Stream
from variate.training.batch import outputs_of
from variate.training.keys import drawing
from variate.training.modes import set_train_mode


class WeightAverage:
    """The exponential moving average, or the plain mean, of every learned parameter and of batch-norm statistics.

    A random network's learned parameters are its means and its unconstrained scales; the average is a random network
    with the same random parameters, so a key draws the same noise. ``torch.optim.swa_utils.AveragedModel`` averages
    all buffers or none: an attention mask of -inf would become NaN, or batch-norm statistics would lag.

    With ``ema``: a <- ema * a + (1 - ema) * w, starting at the first w. Without: a is the mean of all w, updated as
    a <- a + (w - a) / (count + 1) (Izmailov et al. 2018, arXiv:1803.05407, equation 2).

    Args:
        network: the network in training; it is copied.
        ema: the decay, in (0, 1); None for the plain mean.

    Attributes:
        network: the average, in eval mode.
        count: number of networks averaged.
    """

    def __init__(self, network: nn.Module, *, ema: float | None = None) -> None:
        self.network = copy.deepcopy(network).eval()
        self.count = 0
        mix: Any = get_swa_multi_avg_fn if ema is None else partial(get_ema_multi_avg_fn, ema)  # untyped in torch
        self._mix = mix()

    def update(self, network: nn.Module) -> None:
        """Add a network to the average; buffers other than batch-norm statistics are copied."""
        averages, new = _averaged(self.network), _averaged(network)
        averaged_ids = {id(tensor) for tensor in averages}
        with torch.no_grad():
            if self.count == 0:
                for average, current in zip(averages, new, strict=True):
                    average.copy_(current)
            else:
                self._mix(averages, new, self.count)
            for average, current in zip(self.network.buffers(), network.buffers(), strict=True):
                if id(average) not in averaged_ids:
                    average.copy_(current)
        self.count += 1

    def restore(self, state: Mapping[str, Tensor], count: int) -> None:
        """Resume from a saved average of ``count`` networks."""
        self.network.load_state_dict(dict(state))
        self.count = count


def recompute_statistics(
    network: nn.Module, batches: Iterable[Any], stream: Stream, kept_in_eval: frozenset[str] = frozenset()
) -> None:
    """Recompute batch-norm statistics over the training inputs, each batch under a draw from ``stream``.

    As ``torch.optim.swa_utils.update_bn``, except for the modules at ``kept_in_eval``, which keep their statistics.
    """
    paths = {path: module for path, module in network.named_modules() if isinstance(module, _BatchNorm)}
    momenta = {module: module.momentum for path, module in paths.items() if path not in kept_in_eval}
    if not momenta:
        return
    set_train_mode(network, kept_in_eval)
    for module in momenta:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over all batches
    with torch.no_grad(), drawing(network, stream):
        for batch in batches:
            outputs_of(network, batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    network.eval()


def _averaged(network: nn.Module) -> list[Tensor]:
    """The tensors to average: every parameter once, even if shared, and batch-norm means and variances."""
    statistics = [
        buffer
        for module in network.modules()
        if isinstance(module, _BatchNorm)
        for buffer in (module.running_mean, module.running_var)
        if buffer is not None
    ]
    return [*network.parameters(), *statistics]
