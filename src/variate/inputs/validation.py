"""Validate inputs and labels before anything is judged on them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from variate.errors import InputError, UsageError

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64)
TWO_LOGITS = (
    "name its task (task='binary', --task binary), or wrap it in a module that returns two logits, such as "
    "torch.cat([torch.zeros_like(z), z], 1) for z of shape (B, 1)"
)


LabelFindings = Callable[[Tensor, int], Iterator[str]]  # what is wrong with the labels of so many examples


def check_inputs(x: Tensor, y: Tensor, labels: LabelFindings | None = None) -> None:
    """Check that ``x`` is finite and in [0, 1], and ``y`` fits. Raises ``InputError`` with every finding.

    Args:
        x: inputs, shape (B, ...).
        y: labels, shape (B, ...).
        labels: looks for what is wrong with the labels; by default they are one class per example.
    """
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        raise InputError(
            f"x is {type(x).__name__} and y is {type(y).__name__}", expected="two tensors (torch.as_tensor makes them)"
        )
    of_labels = label_findings(tuple(x.shape), y) if labels is None else labels(y, len(x))
    findings = [*_input_findings(x), *of_labels]
    if findings:
        raise InputError("these inputs cannot be judged", findings=findings)


def check_module(network: object) -> None:
    """Check that a network is a module, and that its tensors have values. Raises ``UsageError``."""
    if isinstance(network, nn.Module):
        _check_values(network)
        return
    function = "a function" if inspect.isroutine(network) else type(network).__name__
    raise UsageError(
        f"the network is {function}",
        expected="a torch.nn.Module from inputs to logits",
        todo="call the function inside the forward of a module, whose modes, parameters and device can be seen",
    )


def _check_values(network: nn.Module) -> None:
    empty = [
        f"{name} {why}"
        for name, tensor in chain(network.named_parameters(), network.named_buffers())
        for why in [without_values(tensor)]
        if why
    ]
    if empty:
        raise UsageError(
            f"{type(network).__name__} has tensors without values",
            findings=empty,
            todo="load its weights first: net.to_empty(device='cpu'), then net.load_state_dict(...)",
        )


def without_values(tensor: Tensor) -> str:
    """Why a tensor has no values to compute with, or ""."""
    if tensor.is_meta and not is_lazy(tensor):
        return "is on the meta device and has no values"
    fake = getattr(sys.modules.get("torch._subclasses.fake_tensor"), "FakeTensor", None)
    return "is a FakeTensor and has no values" if fake is not None and isinstance(tensor, fake) else ""


def check_labels(y: Tensor, examples: int) -> None:
    """Check that ``y`` holds one integer label for each example. Raises ``InputError``."""
    findings = list(label_findings((examples, 1), y))
    if findings:
        raise InputError("these labels cannot be judged", findings=findings)


def check_classes(y: Tensor, classes: int) -> None:
    """Check that there are at least two classes and every label is one of them. Raises ``InputError``."""
    check_several(classes)
    if int(y.long().max()) >= classes:
        raise InputError(
            f"y has the label {int(y.long().max())}, but the network has {classes} classes",
            expected=f"labels from 0 to {classes - 1}",
        )


def check_several(classes: int) -> None:
    """Check that a network tells at least two classes apart. Raises ``InputError``."""
    if classes < 2:
        raise InputError(
            "the network returns one logit per example: a binary answer, or one class that is always right",
            expected="logits of at least two classes",
            todo=TWO_LOGITS,
        )


def _input_findings(x: Tensor) -> Iterator[str]:
    if not x.is_floating_point():
        yield f"x is {x.dtype}: divide integer pixels by 255 to get floats in [0, 1]"
    elif x.dim() < 2 or x.numel() == 0:
        yield f"x has shape {tuple(x.shape)}: at least one example is needed, one row each"
    elif not bool(x.isfinite().all()):
        bad = x.isfinite().logical_not().flatten(1).any(1).nonzero()[:, 0].tolist()
        yield f"x has NaN or infinite values in {len(bad)} examples; the first is number {bad[0]}"
    elif float(x.min()) < 0 or float(x.max()) > 1:
        limits = f"{float(x.min()):.4g} to {float(x.max()):.4g}"
        yield f"x ranges from {limits}: inputs must be in [0, 1], with normalization inside the network"


def label_findings(shape: tuple[int, ...], y: Tensor) -> Iterator[str]:
    """Problems of labels for inputs of a shape."""
    if y.dim() == 2 and y.shape[1] > 1 and y.shape[:1] == shape[:1] and bool(((y == 0) | (y == 1)).all()):
        if bool((y.sum(1) == 1).all()):
            yield f"y has shape {tuple(y.shape)}, one-hot: one label per example is needed, y.argmax(1)"
        else:
            yield f"y has shape {tuple(y.shape)}, several labels each: one label per example is needed"
    elif y.dtype not in INTEGERS:
        yield f"y is {y.dtype}: labels are integers"
    elif y.dim() != 1 or y.shape != shape[:1]:
        yield f"y has shape {tuple(y.shape)} for inputs of shape {shape}: one label per example is needed"
    elif y.numel() and int(y.long().min()) < 0:
        yield f"y has the negative label {int(y.long().min())}"


def whole_findings(y: Tensor, shape: str) -> Iterator[str]:
    """The finding that labels, of which ``shape`` is expected, are not whole numbers."""
    if y.dtype not in INTEGERS and y.dtype != torch.bool:
        yield f"y is {y.dtype}: labels are whole numbers of shape {shape}"


def checked_output(output: object, x: Tensor) -> Tensor:
    """The tensor in a network's output for inputs (B, ...): itself, or its ``logits``. Raises ``InputError``."""
    logits = logits_in(output)
    if not isinstance(logits, Tensor):
        raise not_logits(logits, len(x))
    return logits


