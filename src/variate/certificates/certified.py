"""A network in deployment that answers only where its certificate at the received input reaches a radius."""

from __future__ import annotations

import os
import threading

import torch
from torch import Tensor, nn

from variate.certificates.acceptance import CHOOSING, Acceptance, check_draws
from variate.certificates.certification import Casting
from variate.certificates.mechanism import Mechanism, usual_norm
from variate.certificates.subject import mechanism_of
from variate.errors import InputError, UsageError
from variate.evaluation.probes import device_of
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality, modality_of
from variate.inputs.validation import check_module
from variate.inputs.words import reads_words
from variate.random.keys import fresh_keys
from variate.random.seeding import left_as_found
from variate.statistics.accepted import CERTIFIED, certified_radius

_answering = threading.Lock()  # requests take turns: a network holds one draw at a time


class Certified:
    """A network that answers a request with a label, or with -1: it abstains.

    Every input of a request gets ``100 + draws`` fresh votes, with keys from the operating system's entropy. The first
    100 elect a label; it is answered if the others certify that the vote cannot change within ``radius`` of the
    received input. Whoever has moved an input by ``radius`` at most can make the network abstain, but cannot make it
    answer anything but the label of the infinite vote at the original input, except with probability ``alpha`` for
    each answer.

    The noise is checked anew at every request. Requests run one at a time.

    Args:
        network: any module with noise that certifies it, in the mode it will be used in.
        example: an input as in the requests, or several: (B, ...).
        radius: the radius that a certificate must reach.
        norm: norm of the radius; by default the first one that the mechanism certifies.
        mechanism: name of the certificate (``variate list certificates``); by default what fits.
        draws: number of votes that bound the probability of the label.
        alpha: probability with which the certificate of an answer may be wrong, in (0, 1).
        votes_of: number of draws of the weights, under one noise on the input, whose mean probability casts a vote.
        modality: modality of the inputs; that of a table tells which columns are one category.

    Raises:
        UsageError: for a network of which nothing can be proved, and options that can prove nothing.
    """

    def __init__(
        self,
        network: nn.Module,
        example: Tensor,
        *,
        radius: float | str,
        norm: str | None = None,
        mechanism: str | None = None,
        draws: int = 1000,
        alpha: float = 0.001,
        votes_of: int = 1,
        modality: str | Modality = "image",
    ) -> None:
        check_module(network)
        Casting(draws=draws, alpha=alpha, votes_of=votes_of).check()
        certified_radius(f"{CERTIFIED}{radius}")
        kind = self._modality = modality_of(modality)
        with left_as_found(network):
            found = mechanism_of(network, example, None, mechanism).on(kind)
        norm = usual_norm(found.norms, ("words",) if reads_words(network) else found.norms) if norm is None else norm
        found.check_norm(norm)
        self.network = network
        self.radius = Budget.parse(f"{norm}:{radius}")
        self._draws, self._alpha, self._votes_of = draws, alpha, votes_of
        self._kind = type(found)
        self.acceptance = self._rule(found)

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to labels, -1 where it abstains, shape (B,).

        Raises:
            InputError: for inputs that are not finite numbers.
            UsageError: if the network no longer draws the noise that it was certified with.
        """
        if not isinstance(x, Tensor) or x.dim() < 2 or not bool(x.isfinite().all()):
            raise InputError("the request cannot be answered", expected="a tensor of finite numbers, a row an example")
        with _answering, left_as_found(self.network):
            x = x.to(device_of(self.network, x))
            found = self._kind.find(self.network, x)
            if found is None:
                raise UsageError("the network has lost the noise that certified it", todo="make another Certified")
            rule = self.acceptance = self._rule(found.on(self._modality))
            with torch.no_grad():
                return rule.labels(self.network, x, fresh_keys(rule.keys))

    def _rule(self, found: Mechanism) -> Acceptance:
        """When to answer. Raises ``UsageError`` if that is never."""
        draws, alpha = (self._draws, self._alpha) if found.random else (1, 0.0)
        check_draws(found, [self.radius], draws, alpha)
        return Acceptance(found, self.radius, CHOOSING if found.random else 1, draws, alpha, self._votes_of)

    def __repr__(self) -> str:
        return f"Certified({type(self.network).__name__}, {self.radius}, draws={self._draws}, alpha={self._alpha:g})"


def _in_a_child() -> None:
    """After a fork: another thread may have held the lock, and only the thread that forked lives on."""
    global _answering
    _answering = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_a_child)
