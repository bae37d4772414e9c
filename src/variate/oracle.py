"""What an attacker may ask of a network, averaged over its draws, with every query counted.

Access is the oracle's type: an attack that is given a ``LabelOracle`` cannot take a gradient, because there is none.
Every query draws fresh keys from the *search* stream; the judge's keys come from another stream, so nothing that
guided the search takes part in the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.average import mean_log_probabilities
from variate.draws import How, Passes, slope_of
from variate.errors import RepeatedDrawsError, UsageError
from variate.fingerprint import fingerprint
from variate.inputs import checked_logits
from variate.keyed import Kind, kind_of, outputs_under, under
from variate.network import RandomNetwork
from variate.randomness import Stream, hash_words
from variate.registry import Access
from variate.samplers import counter

Loss = Callable[[Tensor, Tensor], Tensor]
PATIENCE = 10  # averaged queries in a row whose draws all agree, before a network that should be random is doubted


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """The cross-entropy of each example: (B, K) and (B,) to (B,).

    Written as softplus(logsumexp of the other logits - own logit): the usual form rounds its gradient to zero, or to
    the wrong direction, once the margin passes 17 in float32, which makes confident networks look robust.
    """
    own = logits.gather(1, y[:, None])[:, 0]  # (B,)
    others = logits.scatter(1, y[:, None], -torch.inf).logsumexp(1)  # (B,)
    return F.softplus(others - own)


@dataclass
class Queries:
    """What was asked, per example: forward passes and backward passes, one for each draw."""

    forwards: int = 0
    backwards: int = 0


class Oracle:
    """The least access: the attacker knows the input and the label, and asks nothing.

    Args:
        network: any module; its mode is left as it is.
        draws: K, the number of draws that each answer averages over; 1 for a network that is not random.
        stream: where the keys come from: the search stream, or the training stream inside training.
        kind: what ``keyed.kind_of`` says of the network, if it is known already.
        seed: the seed of the attacker's own coins.
        how: how a random network's draws are made: ``loop``, the reference, or ``vmap``, ``threads`` or ``auto``, which
            are faster and equal up to rounding (see ``variate.draws``).
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        draws: int = 1,
        stream: Stream,
        kind: Kind | None = None,
        seed: int = 0,
        how: How = "loop",
    ) -> None:
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise UsageError(f"cannot average over {draws!r} draws", expected="a whole number of draws from 1")
        if stream.name == "verdict":
            raise UsageError("the verdict's stream cannot guide a search", expected="a search or train stream")
        self.network = network
        self.stream = stream
        self.queries = Queries()
        self._kind = kind
        self._draws = draws
        self._seed = seed
        self._how = how
        self._agreed = 0

    def uniform(self, x: Tensor, purpose: str) -> Tensor:
        """The attacker's own coins: noise in (0, 1) of ``x``'s shape (B, ...), the same for an example in any batch.

        It is a pure function of the seed, the purpose and the example's content.
        """
        keys = [hash_words("coins", self._seed, fingerprint([row])) % 2**63 for row in x]
        count = x[0].numel()
        return counter.uniform(keys, hash_words(purpose), count, device=x.device).view_as(x).to(x.dtype)

    def _keys(self, x: Tensor) -> list[int]:
        if self._kind is None:
            self._kind = kind_of(self.network, x)
        return self.stream.take(1 if self._kind == "deterministic" else self._draws)

    def _outputs(self, x: Tensor) -> Tensor:
        """The logits of every draw without gradients: (S, B, K)."""
        keys = self._keys(x)
        outputs = outputs_under(self.network, x, keys, self._how)
        self.queries.forwards += len(keys)
        self._expect_difference(keys, outputs)
        return outputs

    def _expect_difference(self, keys: Sequence[int], outputs: Tensor) -> None:
        """Averaging is real: draws with different keys must give different networks.

        Equal outputs are possible for a network that differs rarely, so a random network of ours is checked at the
        cause, its weights, and any other only after several averaged queries in a row.
        """
        if len(keys) < 2:
            return
        if any(not torch.equal(output, outputs[0]) for output in outputs[1:]):
            self._agreed = 0
            return
        self._agreed += 1
        same_weights = isinstance(self.network, RandomNetwork) and not self.network.differs(keys[0], keys[1])
        if same_weights or (not isinstance(self.network, RandomNetwork) and self._agreed >= PATIENCE):
            raise RepeatedDrawsError(
                f"{len(keys)} draws of {type(self.network).__name__} under different keys are all the same",
                expected="a random network to differ from draw to draw, or averaging over it averages nothing",
                todo="look for a fixed seed or a cached noise tensor inside its forward, or for scales of zero",
            )


class LabelOracle(Oracle):
    """Labels only: the answer of most draws."""

    def labels(self, x: Tensor) -> Tensor:
        """The label that most draws give: (B, ...) to (B,)."""
        return self._outputs(x).argmax(-1).mode(0).values


class ScoreOracle(LabelOracle):
    """Labels and scores."""

    def scores(self, x: Tensor) -> Tensor:
        """The log of the mean probability over the draws: (B, ...) to (B, K)."""
        return mean_log_probabilities(self._outputs(x))


class GradientOracle(ScoreOracle):
    """Labels, scores and the gradient of the mean loss (expectation over transformation, Athalye et al. 2018)."""

    def gradient(self, x: Tensor, y: Tensor, loss: Loss = cross_entropy) -> tuple[Tensor, Tensor]:
        """The loss averaged over the draws, and its gradient with respect to the inputs.

        Args:
            x: inputs, shape (B, ...).
            y: labels, shape (B,).
            loss: a loss per example: logits (B, K) and labels (B,) to (B,).

        Returns:
            The mean loss, shape (B,), and the gradient, shape (B, ...).
        """
        keys = self._keys(x)
        passes = self._passes(x, y, loss, keys)
        self.queries.forwards += len(keys)
        self.queries.backwards += len(keys)
        self._expect_difference(keys, passes.logits)
        return passes.loss, passes.gradient

    def _passes(self, x: Tensor, y: Tensor, loss: Loss, keys: Sequence[int]) -> Passes:
        if self._how != "loop" and isinstance(self.network, RandomNetwork):
            with under(self.network, keys[0]):  # a generator that it also draws from is seeded, and put back
                return self.network.input_gradient(
                    x, lambda logits: loss(checked_logits(logits, x), y), keys, self._how
                )
        total, gradient = x.new_zeros(len(x)), torch.zeros_like(x)
        outputs = []
        for key in keys:
            leaf = x.detach().clone().requires_grad_(True)
            with torch.enable_grad(), under(self.network, key):
                logits = checked_logits(self.network(leaf), leaf)
                value = loss(logits, y)
                gradient += slope_of(value, leaf)
            total += value.detach()
            outputs.append(logits.detach())
        return Passes(torch.stack(outputs), total / len(keys), gradient / len(keys))


ORACLES: dict[Access, type[Oracle]] = {
    "none": Oracle,
    "labels": LabelOracle,
    "scores": ScoreOracle,
    "gradient": GradientOracle,
}
