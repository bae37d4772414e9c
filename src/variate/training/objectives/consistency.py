"""Agreement between two draws under attack."""

from __future__ import annotations

from torch import Tensor, nn

from variate.oracle.losses import divergence
from variate.registry import objective
from variate.training.inner_attack import InnerAttack


@objective(needs="perturb", cite="ours; on inputs as they are: Wu et al. 2021 (R-Drop), arXiv:2106.14448, equation 2")
def consistency(net: nn.Module, x: Tensor, y: Tensor, *, perturb: InnerAttack, draws: float = 1) -> Tensor:
    """The symmetric divergence between the answers of two fresh draws to the same adversarial inputs, in nats.

    (KL(p || q) + KL(q || p)) / 2, averaged over the batch; 0 on a deterministic network. Added to ``adversarial`` it
    uses that one's perturbed inputs.

    Args:
        net: a network from inputs to logits; a random one draws afresh at each call.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; wired by the training.
        draws: that each step of the inner attack averages over.
    """
    inputs = perturb(x, y, draws=int(draws))
    one, other = net(inputs), net(inputs)  # (B, K) each
    return (divergence(one, other.softmax(1)) + divergence(other, one.softmax(1))).mean() / 2
