"""The compiled sampler: noise made and applied to many tensors in one pass over memory, without torch's ABI.

Threads come from torch's own OpenMP runtime, found through torch's library, so that the process has one thread pool.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from variate.random.noise.kinds import KINDS, Kind

LIBRARY = Path(__file__).with_name("noise.so")
CHUNK, LARGE_CHUNK = 2**12, 2**16  # elements that a thread takes at a time: short chunks balance small jobs,
LARGE = 2**20  # long chunks help the processor's prefetcher in jobs of at least this many elements
THREADED = 2**16  # elements below which waking a thread costs more than it saves
OPERATIONS = {"noise": 0, "draw": 1, "gradient": 2}
PLAIN = (Tensor, torch.nn.Parameter)  # the only types whose memory is what it seems: see ``is_plain``
SWITCH = "VARIATE_SAMPLER"  # "torch" turns the compiled sampler off

Operation = Literal["noise", "draw", "gradient"]
Word = ctypes.c_int64
Passed = tuple[Any, Any]  # checked addresses of means and of scales, as columns of a job


class _Job(ctypes.Structure):
    """``struct job`` of noise.c."""

    _fields_ = (
        *((name, Word) for name in ("op", "sites", "chunks", "key", "chunk")),
        *(
            (name, ctypes.POINTER(Word))
            for name in ("uid", "kind", "count", "first", "mean", "scale", "out", "positive", "inner", "groups")
        ),
        ("next", Word),
    )


@dataclass(frozen=True)
class Row:
    """What the sampler knows about one tensor, apart from its memory.

    Attributes:
        uid: number of the tensor in the counter.
        kind: kind of noise.
        count: number of elements.
        positive: whether the scale goes through softplus.
        inner: element i has the scale i // inner % groups; 0: every element has its own.
        groups: number of scales; see ``inner``.
    """

    uid: int
    kind: Kind
    count: int
    positive: bool = False
    inner: int = 0
    groups: int = 1


class Table:
    """Many tensors that are always sampled together.

    Args:
        rows: one for each tensor.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._elements = sum(row.count for row in rows)
        self._counts = [row.count for row in rows], [row.groups if row.inner else row.count for row in rows]
        chunk = CHUNK if self._elements < LARGE else LARGE_CHUNK
        chunks = [-(-row.count // chunk) for row in rows]
        self._columns = {  # the job points into them
            "uid": _column([row.uid - 2**64 if row.uid >= 2**63 else row.uid for row in rows]),
            "kind": _column([KINDS.index(row.kind) for row in rows]),
            "count": _column([row.count for row in rows]),
            "first": _column([sum(chunks[:i]) for i in range(len(rows))]),
            "positive": _column([row.positive for row in rows]),
            "inner": _column([row.inner for row in rows]),
            "groups": _column([row.groups for row in rows]),
        }
        self._job = _Job(sites=len(rows), chunks=sum(chunks), chunk=chunk, **self._columns)
        self._outs: tuple[list[int], list[tuple[int, int]], Any] = ([], [], None)

    def passed(self, means: Sequence[Tensor], scales: Sequence[Tensor]) -> Passed:
        """The addresses of means and scales, checked: for ``run``, as long as the tensors stay what they are.

        Raises:
            TypeError: as ``run``.
        """
        elements, groups = self._counts
        return _addresses(means, elements), _addresses(scales, groups)

    def run(
        self,
        operation: Operation,
        key: int,
        means: Sequence[Tensor],
        scales: Sequence[Tensor],
        outs: Sequence[Tensor],
        passed: Passed | None = None,
    ) -> None:
        """Fill ``outs``. Every tensor is plain float32 memory on the CPU; a row without elements is skipped.

        Args:
            operation: ``draw``: out = mean + s * z; ``gradient``: out = mean * z * ds/dscale, where ``mean`` is the
                incoming gradient; ``noise``: out = z, and the others are not read.
            key: key of the draw.
            means: one tensor per row.
            scales: one tensor per row; s is its softplus where the row is ``positive``.
            outs: one tensor per row.
            passed: what ``passed`` returned for these scales and, where they are not gradients, these means.

        Raises:
            TypeError: for a tensor that is not plain memory of the row's size: no other address reaches the library.
        """
        library, lanes, parallel = _library()
        known, facts, job_outs = self._outs
        ids = [id(out) for out in outs]
        if job_outs is None or ids != known or facts != [(out.data_ptr(), out.nbytes) for out in outs]:
            job_outs = _addresses(outs, self._counts[0])  # new memory: the caller may reuse it
            self._outs = ids, [(out.data_ptr(), out.nbytes) for out in outs], job_outs
        job_means = job_scales = job_outs
        if operation != "noise":
            job_scales = passed[1] if passed else _addresses(scales, self._counts[1])
            job_means = passed[0] if passed and operation == "draw" else _addresses(means, self._counts[0])
        threads = torch.get_num_threads() if self._elements >= THREADED else 1
        job = _Job.from_buffer_copy(self._job)  # a copy for this call: threads may draw at the same time
        job.op, job.key = OPERATIONS[operation], key
        job.mean, job.scale, job.out = job_means, job_scales, job_outs
        library.variate_sample(ctypes.byref(job), lanes, parallel, threads)


def available() -> bool:
    """Whether the compiled sampler is installed and not turned off."""
    return os.environ.get(SWITCH) != "torch" and _load() is not None


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is an ordinary dense one over allocated memory that holds all of its elements, if contiguous."""
    return (
        type(tensor) in PLAIN
        and tensor.layout is torch.strided
        and torch._C._has_storage(tensor)
        and not tensor.is_neg()
        and (not tensor.numel() or tensor.data_ptr() != 0)
        and is_allocated(tensor)
    )


def is_allocated(tensor: Tensor) -> bool:
    """Whether a tensor's memory, if it should have any, is there; torch's own operations do not check."""
    if not torch._C._has_storage(tensor) or not tensor.numel() or not tensor.is_contiguous():
        return True
    wrapped = type(tensor) not in PLAIN or not tensor.is_cpu or torch._C._are_functorch_transforms_active()
    if not wrapped and tensor.data_ptr() == 0:  # such as a functional tensor outside its transform
        return False
    return tensor.untyped_storage().nbytes() >= (tensor.storage_offset() + tensor.numel()) * tensor.itemsize


def fill(kind: Kind, key: int, uid: int, out: Tensor) -> None:
    """Fill a contiguous float32 tensor on the CPU with noise."""
    _single(kind, uid, out.numel()).run("noise", key, [out], [out], [out])


@lru_cache(maxsize=64)  # the coins of a batch use one tensor with many keys
def _single(kind: Kind, uid: int, count: int) -> Table:
    return Table([Row(uid, kind, count)])


def describe() -> str:
    """A description of the active sampler."""
    if not available():
        off = os.environ.get(SWITCH) == "torch"
        why = f"{SWITCH}=torch" if off else "it was built without a C compiler"
        return f"plain torch ({why}): the same noise, several times slower"
    _, lanes, parallel = _library()
    threads = "torch's OpenMP threads" if parallel else "one thread"
    return f"native, {32 * lanes}-bit vectors, {threads}"


@cache
def _load() -> Any | None:
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    library.variate_sample.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
    library.variate_sample.restype = None
    return library


@cache
def _library() -> tuple[Any, int, ctypes.c_void_p | None]:
    """The library, the number of vector lanes on this processor, and the function that runs its threads."""
    library = _load()
    if library is None:
        raise RuntimeError(f"{LIBRARY} does not exist or cannot be loaded")
    return library, library.variate_lanes(), _parallel()


@cache
def _parallel() -> ctypes.c_void_p | None:
    """GOMP_parallel of the OpenMP runtime that torch itself uses, looked up through torch's library."""
    folder = Path(torch.__file__).parent / "lib"
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            return ctypes.cast(ctypes.CDLL(str(folder / name)).GOMP_parallel, ctypes.c_void_p)
        except (OSError, AttributeError):
            continue
    return None


def _column(values: Sequence[int]) -> Any:
    return (Word * len(values))(*values)


def _addresses(tensors: Sequence[Tensor], counts: Sequence[int]) -> Any:
    """The addresses of tensors, each of which the library can read and write: its count of float32 numbers on the CPU.

    Everything else may have no memory of its own (fake, meta, functional and wrapper tensors, DTensor, a storage of
    size 0) or memory that means something else (other devices and layouts, lazy negation). This is the only gate.
    """
    addresses = [
        tensor.data_ptr()
        if type(tensor) in PLAIN
        and tensor.dtype is torch.float32
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and torch._C._has_storage(tensor)
        and tensor.numel() == count
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and tensor.untyped_storage().nbytes() >= (tensor.storage_offset() + count) * 4
        else None
        for tensor, count in zip(tensors, counts, strict=True)
    ]
    if any(address is None or (count and not address) for address, count in zip(addresses, counts, strict=True)):
        raise TypeError("the compiled sampler takes plain contiguous float32 tensors on the CPU, of its rows' sizes")
    return (Word * len(addresses))(*[address or 0 for address in addresses])