def checked_logits(output: object, x: Tensor) -> Tensor:
    """The logits in a network's output: one row per example, without NaN, in float32 or float64.

    Args:
        output: what the network returned: logits, or an object whose ``logits`` they are (as in Hugging Face models).
        x: the inputs, shape (B, ...).

    Returns:
        Logits, shape (B, K): in float64 where the network computes in it, otherwise in float32.

    Raises:
        InputError: for any other output; it says how to wrap the network.
    """
    logits = checked_output(output, x)
    if logits.dim() != 2 or len(logits) != len(x):
        raise not_logits(logits, len(x))
    if is_traceable_wrapper_subclass(logits):
        raise InputError(
            f"the network returned a {type(logits).__name__}",
            expected="a plain tensor of logits",
            todo="convert it at the end of the forward, as output.full_tensor() does for a DTensor",
        )
    if logits.is_complex() or logits.dtype == torch.bool:
        raise InputError(f"the network returned {logits.dtype}", expected="real numbers: one logit per class")
    logits = precise(logits)
    highest = logits.amax(1)  # NaN where any is
    if not bool(highest.isfinite().all()):
        raise _infinite(highest)
    return logits


def _infinite(highest: Tensor) -> InputError:
    """The error for rows of logits, (B,), whose largest is not finite."""
    todo = "check its weights and its training before judging it"
    if bool(highest.isnan().any()):
        return InputError("the network returned NaN logits", todo=todo)
    if bool(highest.isposinf().any()):
        return InputError("the network returned infinite logits", todo=f"{todo}, and whether its precision overflows")
    return InputError("the network returned logits of minus infinity for every class", expected="one possible class")


def precise(values: Tensor) -> Tensor:
    """Values in float64 as they are, all others in float32."""
    return values if values.dtype == torch.float64 else values.float()


def logits_in(output: object) -> object:
    """The ``logits`` of an output that has them, by attribute or by key; any other output itself."""
    if isinstance(output, Mapping):
        return output.get("logits", output)
    return output if isinstance(output, Tensor) else getattr(output, "logits", output)


def not_logits(output: object, examples: int) -> InputError:
    """The error for an output that is not one row of logits per example, with the way to wrap the network."""
    expected = f"logits of shape ({examples}, classes)"
    if isinstance(output, Tensor):
        shape = tuple(output.shape)
        if shape in ((examples,), ()):
            return InputError(
                f"the network returned {shape} for {examples} inputs: one number per example is a binary answer",
                expected=expected,
                todo=TWO_LOGITS,
            )
        return InputError(f"the network returned {shape} for {examples} inputs", expected=expected)
    kind, found = type(output).__name__, ""
    if isinstance(output, Mapping):
        found = f" with the keys {', '.join(map(str, output))}"
    elif isinstance(output, Sequence):
        found = f" of {len(output)}"
    place = "['...']" if isinstance(output, Mapping) else "[0]" if isinstance(output, Sequence) else ".logits"
    return InputError(
        f"the network returned {kind}{found} for {examples} inputs",
        expected=expected,
        todo=f"wrap it in a module whose forward returns its logits alone, such as network(x){place}",
    )
