"""What a loader tells beside its batches: that there are any, how many examples they hold, and some of these."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler
from torch.utils.data.distributed import DistributedSampler

from variate.datasets.batches import Batches
from variate.errors import UsageError
from variate.training.batch import pair_of, size_of
from variate.training.validation import chosen

EXPECTED = "a DataLoader, or a list of (x, y) batches"
WHOLE = (RandomSampler, SequentialSampler, DistributedSampler)  # samplers of all examples of a data set


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


def sample_of(loader: Any, count: int) -> tuple[Tensor, Tensor] | None:
    """Some examples of a loader, the same ones at every call; None if it has no data set to pick single ones from."""
    if isinstance(loader, Batches):
        rows = chosen(len(loader.x), count)
        return loader.x[rows], loader.y[rows]
    if type(getattr(loader, "sampler", None)) not in WHOLE or isinstance(loader.dataset, IterableDataset):
        return None
    with torch.random.fork_rng(devices=[]):
        rows = chosen(len(loader.dataset), count)
        return pair_of(loader.collate_fn([loader.dataset[int(row)] for row in rows]))


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
