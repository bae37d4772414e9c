"""An attacker's access to a network, averaged over its draws, with every query counted.

The oracle's type is the level of access: an attack with a ``LabelOracle`` cannot take a gradient, because it has no
method for one. Every query draws from the *search* stream; the judge's keys come from another stream, so that no draw
that guided the search takes part in the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from variate.errors import UsageError, unknown_name
from variate.inputs.modality import Reach, free_of, inputs_at
from variate.oracle.averaging import Average, check_average, label_of, loss_of, scores_of
from variate.oracle.loss_trace import Trace
from variate.oracle.losses import Loss, cross_entropy, margin, unit_of
from variate.oracle.memory import room_for
from variate.oracle.queries import Queries
from variate.oracle.randomness import Coins
from variate.oracle.rejections import REJECTED, Detector
from variate.oracle.repeated_draws import Watch
from variate.oracle.view import View
from variate.random.keys import Stream
from variate.random.seeding import Kind, kind_of, outputs_under
from variate.random.strata import stratified
from variate.statistics.rates import Rule

Reuse = Literal["fresh", "fixed", "one"]


class Oracle:
    """The lowest access: the attacker knows the input and the label, and makes no queries.

    Queries take ``rows``, the index in the batch of the example that each input belongs to, unless there is one input
    for each example in order: an attack may query only some examples, or many inputs for each. All inputs of one query
    use the same draws. The draws of one query use the modes of a network with modes evenly: ``stratified``.

    Args:
        network: any module, in the mode to attack.
        draws: number of draws that each query averages over; 1 for a network that is not random.
        stream: source of the keys: the search stream, or the training stream during training.
        examples: B, the size of the batch.
        average: quantity averaged over the draws: ``loss``, ``logits``, ``probability``, ``majority`` or ``zero-one``
            (see ``variate.oracle.averaging``).
        keys: ``fresh``: new draws at every query; ``fixed``: the same draws for the whole attack; ``one``: the naive
            attacker, who sees one fresh draw at every query, for any ``draws``.
        kind: result of ``variate.random.seeding.kind_of`` for the network, if known.
        seed: seed of the attacker's own randomness.
        memory: memory limit in bytes for inputs and draws in the network; larger queries are split.
        reach: maps each queried point to the input that the network sees; None: points are inputs.
        view: the two logits that stand for the answers of another task than classes, whose labels are all 0; None:
            the network's logits and labels themselves.
        detector: refuses label queries; each example is attacked by a client of its own. None: every query is answered.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        draws: int = 1,
        stream: Stream,
        examples: int = 0,
        average: Average = "loss",
        keys: Reuse = "fresh",
        kind: Kind | None = None,
        seed: int = 0,
        memory: int | None = None,
        reach: Reach | None = None,
        view: View | None = None,
        detector: Detector | None = None,
    ) -> None:
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise UsageError(f"cannot average over {draws!r} draws", expected="a whole number of draws from 1")
        if stream.name == "verdict":
            raise UsageError("the verdict's stream cannot guide a search", expected="a search or train stream")
        if keys not in get_args(Reuse):
            raise unknown_name("way to take keys", keys, get_args(Reuse))
        self.network = network
        self.stream = stream
        self.queries = Queries(examples)
        self.average = check_average(average)
        self._kind = kind
        self._draws = 1 if keys == "one" else draws
        self._last_keys: list[int] | None = None
        self._reuse = keys
        self._seed = seed
        self._memory, self.reach, self.view, self._detector = memory, reach, view, detector
        self._room: int | None = None
        self._watch = Watch(network)
        self.trace = Trace()
        self._classes = 0
        self._unit: float | None = None

    def coins(self, x: Tensor) -> Coins:
        """The attacker's own coins for original inputs ``x``, shape (B, ...): an example has the same in any batch."""
        return Coins(self._seed, x, free_of(self.reach, x))

    def _keys(self, x: Tensor) -> list[int]:
        if self._kind is None and len(x):
            self._kind = kind_of(self.network, x)
        if self._last_keys is None or self._reuse != "fixed":
            keys = self.stream.take(1 if self._kind == "deterministic" else self._draws)
            self._last_keys = stratified(self.network, keys)
        return self._last_keys

    @property
    def draws(self) -> int:
        """Number of draws that a query averages over."""
        return self._draws

    @property
    def random(self) -> bool:
        """Whether queries may have different draws; True until the first query of a network of unknown kind."""
        return self._kind != "deterministic"

    def skip(self, queries: int) -> None:
        """Skip the keys of queries that are not made: the keys of a later query depend only on its position."""
        if self._reuse != "fixed":
            self.stream.index += queries * (1 if self._kind == "deterministic" else self._draws)

    def _outputs(self, x: Tensor, rows: Tensor | None) -> Tensor:
        """The logits of every draw, without gradients: (S, B, K)."""
        keys = self._keys(x)
        outputs = self._logits(inputs_at(self.reach, x, rows), keys)
        self._count(x, rows, keys, forwards=1)
        return self._seen(outputs, rows)

    def _seen(self, outputs: Tensor, rows: Tensor | None) -> Tensor:
        """What the attack sees of outputs, (..., B, M), for the examples ``rows``: logits (..., B, K)."""
        return outputs if self.view is None or not outputs.shape[-2] else self.view.of(outputs, rows)

    def _logits(self, x: Tensor, keys: list[int]) -> Tensor:
        if not len(x):
            return x.new_zeros((len(keys), 0, self._classes))
        parts, alone = self._parts(x, keys)
        outputs = torch.cat([outputs_under(self.network, x[part], keys, alone=alone) for part in parts], 1)  # (S, B, K)
        self._classes = outputs.shape[-1]
        self._watch.see(keys, list(outputs))
        return outputs

    def _in_units(self, logits: Tensor) -> Tensor:
        """Logits, (..., K), in the unit in which losses are taken: see ``unit_of``. The first query decides on it."""
        if self._unit is None:
            self._unit = 1.0 if self.view is not None else unit_of(logits)
        return logits if self._unit in (None, 1.0) else logits * self._unit

    def _parts(self, x: Tensor, keys: Sequence[int]) -> tuple[list[slice], bool]:
        """Parts of the inputs that fit in memory, and whether only one draw fits at a time."""
        if self._room is None:
            self._room = room_for(self._memory, self.network, x)
        if self._room is None:
            return [slice(0, len(x))], False
        starts = range(0, len(x), self._room)
        return [slice(start, start + self._room) for start in starts], self._room < len(x) * len(keys)

    def _count(
        self,
        x: Tensor,
        rows: Tensor | None,
        keys: list[int],
        *,
        forwards: int = 0,
        backwards: int = 0,
        gradient: Tensor | None = None,
    ) -> None:
        indices = torch.arange(len(x)) if rows is None else rows
        self.queries.count(indices, keys, forwards=forwards, backwards=backwards, again=self._reuse == "fixed")
        if gradient is not None:
            self.queries.count_flat(indices, gradient, len(keys))


