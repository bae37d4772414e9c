"""Build the page "What randomness costs" from the committed measurements alone.

    python benchmarks/page.py > docs/what-it-costs.md

The command beside each table makes its measurement.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
OURS = "variate"
PLAIN = "deterministic"


def read(name: str) -> dict[str, Any]:
    """One file of measurements."""
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return results


def machine(results: dict[str, Any]) -> str:
    """The date and the machine, in one line."""
    facts = results["machine"]
    versions = f"Python {facts['python']}, torch {facts['torch']}"
    return f"{facts['date']}, {facts['cpu']}, {facts['threads']} threads, {versions}, sampler: {facts['sampler']}"


def heading(title: str, name: str, results: dict[str, Any]) -> list[str]:
    """The head of a section: its title, its command, the date and the machine."""
    return [f"## {title}", "", f"`python benchmarks/{name}.py` ({machine(results)})", ""]


def interval(estimate: dict[str, float | None]) -> str:
    """A ratio with its interval."""
    low, high = (f"{v:.3f}" if v is not None else "infinite" for v in (estimate["low"], estimate["high"]))
    return f"{estimate['value']:.3f} [{low}, {high}]"


def table(columns: list[str], rows: list[list[str]], first: str = "measured") -> list[str]:
    """A Markdown table of right-aligned numbers; ``first`` heads the column of what was measured."""
    lines = ["| " + " | ".join([first, *columns]) + " |", "|:--" + "|--:" * len(columns) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def overhead() -> list[str]:
    """Forward and training step, compared with other libraries."""
    results = read("overhead")
    cases = list(results["cases"])
    lines = heading("Against the deterministic network", "overhead", results)
    for kind in results["cases"][cases[0]]:
        measured = {case: results["cases"][case][kind]["sides"] for case in cases}
        names = list(dict.fromkeys(name for case in cases for name in measured[case] if name != PLAIN))
        lines += [f"{kind.capitalize()}, ratio of medians with its 95 % interval:", ""]
        rows = [[name, *(_ratio(measured[case].get(name, {})) for case in cases)] for name in names]
        targets = ["target", *(f"{measured[case][OURS]['target']:.2f}" for case in cases)]
        lines += table([*cases], [*rows, targets])
    lines += [
        "What each library costs above the deterministic network, as a multiple of what Variate costs above it",
        "(target: at least 4):",
        "",
    ]
    rows = []
    for kind in results["cases"][cases[0]]:
        measured = {case: results["cases"][case][kind]["sides"] for case in cases}
        for name in dict.fromkeys(n for case in cases for n in measured[case] if n not in (PLAIN, OURS)):
            rows.append([f"{name}, {kind}", *(_excess(measured[case].get(name, {})) for case in cases)])
    lines += table([*cases], rows)
    notes = {
        f"- {name}, {case}: {row.get('cannot') or row['note']}"
        for case in cases
        for kind in results["cases"][case].values()
        for name, row in kind["sides"].items()
        if row.get("cannot") or row.get("note")
    }
    lines += ["What the other libraries leave out or cannot do:", "", *sorted(notes), ""]
    return lines


def _ratio(row: dict[str, Any]) -> str:
    return interval(row["ratio"]) if "ratio" in row else "cannot"


def _excess(row: dict[str, Any]) -> str:
    return f"{row['excess']['value']:.1f}" if row.get("excess", {}).get("value") is not None else "-"


def floor() -> list[str]:
    """A lower bound for the training step."""
    results = read("floor")
    lines = heading("A lower bound for the training step", "floor", results)
    lines += [
        "The floor is the deterministic training step plus two bare calls of the sampler and an optimizer over as many",
        "additional tensors. Where it lies above the target, no further work outside the sampler could reach it:",
        "",
    ]
    rows = [[case, interval(sides["floor"]["ratio"]), _ratio(sides[OURS])] for case, sides in results["cases"].items()]
    return lines + table(["floor", OURS], rows, first="training step, ratio to deterministic")


def draws() -> list[str]:
    """Many draws at once."""
    results = read("draws")
    lines = heading("Many draws at once", "draws", results)
    lines += ["Input gradient averaged over S draws, against S deterministic passes:", ""]
    rows = []
    for case, sides in results["gradients"].items():
        target, group = sides[OURS].get("target"), sides[OURS]["group"]
        cells = [_ratio(sides["loop"]), _ratio(sides[OURS]), str(group), f"{target:.2f}" if target else ""]
        rows.append([case, *cells])
    lines += table(["loop", OURS, "draws in a group", "target of variate"], rows)
    lines += ["Per-example draws, against one deterministic forward pass:", ""]
    rows = [[case, _ratio(sides["per example"])] for case, sides in results["per example"].items()]
    return lines + table(["ratio"], rows)


def large() -> list[str]:
    """Networks that people use."""
    results = read("large")
    lines = heading("On large networks", "large", results)
    lines += [
        f"Batch {results['batch']}, random weights; one of {results['draws']} draws of an averaged input gradient, and",
        "peak memory of training with plain SGD, as ratios to the deterministic network:",
        "",
    ]
    rows = [
        [f"{case} ({found['parameters']:,} parameters), {side}", *(interval(found[part][side]) for part in parts),
         f"{found['memory'][side]:.2f}"]
        for parts in [("forward", "step", "gradient")]
        for case, found in results["cases"].items() for side in found["memory"] if side != "MB"
    ]  # fmt: skip
    return lines + table(["forward", "training step", "gradient of one draw", "memory"], rows)


def attacks() -> list[str]:
    """Attacks and verdicts, against plain loops and other libraries."""
    results = read("attacks")
    lines = heading("Attacks and verdicts", "attacks", results)
    measured = {
        "PGD with 10 steps on the deterministic LeNet, batch 128": results["deterministic"],
        **{f"PGD with 20 averaged draws, random {case}": one for case, one in results["random"].items()},
        "The judge at 100 draws, LeNet, batch 256": results["judge"],
        "One gradient over 5 draws, ResNet-18, batch 32": results["oracle"],
    }
    for title, one in measured.items():
        rows = [
            [side, _ratio(row), f"{row['asked']:.2f}" if "asked" in row else ""] for side, row in one["sides"].items()
        ]
        lines += [f"{title}:", "", *table([f"ratio to {one['against']}", "target"], rows)]
    return lines


def sampling() -> list[str]:
    """The noise against a pass over memory."""
    results = read("sampling")
    lines = heading("The noise alone", "sampling", results)
    lines += [
        f"{results['weights']:,} Gaussians made and applied, against one pass that reads as much and writes as much",
        "(target for Variate: at most 2):",
        "",
    ]
    sides = list(next(iter(results["threads"].values()))["sides"])
    rows = [[side, *(_sampled(measured["sides"][side]) for measured in results["threads"].values())] for side in sides]
    return lines + table([*(f"threads: {threads}" for threads in results["threads"])], rows)


def _sampled(row: dict[str, Any]) -> str:
    nanoseconds = f"{row['ns per weight']:.2f} ns per weight"
    return f"{row['ratio']['value']:.2f} ({nanoseconds})" if "ratio" in row else nanoseconds


def memory() -> list[str]:
    """Peak memory of training."""
    results = read("memory")
    lines = heading("Memory", "memory", results)
    lines += [
        f"{results['case']}, peak memory of training with plain SGD (target for Variate: at most 3 tensors):",
        "",
    ]
    rows = [
        [
            side,
            f"{row['MB']:.0f}",
            f"{row['above MB']:.0f}",
            f"{row['tensors']:.2f} [{row['least']:.2f}, {row['most']:.2f}]",
        ]
        for side, row in results["sides"].items()
    ]
    return lines + table(["peak, MB", "above deterministic, MB", "in parameter-sized tensors"], rows)


def report() -> list[str]:
    """Reading records, making a report and opening it."""
    results = read("report")
    lines = heading("Reports", "report", results)
    lines += [
        "Seconds of processor time (in brackets: as a multiple of the time that Python's `json` takes to parse the",
        "same lines), and the time until Chromium has loaded the page:",
        "",
    ]
    rows = []
    for name, case in results["cases"].items():
        spent = [f"{case[part]:.2f} s ({case[part] / case['json']:.1f})" for part in ("read", "page")]
        loaded = "-" if case["open"] is None else f"{case['open']:.0f} ms"
        target = results["asked"].get(name)
        limit = "" if target is None else f"{target:.0f} ms"
        rows.append([name, f"{case['examples']:,}", *spent, f"{case['MB']:.2f} MB", loaded, limit])
    measured = ["reading the records", "making the page", "page size", "loading the page", "loading, target"]
    return lines + table(["example records", *measured], rows)


def serving() -> list[str]:
    """The cost of a request."""
    results = read("serving")
    lines = heading("Serving", "serving", results)
    lines += [
        "The time of a request, and its ratio to the deterministic network without `Served`; for exported graphs, the",
        "ratio to the deterministic graph in ONNX:",
        "",
    ]
    cases = {
        name: {side: row for side, row in case.items() if side != "rounds"} for name, case in results["cases"].items()
    }
    rows = [
        [side, *(f"{case[side]['ms']:.2f} ms, {interval(case[side]['ratio'])}" for case in cases.values())]
        for side in next(iter(cases.values()))
    ]
    return lines + table([*cases], rows)


def certify() -> list[str]:
    """The cost of a certificate."""
    results = read("certify")
    lines = heading("Certificates", "certify", results)
    lines += [
        f"{results['draws']:,} votes on {results['examples']} images, LeNet. A plain loop adds noise image by image;",
        "the code of Cohen et al. takes batches of 1,000, and batches of 100 suit these cores best:",
        "",
    ]
    rows = [
        [side, _ratio(row), interval(row["to loop"]), " and ".join(f"{target:.2f}" for target in row.get("asked", ()))]
        for side, row in results["sides"].items()
    ]
    return lines + table(["ratio to deterministic passes", "ratio to the loop of 1,000", "targets"], rows)


def page() -> str:
    """The whole page."""
    head = [
        "# What randomness costs",
        "",
        "Every number is a ratio measured within one run, in which the compared variants take turns.",
        "`python benchmarks/page.py` prints this page from `benchmarks/results/`. Targets are shown beside the",
        "numbers, met or not. An interval covers one process only: the memory layout of a process shifts a forward",
        "pass by a few percent.",
        "",
    ]
    parts = [overhead, floor, draws, attacks, certify, sampling, memory, serving, report]
    if (RESULTS / "large.json").exists():  # it takes an hour of one core
        parts.insert(1, large)
    return "\n".join([*head, *(line for part in parts for line in part())]).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
