"""The page "What randomness costs", from the committed measurements alone.

    python benchmarks/page.py > docs/what-it-costs.md

Each measurement is made by the command that stands beside its table.
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
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def machine(found: dict[str, Any]) -> str:
    """Where and when, in one line."""
    facts = found["machine"]
    versions = f"Python {facts['python']}, torch {facts['torch']}"
    return f"{facts['date']}, {facts['cpu']}, {facts['threads']} threads, {versions}, sampler: {facts['sampler']}"


def heading(title: str, name: str, found: dict[str, Any]) -> list[str]:
    """What begins a section: its title, its command, where and when."""
    return [f"## {title}", "", f"`python benchmarks/{name}.py` ({machine(found)})", ""]


def interval(estimate: dict[str, float | None]) -> str:
    """A ratio with its interval."""
    low, high = (f"{v:.3f}" if v is not None else "infinite" for v in (estimate["low"], estimate["high"]))
    return f"{estimate['value']:.3f} [{low}, {high}]"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "|:--" + "|--:" * (len(head) - 1) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def overhead() -> list[str]:
    """Forward and training step, beside the peers."""
    found = read("overhead")
    cases = list(found["cases"])
    lines = heading("Against the deterministic network", "overhead", found)
    for kind in found["cases"][cases[0]]:
        measured = {case: found["cases"][case][kind]["sides"] for case in cases}
        names = list(dict.fromkeys(name for case in cases for name in measured[case] if name != PLAIN))
        lines += [f"{kind.capitalize()}, ratio of medians with its 95 % interval:", ""]
        rows = [[name, *(_ratio(measured[case].get(name, {})) for case in cases)] for name in names]
        asked = ["asked of variate", *(f"{measured[case][OURS]['target']:.2f}" for case in cases)]
        lines += table(["", *cases], [*rows, asked])
    lines += ["A network's excess over 1 in units of ours; 4 was asked:", ""]
    rows = []
    for kind in found["cases"][cases[0]]:
        measured = {case: found["cases"][case][kind]["sides"] for case in cases}
        for name in dict.fromkeys(n for case in cases for n in measured[case] if n not in (PLAIN, OURS)):
            rows.append([f"{name}, {kind}", *(_excess(measured[case].get(name, {})) for case in cases)])
    lines += table(["", *cases], rows)
    notes = {
        f"- {name}, {case}: {row.get('cannot') or row['note']}"
        for case in cases
        for kind in found["cases"][case].values()
        for name, row in kind["sides"].items()
        if row.get("cannot") or row.get("note")
    }
    lines += ["What the others leave out or cannot do:", "", *sorted(notes), ""]
    return lines


def _ratio(row: dict[str, Any]) -> str:
    return interval(row["ratio"]) if "ratio" in row else "cannot"


def _excess(row: dict[str, Any]) -> str:
    return f"{row['excess']['value']:.1f}" if row.get("excess", {}).get("value") is not None else "-"


def floor() -> list[str]:
    """How far down a training step could go."""
    found = read("floor")
    lines = heading("How far down it could go", "floor", found)
    lines += [
        "The floor is the deterministic training step with two bare calls of the sampler and an optimiser of as many",
        "tensors more. Where it lies above what was asked, no further work around the sampler could reach that:",
        "",
    ]
    rows = [[case, interval(sides["floor"]["ratio"]), _ratio(sides[OURS])] for case, sides in found["cases"].items()]
    return lines + table(["training step, ratio to deterministic", "floor", OURS], rows)


def draws() -> list[str]:
    """Many draws at once."""
    found = read("draws")
    lines = heading("Many draws at once", "draws", found)
    lines += ["Input gradient averaged over S draws, against S deterministic passes:", ""]
    rows = []
    for case, sides in found["gradients"].items():
        cells = [_ratio(sides.get(how, {})) for how in ("loop", "vmap", "threads", "auto")]
        target = sides["auto"].get("target")
        rows.append([case, *cells, sides["auto"]["chosen"], f"{target:.2f}" if target else ""])
    lines += table(["", "loop", "vmap", "threads", "auto", "auto took", "asked of auto"], rows)
    lines += ["Per-example draws, against one deterministic forward pass:", ""]
    return lines + table(["", "ratio"], [[c, _ratio(s["per example"])] for c, s in found["per example"].items()])


def attacks() -> list[str]:
    """Attacks and verdicts, against plain loops and other libraries."""
    found = read("attacks")
    lines = heading("Attacks and verdicts", "attacks", found)
    measured = {
        "PGD with 10 steps on the deterministic LeNet, batch 128": found["deterministic"],
        **{f"PGD with 20 averaged draws, random {case}": one for case, one in found["random"].items()},
        "The judge at 100 draws, LeNet, batch 256": found["judge"],
        "One gradient over 5 draws, ResNet-18, batch 32": found["oracle"],
    }
    for title, one in measured.items():
        rows = [
            [side, _ratio(row), f"{row['asked']:.2f}" if "asked" in row else ""] for side, row in one["sides"].items()
        ]
        lines += [f"{title}:", "", *table(["", f"ratio to {one['against']}", "asked"], rows)]
    return lines


def sampling() -> list[str]:
    """Noise at the speed of memory."""
    found = read("sampling")
    lines = heading("The noise alone", "sampling", found)
    lines += [
        f"{found['weights']:,} Gaussians made and applied, against one pass that reads as much and writes as much;",
        "",
    ]
    lines[-2] += " at most 2 was asked of ours:"
    sides = list(next(iter(found["threads"].values()))["sides"])
    rows = [[side, *(_sampled(measured["sides"][side]) for measured in found["threads"].values())] for side in sides]
    return lines + table(["", *(f"threads: {threads}" for threads in found["threads"])], rows)


def _sampled(row: dict[str, Any]) -> str:
    nanoseconds = f"{row['ns per weight']:.2f} ns a weight"
    return f"{row['ratio']['value']:.2f} ({nanoseconds})" if "ratio" in row else nanoseconds


def memory() -> list[str]:
    """Peak memory of training."""
    found = read("memory")
    lines = heading("Memory", "memory", found)
    lines += [
        f"{found['case']}, peak of a process that trains with plain SGD; at most 3 tensors was asked of ours:",
        "",
    ]
    rows = [
        [
            side,
            f"{row['MB']:.0f}",
            f"{row['above MB']:.0f}",
            f"{row['tensors']:.2f} [{row['least']:.2f}, {row['most']:.2f}]",
        ]
        for side, row in found["sides"].items()
    ]
    return lines + table(["", "peak, MB", "above deterministic, MB", "in parameter-sized tensors"], rows)


def report() -> list[str]:
    """Reports: read, made, opened."""
    found = read("report")
    lines = heading("Reports", "report", found)
    lines += [
        "Seconds of processor time, how often as long that is as Python's `json` takes to parse the same lines alone,",
        "and the time until Chromium has loaded the page:",
        "",
    ]
    rows = []
    for name, case in found["cases"].items():
        spent = [f"{case[part]:.2f} s ({case[part] / case['json']:.1f})" for part in ("read", "page")]
        loaded = "-" if case["open"] is None else f"{case['open']:.0f} ms"
        asked = found["asked"].get(name)
        limit = "" if asked is None else f"{asked:.0f} ms"
        rows.append([name, f"{case['examples']:,}", *spent, f"{case['MB']:.2f} MB", loaded, limit])
    heads = ["", "example records", "records read", "page made", "page", "page loaded", "asked of loading"]
    return lines + table(heads, rows)


def serving() -> list[str]:
    """What a request costs."""
    found = read("serving")
    lines = heading("Serving", "serving", found)
    lines += [
        "The time of a request, and its ratio to the deterministic network without `Served`; of an exported graph, to",
        "the deterministic one in ONNX:",
        "",
    ]
    cases = {
        name: {side: row for side, row in case.items() if side != "rounds"} for name, case in found["cases"].items()
    }
    rows = [
        [side, *(f"{case[side]['ms']:.2f} ms, {interval(case[side]['ratio'])}" for case in cases.values())]
        for side in next(iter(cases.values()))
    ]
    return lines + table(["", *cases], rows)


def page() -> str:
    """The whole page."""
    head = [
        "# What randomness costs",
        "",
        "Every number is a ratio measured in one run, its sides in turns; `python benchmarks/page.py` prints this page",
        "from `benchmarks/results/`. Where a target was set it stands beside the number, met or not. An interval is",
        "that of one process: where its memory happens to lie moves a forward pass by a few percent.",
        "",
    ]
    parts = overhead, floor, draws, attacks, sampling, memory, serving, report
    return "\n".join([*head, *(line for part in parts for line in part())]).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
