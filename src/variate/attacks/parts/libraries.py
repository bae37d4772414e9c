"""Attacks of other libraries: which there are, what they may be told, and how they are run without leaving a trace."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import AttackError, UsageError, VariateError, unknown_name
from variate.inputs.budget import Budget
from variate.oracle.oracle import GradientOracle

SEEDS = 2**32  # numpy's generator takes no more

Run = Callable[[nn.Module, Tensor, Tensor, Tensor | None], Tensor | None]


def chosen(library: str, attack: str, norm: str, known: Mapping[str, type]) -> type:
    """The class of an attack. Raises ``UsageError`` for one that the library has not, or that bounds another norm.

    Args:
        library: the entry, whose fact ``variants`` says what works in which norm.
        attack: the name of a class.
        norm: of the budget.
        known: the library's classes by name.
    """
    if attack not in known:
        raise unknown_name(f"attack of {library}", attack, sorted(known))
    found = known[attack]
    variants = registry.get("attacks", library).facts["variants"]
    norms = [one for one, names in variants.items() if found.__name__ in names]
    if norms and norm not in norms:
        raise UsageError(
            f"{library}'s {attack} bounds {' and '.join(norms)}, and the budget is in {norm}",
            expected=f"one of {', '.join(variants[norm])}",
        )
    return found


def made(library: str, kind: type, options: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """An attack, made of its class. Raises ``UsageError`` for options that it does not take.

    Args:
        library: its name.
        kind: the class.
        options: the user's.
        given: by us, as far as the class takes them and the user did not say otherwise.
    """
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(kind).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind in named]
    for option in options:
        if option not in names:
            raise unknown_name(f"option of {library}'s {kind.__name__}", option, names)
    try:
        return kind(**({name: value for name, value in given.items() if name in names} | dict(options)))
    except (TypeError, ValueError, AssertionError, NotImplementedError, ImportError) as error:
        words = ", ".join(f"{name}={value!r}" for name, value in options.items()) or "no options"
        what = str(error) or type(error).__name__
        raise UsageError(f"{library}'s {kind.__name__} cannot be made with {words}: {what}") from error


def run_apart(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    target: Tensor | None,
    *,
    budget: Budget,
    name: str,
    run: Run,
    one_by_one: bool,
) -> Tensor:
    """Run an attack of a library on a lent network, and take home what it finds inside the budget.

    Every example meets the same draws, and a library's random numbers that are its own. Where nothing was found, or
    something that is no number, the input itself is the result.

    Args:
        oracle: lends the network.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        target: the labels to reach, shape (B,), or None.
        budget: the norm and the size.
        name: of the attack, for errors.
        run: the attack: from a module, inputs, labels and the labels to reach to perturbed inputs.
        one_by_one: each example alone, so that its result and its counts do not depend on the others.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        AttackError: where the library fails.
    """
    if not len(x) or budget.eps == 0:  # libraries refuse both
        return x.clone()
    keys = oracle.take_keys(x)
    oracle.module(x, keys=keys)  # so that passes of single examples are counted in a batch of all
    seeds: Sequence[int] = oracle.coins(x).integers("library", (1,), SEEDS)[:, 0].tolist()
    found = []
    for rows in torch.split(torch.arange(len(x)), 1 if one_by_one else len(x)):
        at = rows.to(x.device)
        goal = None if target is None else target[at]
        module = oracle.module(x[at], rows=rows, keys=keys)
        with _apart(x, seeds[int(rows[0])]):
            found.append(_sound(name, _tried(name, run, module, x[at], y[at], goal), x[at]))
    return budget.project(torch.cat(found), x)


def _tried(name: str, run: Run, module: nn.Module, x: Tensor, y: Tensor, target: Tensor | None) -> Tensor | None:
    try:
        return run(module, x, y, target)
    except VariateError:
        raise
    except Exception as error:
        raise AttackError(
            f"{name} failed: {type(error).__name__}: {error}",
            todo="look into the library's documentation, or take another of its attacks (variate list attacks)",
        ) from error


def _sound(name: str, found: Tensor | None, x: Tensor) -> Tensor:
    """What was found, in the inputs' type; the input where that is nothing or not finite. Raises ``AttackError``."""
    if found is None:
        return x
    if found.shape != x.shape:
        raise AttackError(f"{name} returned shape {tuple(found.shape)}", expected=f"{tuple(x.shape)}")
    found = found.detach().to(x)
    finite = found.isfinite().flatten(1).all(1).view(-1, *[1] * (x.dim() - 1))  # (B, 1, ...)
    return found.where(finite, x)


@contextmanager
def _apart(x: Tensor, seed: int) -> Iterator[None]:
    """Inside, the global generators of torch, numpy and Python are seeded, and no warning is heard; then as before."""
    devices = [x.device.index or 0] if x.is_cuda else []
    states = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU, ours or not
        for device in devices:
            torch.cuda.default_generators[device].manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(states[0])
            random.setstate(states[1])