class LabelOracle(Oracle):
    """Labels only, by majority of the draws."""

    def labels(self, x: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """The label that most draws predict, or ``REJECTED`` for queries that a detector refuses: (B, ...) to (B,)."""
        if self._detector is None:
            return label_of(self._outputs(x, rows))
        indices = torch.arange(len(x)) if rows is None else rows.cpu()
        rejected = self._detector.rejected(inputs_at(self.reach, x, rows), indices.tolist())
        self.queries.reject(indices[rejected])
        answered = (~rejected).nonzero()[:, 0]
        labels = torch.full((len(x),), REJECTED, device=x.device)
        if not len(answered):
            self.skip(1)
            return labels
        points = answered.to(x.device)
        labels[points] = label_of(self._outputs(x[points], indices[answered]))
        return labels


class ScoreOracle(LabelOracle):
    """Labels and scores."""

    def scores(self, x: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """Scores averaged over the draws: (B, ...) to (B, K); by default the log of the mean probability."""
        return scores_of(self._outputs(x, rows), self.average).to(x.dtype)

    def loss(self, x: Tensor, y: Tensor, loss: Loss = cross_entropy, *, rows: Tensor | None = None) -> Tensor:
        """The loss averaged over the draws.

        Args:
            x: inputs, shape (B, ...).
            y: labels, shape (B,).
            loss: a loss per example: logits (B, K) and labels (B,) to (B,); see ``variate.oracle.losses``.
            rows: index of the example of each input; None: in order.
        """
        return loss_of(self._in_units(self._outputs(x, rows)), y, loss, self.average).to(x.dtype)

    def wrong(self, x: Tensor, y: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """The share of the draws that do not predict ``y``: (B, ...) and (B,) to (B,)."""
        return loss_of(self._outputs(x, rows), y, cross_entropy, "zero-one").to(x.dtype)

    def errors(self, x: Tensor, y: Tensor, rule: Rule, *, rows: Tensor | None = None) -> Tensor:
        """How far the draws are from answering ``y``, as a deployment counts: (B, ...) to (B,).

        The share of wrong draws for ``single`` and ``survive``, the lead of the strongest other class in votes for
        ``majority``, and in the log of the mean probability for ``mean``.
        """
        average: dict[Rule, Average] = {"mean": "probability", "majority": "majority"}
        return loss_of(self._outputs(x, rows), y, margin, average.get(rule, "zero-one")).to(x.dtype)
