"""The objects in a map of labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from variate.metrics.parts.problems import Whole


def objects_of(labels: Whole) -> Iterator[Whole]:
    """The positions, as indices in the flat map, of each connected region of one class other than 0.

    Neighbors are those above, below, left and right, or before and after in a sequence.
    """
    from scipy import ndimage

    for k in np.unique(labels[labels > 0]):
        regions, count = ndimage.label(labels == k)
        for number in range(1, count + 1):
            yield (regions == number).reshape(-1).nonzero()[0]
