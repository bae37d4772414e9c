"""Interval bound propagation."""

from __future__ import annotations

from torch import nn

from variate.registry import defense


@defense(
    random=False,
    adversarial=True,
    group="adversarial training",
    cite="Gowal et al. 2018, arXiv:1810.12715; crown: Zhang et al. 2020, arXiv:1906.06316",
    differs="The margins are trained for 1.1 times the budget, as in Zhang et al. 2020, arXiv:1906.06316, section 4.",
)
def ibp(network: nn.Module, *, beyond: float = 1.1, clean: float = 0.5, crown: bool = False) -> tuple[nn.Module, str]:
    """Cross-entropy of the worst logits that interval bounds allow: a network that can be certified in linf.

    ``variate certify`` proves how often it is right, whatever an attacker does.

    Args:
        network: the architecture, initialized.
        beyond: size of the budget that is trained for, as a multiple of the training's.
        clean: weight of the clean cross-entropy at the end.
        crown: whether to mix in the tighter bounds of CROWN-IBP while the budget rises, at a pass more for each class.

    Returns:
        The network to train and its objective.
    """
    return network, f"interval(beyond={beyond}, clean={clean}{', crown=true' if crown else ''})"
