"""What a loader tells about an epoch before it starts: that there are batches, and how many examples they hold."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset
from torch.utils.data.distributed import DistributedSampler

from variate.datasets.batches import Batches
from variate.errors import UsageError
from variate.training.batch import size_of

EXPECTED = "a DataLoader, or a list of (x, y) batches"


def check_loader(loader: Any) -> None:
    """Check that a loader has a length and at least one batch. Raises ``UsageError``."""
    try:
        batches = len(loader)
    except (TypeError, NotImplementedError):
        raise UsageError(
            "the loader has no length, and the learning rate follows the number of steps",
            expected=EXPECTED,
            todo="give its data set or its sampler a __len__, or list its batches",
        ) from None
    if batches < 1:
        raise UsageError(
            "the loader has no batches, so there is nothing to learn from",
            expected=EXPECTED,
            todo="look at the length of the data set, the sampler and drop_last",
        )


def examples_of(loader: Any) -> int:
    """Number of examples in an epoch of all processes; a loader of unknown size is iterated to count them."""
    if isinstance(loader, Batches):
        return len(loader.x)
    data = getattr(loader, "dataset", None)
    if isinstance(data, IterableDataset) and hasattr(data, "__len__"):
        return len(data)
    mapped = isinstance(loader, DataLoader) and not isinstance(data, IterableDataset)
    if mapped and type(loader.batch_sampler) is BatchSampler:
        chosen: Any = loader.batch_sampler
        sampler = chosen.sampler
        examples = len(sampler)
        if chosen.drop_last:
            examples -= examples % chosen.batch_size
        return examples * (sampler.num_replicas if isinstance(sampler, DistributedSampler) else 1)
    with torch.random.fork_rng(devices=[]):
        if mapped and loader.batch_sampler is not None:
            return sum(len(batch) for batch in loader.batch_sampler)
        return sum(size_of(batch) for batch in loader)
