"""An ensemble of which a random member answers each query."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.random.reseeding import reseed_after_fork
from variate.registry import defense
from variate.training.defenses.parts.members import answered_in_shares, permuted_copy
from variate.training.defenses.parts.ranges import check_at_least
from variate.training.defenses.parts.surgery import seeded_by

reseed_after_fork()


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="randomized: Gnecco-Heredia et al. 2023, arXiv:2302.07221; Dbouk & Shanbhag 2022, arXiv:2206.06737 (ARC)",
    differs="Plainly trained members, chosen uniformly. Each trains on its share of every batch, so together they cost "
    "as much as one network and take as many steps, but each sees only its share of the examples.",
)
def ensemble(network: nn.Module, *, members: int = 4) -> tuple[nn.Module, str]:
    """Networks of one architecture with different initializations; a random one of them answers each query.

    The other members start from the values of the first, with each tensor randomly permuted, so that they keep the
    scale of its initialization. Do not start from a trained network.

    Args:
        network: the architecture, initialized.
        members: number of members, at least 2.

    Returns:
        The network to train and its objective.
    """
    check_at_least("members", members, 2)
    with seeded_by(network):
        others = [permuted_copy(network) for _ in range(members - 1)]
    return Ensemble([network, *others]), "cross-entropy"


class Ensemble(nn.Module):
    """In eval mode one random member answers the whole batch; in train mode each member answers its share of it.

    In train mode too, a batch with fewer than two examples per member goes to a single member.

    Args:
        members: networks with the same inputs and classes.
    """

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        if self.training:
            return answered_in_shares(list(self.members), x)
        logits: Tensor = self.members[int(torch.randint(len(self.members), ()))](x)
        return logits
