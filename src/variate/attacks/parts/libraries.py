"""Attacks of other libraries: which exist, which options they take, and how to run them without side effects."""

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
from variate.oracle.white_box import GradientOracle

SEEDS = 2**32  # numpy's generator takes no larger seeds

Run = Callable[[nn.Module, Tensor, Tensor, Tensor | None], Tensor | None]


def attack_class(library: str, attack: str, norm: str, available: Mapping[str, type]) -> type:
    """Return the class of an attack. Raises ``UsageError`` if the library does not have it or it bounds another norm.

    Args:
        library: name of the registry entry; its fact ``variants`` lists the attacks for each norm.
        attack: name of the class.
        norm: norm of the budget.
        available: the library's classes by name.
    """
    if attack not in available:
        raise unknown_name(f"attack of {library}", attack, sorted(available))
    kind = available[attack]
    variants = registry.get("attacks", library).facts["variants"]
    bounded_norms = [bounded for bounded, names in variants.items() if kind.__name__ in names]
    if bounded_norms and norm not in bounded_norms:
        raise UsageError(
            f"{library}'s {attack} bounds {' and '.join(bounded_norms)}, and the budget is in {norm}",
            expected=f"one of {', '.join(variants[norm])}",
        )
    return kind


def instantiate(library: str, kind: type, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    """Instantiate an attack. Raises ``UsageError`` for options that it does not take.

    Args:
        library: name of the library.
        kind: the class of the attack.
        options: options given by the user.
        defaults: our own values, used where the class takes them and the user did not set them.
    """
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(kind).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind in named]
    for option in options:
        if option not in names:
            raise unknown_name(f"option of {library}'s {kind.__name__}", option, names)
    try:
        return kind(**({name: value for name, value in defaults.items() if name in names} | dict(options)))
    except (TypeError, ValueError, AssertionError, NotImplementedError, ImportError) as error:
        shown = ", ".join(f"{name}={value!r}" for name, value in options.items()) or "no options"
        reason = str(error) or type(error).__name__
        raise UsageError(f"{library}'s {kind.__name__} cannot be created with {shown}: {reason}") from error


def run_isolated(
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
    """Run an attack of a library on a view of the network, and project its results into the budget.

    All examples are attacked under the same draws, and each has its own seed for the library's random numbers. Where
    the attack found nothing, or returned values that are not finite, the result is the input itself.

    Args:
        oracle: provides the view of the network.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        target: target labels, shape (B,); None for an untargeted attack.
        budget: the norm and the size.
        name: name of the attack, for error messages.
        run: the attack: maps a module, inputs, labels and target labels to perturbed inputs.
        one_by_one: run each example alone, so that its result and its query counts do not depend on the others.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        AttackError: if the library fails.
    """
    if not len(x) or budget.eps == 0:  # libraries reject both
        return x.clone()
    keys = oracle.take_keys(x)
    oracle.module(x, keys=keys)  # registers the whole batch, so that passes on single examples are counted correctly
    seeds: Sequence[int] = oracle.coins(x).integers("library", (1,), SEEDS)[:, 0].tolist()
    results = []
    for rows in torch.split(torch.arange(len(x)), 1 if one_by_one else len(x)):
        index = rows.to(x.device)
        goals = None if target is None else target[index]
        module = oracle.module(x[index], rows=rows, keys=keys)
        with _isolated(x, seeds[int(rows[0])]):
            results.append(_valid(name, _run(name, run, module, x[index], y[index], goals), x[index]))
    return budget.project(torch.cat(results), x)


def _run(name: str, run: Run, module: nn.Module, x: Tensor, y: Tensor, target: Tensor | None) -> Tensor | None:
    try:
        return run(module, x, y, target)
    except VariateError:
        raise
    except Exception as error:
        raise AttackError(
            f"{name} failed: {type(error).__name__}: {error}",
            todo="see the library's documentation, or use another of its attacks (variate list attacks)",
        ) from error


def _valid(name: str, result: Tensor | None, x: Tensor) -> Tensor:
    """The result in the dtype of ``x``, and ``x`` where it is missing or not finite. Raises ``AttackError``."""
    if result is None:
        return x
    if result.shape != x.shape:
        raise AttackError(f"{name} returned shape {tuple(result.shape)}", expected=f"{tuple(x.shape)}")
    result = result.detach().to(x)
    finite = result.isfinite().flatten(1).all(1).view(-1, *[1] * (x.dim() - 1))  # (B, 1, ...)
    return result.where(finite, x)


@contextmanager
def _isolated(x: Tensor, seed: int) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python and silence warnings; restore the generators on exit."""
    devices = [x.device.index or 0] if x.is_cuda else []
    states = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU, including those not in use
        for device in devices:
            torch.cuda.default_generators[device].manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(states[0])
            random.setstate(states[1])
