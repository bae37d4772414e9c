"""Response time of the command line: the median wall time of fresh processes, compared with a bare interpreter.

Usage: ``python benchmarks/startup.py``
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9
COMMANDS = {
    "bare interpreter": ["-c", "pass"],
    "import variate": ["-c", "import variate"],
    "variate --help": ["-m", "variate", "--help"],
    "variate list attacks": ["-m", "variate", "list", "attacks"],
}


def median_seconds(words: list[str]) -> float:
    """Median over fresh processes, after one that warms the disk cache."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


if __name__ == "__main__":
    for name, words in COMMANDS.items():
        print(f"{name:24} {median_seconds(words):.3f} s")
