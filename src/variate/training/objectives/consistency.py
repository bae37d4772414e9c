"""Agreement between two draws under attack."""

from __future__ import annotations

from torch import Tensor, nn

from variate.oracle.losses import divergence
from variate.registry import objective
from variate.training.inner_attack import InnerAttack


@objective(needs="perturb", cite="ours; on clean inputs: Wu et al. 2021 (R-Drop), arXiv:2106.14448, equation 2")
def consistency(net: nn.Module, x: Tensor, y: Tensor, *, perturb: InnerAttack, draws: float = 1) -> Tensor:
    """The symmetric divergence between the answers of two fresh draws to the same adversarial inputs, in nats.

    (KL(p || q) + KL(q || p)) / 2, averaged over the batch; 0 on a deterministic network. Combined with
    ``adversarial`` it uses the same perturbed inputs.

    Args:
        net: a network from inputs to logits; a random one uses a fresh draw per call.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; supplied by the training.
        draws: number of draws that each step of the inner attack averages over.
    """
    inputs = perturb(x, y, draws=int(draws))
    first, second = net(inputs), net(inputs)  # (B, K) each
    return (divergence(first, second.softmax(1)) + divergence(second, first.softmax(1))).mean() / 2
