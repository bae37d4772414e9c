"""Every parameter Gaussian behind a random mask on the input."""

from __future__ import annotations

from torch import nn

from variate.random.randomize import randomize
from variate.registry import defense
from variate.training.defenses.parts.mask import ORDER, behind_mask


@defense(
    random=True,
    adversarial=False,
    group="ours",
    cite="Levine & Feizi 2020, arXiv:1911.09272; for words: Zeng et al. 2021 (RanMASK), arXiv:2105.03743; "
    "paradigm: Khan et al. 2019, arXiv:1905.10906 (abstract)",
)
def random_ablation(
    network: nn.Module, *, shape: tuple[int, ...], keep: float = 0.2, scale: float = 0.05
) -> tuple[nn.Module, str]:
    """Every parameter Gaussian, and a random mask that hides most of the input: certified against few changes.

    ``variate certify`` proves how often one draw, N draws in a row and the vote are right, whichever words, columns or
    pixels an attacker replaces. Hidden words are read as padding, hidden values as 0.

    Args:
        network: the architecture, initialized.
        shape: shape of one input: all channels of a pixel are hidden together, as is a whole word.
        keep: share of the positions that stay visible, in (0, 1).
        scale: initial standard deviation of the parameters, relative to each tensor's size; learned.

    Returns:
        The network to train and its objective.

    Raises:
        UsageError: for inputs of one position, or a share that shows all or none.
    """
    masked = behind_mask("random-ablation", network, shape, keep)
    families = {"0.order": ORDER, "*": "normal"}
    return randomize(masked, families, scale=scale), "cross-entropy+snr(target=20)"
