"""MART: adversarial training that emphasizes misclassified examples."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from variate.oracle.losses import divergence
from variate.registry import objective
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.parts.draws import shared_or_fresh_draws

TINY = 1e-4  # keeps the logarithm finite


@objective(
    needs="perturb",
    cite="Wang et al. 2020, Improving adversarial robustness requires revisiting misclassified examples, ICLR",
)
def mart(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    perturb: InnerAttack,
    weight: float = 5.0,
    same: float = 1,
    draws: float = 1,
) -> Tensor:
    """Boosted cross-entropy on adversarial inputs plus a divergence, weighted by the error on clean inputs.

    BCE(p(x'), y) + weight * KL(p(x) || p(x')) * (1 - p_y(x)), with BCE = -log p_y(x') - log(1 - max_{k != y} p_k(x')).

    Args:
        net: a network from inputs to logits.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; supplied by the training.
        weight: weight of the divergence; lambda in the paper.
        same: 1 uses one fresh draw of a random network for both answers and the attack; 0 uses fresh draws everywhere.
        draws: number of draws that each step of the inner attack averages over if ``same`` is 0.
    """
    with shared_or_fresh_draws(perturb, same):
        attacked, clean = net(perturb(x, y, draws=int(draws))), net(x).softmax(1)  # (B, K) each
    probabilities = attacked.softmax(1)
    other = probabilities.scatter(1, y[:, None], 0.0).amax(1)  # (B,)
    boosted = F.cross_entropy(attacked, y, reduction="none") - (1 - other + TINY).log()
    clean_error = 1 - clean.gather(1, y[:, None])[:, 0]
    loss: Tensor = boosted + weight * divergence(attacked, clean.clamp_min(1e-12)) * clean_error
    return loss.mean()
