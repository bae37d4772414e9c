"""Torchvision beside a torch without CUDA, where its wheel's operators do not load and it does not import without them.

Its Python code, and with it timm and torchattacks, needs only that two operators are declared; nothing calls them.
"""

from importlib.util import find_spec
from pathlib import Path

import torch

SCHEMAS = ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",)
SCHEMAS += (SCHEMAS[0].replace("nms", "qnms"),)


def declare_operators() -> torch.library.Library | None:
    """Declare ``torchvision::nms`` and ``torchvision::qnms`` where torchvision is installed and cannot do so itself.

    Returns:
        The declarations, which last as long as this object, or None where there is nothing to declare.
    """
    torchvision = find_spec("torchvision")
    if torchvision is None or torchvision.origin is None:
        return None
    for file in Path(torchvision.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(file)
        except OSError:  # linked against the libraries of CUDA
            continue
        return None
    declared = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        declared.define(schema)
    return declared
