"""A small study as a grid, run in this process, and what its folders hold."""

import json
from functools import partial
from pathlib import Path

from variate.study.file import Study
from variate.study.running import run_study

GRID = {
    "title": "Grid",
    "data": "digits",
    "network": "mlp",
    "defenses": ["deterministic", "random"],
    "budget": ["linf:0.1", "l2:0.5"],
    "seeds": [0, 1],
    "training": {"epochs": 1},
    "evaluation": {
        "examples": 8,
        "draws": 1,
        "verdict_draws": 4,
        "deployments": ["single"],
        "attacks": [{"name": "fgsm"}, {"name": "fmn", "steps": 2}],
    },
}
run = partial(run_study, command="variate study grid.toml")


def study(**changes):
    return Study.model_validate({**GRID, **changes})


def facts(path: Path) -> list[dict]:
    """The records, without what no two runs have in common."""
    lines = [json.loads(line) for line in (path / "records.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["kind"] != "timing"]
    return [{k: v for k, v in line.items() if k not in ("seconds", "machine", "command")} for line in lines]


def answers_in(folder: Path) -> int:
    path = folder / "records.jsonl"
    return path.read_bytes().count(b'"kind":"example"') if path.exists() else 0


def holding(path: Path) -> list[int]:
    """The processes that have a file open."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if entry.readlink() == path:
                found.append(int(entry.parts[2]))
        except OSError:
            continue
    return found
