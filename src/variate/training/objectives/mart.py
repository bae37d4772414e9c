"""MART: adversarial training that leans on the examples that are wrong already."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from variate.oracle.losses import divergence
from variate.registry import objective
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.parts.draws import one_or_each

TINY = 1e-4  # below any probability whose logarithm matters


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
    """Boosted cross-entropy on adversarial inputs, and disagreement weighed by how wrong the inputs themselves are.

    BCE(p(x'), y) + weight * KL(p(x) || p(x')) * (1 - p_y(x)), with BCE = -log p_y(x') - log(1 - max_{k != y} p_k(x')).

    Args:
        net: a network from inputs to logits.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; wired by the training.
        weight: of the disagreement, lambda in the paper.
        same: 1: of a random network, one fresh draw gives both answers and is attacked; 0: fresh draws everywhere.
        draws: that each step of the inner attack averages over, where ``same`` is 0.
    """
    with one_or_each(perturb, same):
        attacked, clean = net(perturb(x, y, draws=int(draws))), net(x).softmax(1)  # (B, K) each
    probabilities = attacked.softmax(1)
    other = probabilities.scatter(1, y[:, None], 0.0).amax(1)  # (B,)
    boosted = F.cross_entropy(attacked, y, reduction="none") - (1 - other + TINY).log()
    doubt = 1 - clean.gather(1, y[:, None])[:, 0]
    loss: Tensor = boosted + weight * divergence(attacked, clean.clamp_min(1e-12)) * doubt
    return loss.mean()
