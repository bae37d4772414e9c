"""A random mask on the input of an otherwise deterministic network."""

from __future__ import annotations

from torch import nn

from variate.random.randomize import randomize
from variate.registry import defense
from variate.training.defenses.parts.mask import ORDER, behind_mask


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Levine & Feizi 2020, arXiv:1911.09272; for words: Zeng et al. 2021 (RanMASK), arXiv:2105.03743",
    differs="All examples of a batch share the mask; hidden values are 0 and not a value of their own, hidden words "
    "are padding; answers never abstain (see variate certify).",
)
def ablation(network: nn.Module, *, shape: tuple[int, ...], keep: float = 0.2) -> tuple[nn.Module, str]:
    """A random mask that hides most of the input, in training and after; plain cross-entropy.

    The classifier that is certified is the majority vote over draws, so judge it as ``majority-S``. ``random-ablation``
    makes every parameter random as well.

    Args:
        network: the architecture, initialized.
        shape: shape of one input: all channels of a pixel are hidden together, as is a whole word.
        keep: share of the positions that stay visible, in (0, 1).

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: for inputs of one position, or a share that shows all or none.
    """
    masked = behind_mask("ablation", network, shape, keep)
    return randomize(masked, {"0.order": ORDER, "*": "fixed"}), "cross-entropy"
