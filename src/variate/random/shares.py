"""Networks that learn alone although they are trained as one: each answers a random share of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from variate.random.reseeding import reseed_after_fork

reseed_after_fork()


def answers_in_shares(members: Sequence[nn.Module], x: Tensor) -> Tensor:
    """The answer of a random member to each example: (B, ...) to (B, K).

    A batch with fewer than two examples per member goes to a single one, because batch norm needs two.
    """
    first = int(torch.randint(len(members), ()))
    if len(x) < 2 * len(members):
        logits: Tensor = members[first](x)
        return logits
    turns = (torch.randperm(len(x)) + first) % len(members)  # (B,), the member of each example
    shares = [(turns == i).nonzero()[:, 0].to(x.device) for i in range(len(members))]
    answers = [member(x[share]) for member, share in zip(members, shares, strict=True)]
    return torch.cat(answers)[torch.cat(shares).argsort()]  # (B, K), in the order of the batch
