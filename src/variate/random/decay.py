"""Weight decay leaves the scales of random networks alone, in any optimizer of torch.

A scale is softplus(rho), so decay, which pulls rho to 0, would let small noise grow many times over. The groups of
``variate.parameter_groups`` have no decay for scales; in an optimizer on ``net.parameters()`` they are taken out of
their group for the time of each step.
"""

from __future__ import annotations

import weakref
from typing import Any

from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from variate.random.handle import live_scales

Groups = list[dict[str, Any]]
_during_step: weakref.WeakKeyDictionary[Optimizer, tuple[Groups, list[Any]]] = weakref.WeakKeyDictionary()


def _take_out(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """Move the scales of every group with weight decay into a group without, whose other options are the same."""
    _put_back(optimizer, args, kwargs)  # of a step that ended in an exception
    decaying = [group for group in optimizer.param_groups if group.get("weight_decay")]
    if not decaying:
        return
    scales = live_scales()
    whole: list[Any] = []
    for group in decaying:
        learned = [parameter for parameter in group["params"] if id(parameter) in scales]
        if learned:
            whole.append((group, group["params"]))
            optimizer.param_groups.append({**group, "params": learned, "weight_decay": 0.0})
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in scales]
    if whole:
        count = len(optimizer.param_groups) - len(whole)
        _during_step[optimizer] = (optimizer.param_groups[count:], whole)


def _put_back(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """Restore the groups as they were."""
    added, whole = _during_step.pop(optimizer, ([], []))
    if not whole:
        return
    added_ids = {id(group) for group in added}
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if id(group) not in added_ids]
    for group, parameters in whole:
        group["params"] = parameters


register_optimizer_step_pre_hook(_take_out)
register_optimizer_step_post_hook(_put_back)
