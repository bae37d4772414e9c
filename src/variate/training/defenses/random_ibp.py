"""Every parameter Gaussian, trained on interval bounds."""

from __future__ import annotations

from torch import nn

from variate.registry import defense
from variate.training.defenses.parts.distribution import distributed


@defense(
    random=True,
    group="ours",
    adversarial=True,
    cite="paradigm: Khan et al. 2019, arXiv:1905.10906 (abstract); Gowal et al. 2018, arXiv:1810.12715; "
    "crown: Zhang et al. 2020, arXiv:1906.06316",
)
def random_ibp(
    network: nn.Module,
    *,
    family: str = "normal",
    scale: float = 0.02,
    share: str = "element",
    only: str = "*",
    beyond: float = 1.1,
    clean: float = 0.5,
    crown: bool = False,
) -> tuple[nn.Module, str]:
    """Every parameter Gaussian with learned mean and scale; each draw trained on its interval bounds.

    ``variate certify`` proves how often a fresh draw is right on the whole budget, even if the attacker knows the draw.

    Args:
        network: the architecture, initialized.
        family: family of the distributions.
        scale: initial standard deviation, relative to each tensor's size.
        share: one learned scale per ``element``, ``channel`` or ``tensor``, or one for the whole ``network``.
        only: pattern of parameter names; parameters that do not match stay deterministic.
        beyond: size of the budget that is trained for, as a multiple of the training's.
        clean: weight of the clean cross-entropy at the end.
        crown: whether to mix in the tighter bounds of CROWN-IBP while the budget rises, at a pass more for each class.

    Returns:
        The network to train and its objective.
    """
    net = distributed(network, family=family, scale=scale, share=share, only=only)
    return net, f"interval(beyond={beyond}, clean={clean}{', crown=true' if crown else ''})+snr(target=50)"
