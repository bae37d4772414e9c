"""Several random networks trained beside one another, each with one vote."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from variate.random.average import mean_log_probabilities
from variate.random.shares import answers_in_shares
from variate.registry import defense
from variate.training.defenses.parts.distribution import distributed
from variate.training.defenses.parts.members import permuted_copy
from variate.training.defenses.parts.ranges import check_at_least
from variate.training.defenses.parts.surgery import seeded_by


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Golbabaei et al. 2023, SOCC",
    differs="Each member trains on its share of every batch, so together they cost as much as one network and take as "
    "many steps, but each sees only its share of the examples. The family of the weights is ours.",
)
def vote(
    network: nn.Module, *, members: int = 4, family: str = "binomial(bits=4)", scale: float = 0.2, share: str = "tensor"
) -> tuple[nn.Module, str]:
    """Networks of random weights, trained beside one another; each makes one draw for a query and has one vote.

    The other members start from the values of the first, with each tensor randomly permuted, so that they keep the
    scale of its initialization. Do not start from a trained network.

    Args:
        network: the architecture, initialized.
        members: number of members, at least 2.
        family: family of the distributions.
        scale: initial standard deviation, relative to each tensor's size.
        share: one learned scale per ``element``, ``channel`` or ``tensor``, or one for the whole ``network``.

    Returns:
        The network to train and its objective.
    """
    check_at_least("members", members, 2)
    with seeded_by(network):
        others = [permuted_copy(network) for _ in range(members - 1)]
    parts = [distributed(part, family=family, scale=scale, share=share, only="*") for part in (network, *others)]
    return Vote([cast(nn.Module, part) for part in parts]), "cross-entropy"


class Vote(nn.Module):
    """In eval mode each member answers with one draw, and the most frequent label wins; a tie, by mean probability.

    Logits are the logs of the shares of the votes, of which the mean probability has one: log((votes + p) / (M + 1)).
    A share of votes has no gradient, so theirs is that of log p, the loss that an attacker of the vote would climb. In
    train mode each member answers its share of the batch.

    Args:
        members: networks with the same inputs and classes.
    """

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        if self.training:
            return answers_in_shares(list(self.members), x)
        logits = torch.stack([member(x) for member in self.members])  # (M, B, K)
        votes = nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).sum(0)  # (B, K)
        mean = mean_log_probabilities(logits)
        shares = ((votes + mean.exp()) / (len(self.members) + 1)).log()
        return shares.detach() + (mean - mean.detach())
