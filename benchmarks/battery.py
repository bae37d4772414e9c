"""Write the words behind the noise as one raw binary stream, for a public battery of randomness tests.

    python benchmarks/battery.py | dieharder -a -g 200 > benchmarks/results/dieharder.txt

The stream consists of draws of a small network, one after another: 64 tensors of 4,096 elements under each key of the
search stream. The battery thus sees what a user's network sees: many short streams instead of one long one.
"""

from __future__ import annotations

import sys

import torch

from variate.random.keys import Stream, hash_words
from variate.random.noise import counter

TENSORS, ELEMENTS = 64, 4096


def main() -> None:
    """Write words until the reader has enough."""
    torch.set_num_threads(1)
    uids = [hash_words("parameter", f"layer{i}.weight") for i in range(TENSORS)]
    stream = Stream("search", 0)
    try:
        while True:
            key = stream.next()
            for uid in uids:
                sys.stdout.buffer.write(counter.noise("bits", key, uid, (ELEMENTS,)).numpy().tobytes())
    except BrokenPipeError:
        sys.stderr.close()  # the reader has enough and has closed the pipe


if __name__ == "__main__":
    main()
