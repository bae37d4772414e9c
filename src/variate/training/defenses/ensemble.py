"""A random member of an ensemble answers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from variate.registry import defense
from variate.training.defenses.parts.ranges import at_least
from variate.training.defenses.parts.surgery import seeded_by


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="as a random network: Gnecco-Heredia et al. 2023, arXiv:2302.07221; Dbouk & Shanbhag 2022 (ARC)",
    differs="Plain members, chosen alike; each learns from its share of every batch, so together they cost as much as "
    "one network, take as many steps, and see a share of the examples.",
)
def ensemble(network: nn.Module, *, members: int = 4) -> tuple[nn.Module, str]:
    """Networks of one architecture that start differently; every query is answered by one of them, chosen at random.

    The other members start from the same values as the first, each tensor in a random order of its own: as large as
    whatever made the network wanted them, and elsewhere. A network that was trained before is not one to begin with.

    Args:
        network: the architecture, initialized.
        members: how many, from 2.

    Returns:
        The network to train, and its objective.
    """
    at_least("members", members, 2)
    with seeded_by(network):
        others = [_shuffled(network) for _ in range(members - 1)]
    return Ensemble([network, *others]), "cross-entropy"


class Ensemble(nn.Module):
    """In eval mode one member, chosen at random, answers the whole batch; in train mode each answers its share of it.

    A batch of fewer than two examples a member goes to one member in train mode too.

    Args:
        members: networks from the same inputs to the same logits.
    """

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        first = int(torch.randint(len(self.members), ()))
        if not self.training or len(x) < 2 * len(self.members):  # batch norm needs two examples
            logits: Tensor = self.members[first](x)
            return logits
        turns = (torch.randperm(len(x)) + first) % len(self.members)  # (B,), the member of each example
        places = [(turns == number).nonzero()[:, 0].to(x.device) for number in range(len(self.members))]
        answers = [member(x[place]) for member, place in zip(self.members, places, strict=True)]
        return torch.cat(answers)[torch.cat(places).argsort()]  # (B, K), in the order of the batch


def _shuffled(network: nn.Module) -> nn.Module:
    """A copy with the values of every parameter in a random order."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            order = torch.randperm(parameter.numel()).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other
