"""Time of a report: reading records, making the page, and opening it in Chromium.

    python benchmarks/report.py [--json FILE] [--repeats N]

Reading and making the page are measured in seconds of processor time, and as a multiple of the time that Python's
``json`` takes to parse the same lines in the same run. Opening is the browser's own time until the page has loaded; it
needs playwright and an installed Chromium, and is skipped without them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measuring
import numpy as np

from variate.records.bits import pack
from variate.records.file import Records
from variate.records.schema import Claim, Example, NetworkLine, Record, RunLine
from variate.report.page import page_text

STUDY = Path(__file__).parent.parent / "docs" / "results" / "scales" / "records.jsonl.gz"
EXAMPLES, DRAWS = 10_000, 160
REPEATS = 3
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")
ASKED = 1000.0  # target: milliseconds until the page of 10,000 examples has loaded


def ten_thousand(path: Path) -> Path:
    """Records of 10,000 examples: a random network and a deterministic one, without and under attack."""
    store, generator = Records(path), np.random.default_rng(0)
    facts = {"data": "digits", "shape": [1, 8, 8], "examples": EXAMPLES, "title": "many", "versions": {}, "seed": 0}
    store.add([RunLine(command="c", date="2026-01-01", machine="m", **facts)])
    for name, draws in (("random", DRAWS), ("deterministic", 1)):
        made = {"architecture": "mlp", "defense": name, "objective": "cross-entropy", "parameters": 1, "epochs": 1}
        more = {"seed": 0, "fingerprint": name, "training": {}, "validation": None, "seconds": 1.0}
        store.add([NetworkLine(network=name, random=draws > 1, **made, **more)])
        for attack, share in (("clean", 0.9), ("pgd", 0.4)):
            store.add([*claimed(name, attack, share, draws, generator)])
    return path


def claimed(network: str, attack: str, share: float, draws: int, generator: np.random.Generator) -> Iterator[Record]:
    """One claim and its examples."""
    budget = None if attack == "clean" else "linf:0.1"
    claim = Claim(
        network=network, fingerprint=network, inputs="i", attack=attack, options={}, settings={}, seed=0,
        modality="image", allowed="a", drawn="keys", budget=budget,
        draws=int(budget is not None), verdict_draws=draws, deployments=["single", "survive-10"],
    )  # fmt: skip
    chances = generator.beta(8 * share, 8 * (1 - share), EXAMPLES)
    right = generator.random((draws, EXAMPLES)) < chances
    yield claim
    for i in range(EXAMPLES):
        yield Example(
            claim=claim.id, example=i, label=0, answers={"single": pack(right[:, i])}, distance=0.1, forwards=1,
            backwards=1, confidences={"single": round(float(chances[i]), 4)},
        )  # fmt: skip


def measured(path: Path, repeats: int) -> dict[str, Any]:
    """Seconds of processor time, medians; the page's size; milliseconds until it has loaded."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = data.splitlines()
    seconds: dict[str, list[float]] = {"json": [], "read": [], "page": []}
    for _ in range(repeats):
        seconds["json"].append(clocked(lambda: [json.loads(line) for line in lines])[0])
        spent, records = clocked(lambda: Records(path))
        seconds["read"].append(spent)
        spent, page = clocked(lambda records=records: page_text([records]))
        seconds["page"].append(spent)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    examples = sum(map(len, records.examples.values()))
    return {"lines": len(lines), "examples": examples, **median, "MB": len(page.encode()) / 1e6, "open": opened(page)}


def clocked(make: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time, and the result."""
    start = time.process_time()
    made = make()
    return time.process_time() - start, made


def opened(page: str, visits: int = 5) -> float | None:
    """Median milliseconds until a page has loaded; None without a browser."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if found is None:
        return None
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        times = []
        for _ in range(visits):
            visit = browser.new_page()
            visit.goto(path.as_uri())
            times.append(visit.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            visit.close()
        browser.close()
    return statistics.median(times)


def main() -> None:
    """Measure, print the results, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    facts = measuring.facts()
    measuring.announce(facts)
    with tempfile.TemporaryDirectory() as folder:
        files = {"the largest committed study": STUDY, "10,000 examples": ten_thousand(Path(folder) / "many.jsonl")}
        cases = {name: measured(path, options.repeats) for name, path in files.items()}
    rows = [
        [name, *(f"{value:.3g}" if value is not None else "-" for value in c.values())] for name, c in cases.items()
    ]
    measuring.table(["", *next(iter(cases.values()))], rows)
    measuring.write(options.json, facts, {"asked": {"10,000 examples": ASKED}, "cases": cases})


if __name__ == "__main__":
    main()
