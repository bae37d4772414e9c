"""The memory of draws under a Python that counts references otherwise, as 3.14 does, which borrows them."""

import sys

import pytest
import torch

from variate.random.draw import buffers
from variate.random.draw.buffers import Memory


@pytest.fixture(params=[0, 1])
def borrowed(request, monkeypatch):
    """How many references fewer Python counts."""
    counted = sys.getrefcount

    class Borrowing:
        @staticmethod
        def getrefcount(tensor):
            return counted(tensor) - 1 - request.param  # one for the argument of this function

    monkeypatch.setattr(buffers, "sys", Borrowing)
    monkeypatch.setattr(buffers, "ALONE", buffers._alone())


def addresses(memory, times, kept):
    found = []
    for _ in range(times):
        tensors = memory.take("purpose", [torch.empty(50)])
        found.append(tensors[0].data_ptr())
        kept.extend(tensors)
        del tensors
    return found


@pytest.mark.usefixtures("borrowed")
def test_free_memory_is_used_again_and_held_memory_is_not():
    assert len(set(addresses(Memory(), 3, kept=[]))) == 3
    memory = Memory()
    first = memory.take("purpose", [torch.empty(50)])[0].data_ptr()
    assert memory.take("purpose", [torch.empty(50)])[0].data_ptr() == first


def test_nothing_is_used_again_where_counts_tell_nothing(monkeypatch):
    monkeypatch.setattr(buffers, "_references", lambda tensors: [7] * len(tensors))
    monkeypatch.setattr(buffers, "ALONE", buffers._alone())
    assert buffers.ALONE is None
    memory = Memory()
    first = memory.take("purpose", [torch.empty(50)])[0]
    assert memory.take("purpose", [torch.empty(50)])[0] is not first
