"""Validate inputs and labels before anything is judged on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from variate.errors import InputError


def check_inputs(x: Tensor, y: Tensor) -> None:
    """Check that ``x`` is finite and in [0, 1], and ``y`` integer labels. Raises ``InputError`` with every finding."""
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        raise InputError(
            f"x is {type(x).__name__} and y is {type(y).__name__}", expected="two tensors (torch.as_tensor makes them)"
        )
    findings = [*_input_findings(x), *_label_findings(x, y)]
    if findings:
        raise InputError("these inputs cannot be judged", findings=findings)


def check_labels(x: Tensor, y: Tensor) -> None:
    """Check that ``y`` holds one integer label for every row of ``x``. Raises ``InputError``."""
    findings = list(_label_findings(x, y))
    if findings:
        raise InputError("these labels cannot be learned", findings=findings)


def check_classes(y: Tensor, classes: int) -> None:
    """Check that there are at least two classes and every label is one of them. Raises ``InputError``."""
    if classes < 2:
        raise InputError(
            "the network has one class, so its answer is always right",
            expected="logits of at least two classes",
        )
    if int(y.max()) >= classes:
        raise InputError(
            f"y has the label {int(y.max())}, but the network has {classes} classes",
            expected=f"labels from 0 to {classes - 1}",
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


def _label_findings(x: Tensor, y: Tensor) -> Iterator[str]:
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        yield f"y is {y.dtype}: labels are integers"
    elif y.dim() != 1 or x.dim() == 0 or len(y) != len(x):
        yield f"y has shape {tuple(y.shape)} for inputs of shape {tuple(x.shape)}: one label per example is needed"
    elif y.numel() and int(y.min()) < 0:
        yield f"y has the negative label {int(y.min())}"


def checked_output(output: object) -> Tensor:
    """Check that a network returned one tensor. Raises ``InputError``."""
    if isinstance(output, Tensor):
        return output
    kind = f"a {type(output).__name__}"
    if isinstance(output, Mapping):
        kind, field = f"{kind} of {', '.join(map(str, output))}", "['logits']"
    elif isinstance(output, tuple | list):
        kind, field = f"{kind} of {len(output)}", "[0]"
    else:
        field = ".logits"
    raise InputError(
        f"the network returned {kind}",
        expected="one tensor with a row for every example",
        todo=f"wrap it in a module whose forward returns that tensor alone, such as self.net(x){field}",
    )


def checked_logits(logits: object, x: Tensor) -> Tensor:
    """Check that a network returned one row of logits per example, without NaN. Raises ``InputError``."""
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(x):
        returned = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"the network returned {returned} for {len(x)} inputs",
            expected=f"logits of shape ({len(x)}, classes)",
        )
    if logits.isnan().any():
        raise InputError("the network returned NaN logits", todo="check its weights and its training before judging it")
    return logits
