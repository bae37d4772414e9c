"""The documents say what is true: their Python runs, their tables are those of the records, their names exist."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from variate import registry
from variate.record import Records
from variate.report.attack_page import attack_page
from variate.report.defense_page import defense_page

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/how-it-works.md", "docs/train.md", "docs/evaluate.md", "docs/serve.md", "docs/neighbors.md"]
RESULTS = sorted(ROOT.glob("docs/results/*/records.jsonl.gz"))


def given() -> dict[str, object]:
    """What the blocks take for granted: a module, a loader, and inputs with labels."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    x, y = registry.get("datasets", "digits").load()("test")
    return {"my_module": module, "loader": list(zip(x.split(50), y.split(50), strict=True)), "x": x[:20], "y": y[:20]}


@pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")  # as Foolbox is imported
@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_runs(page, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)
    assert blocks
    for block in blocks:
        exec(block, given())
    if page == "README.md":
        assert "survive-10" in capsys.readouterr().out


def test_the_python_block_begins_within_ten_lines():
    assert "```python" in "\n".join((ROOT / "README.md").read_text().splitlines()[:10])


def test_the_example_runs(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    import own_network

    rows = own_network.main(epochs=2).rows
    assert {row.attack for row in rows} == {"clean", "fgsm", "pgd"}


@pytest.mark.parametrize(
    "page", [*PAGES, "CONTRIBUTING.md", "docs/results/README.md", "docs/what-can-be-random.md", "docs/flags/README.md"]
)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_the_readme_lists_what_there_is():
    text = (ROOT / "README.md").read_text()
    for kind in registry.SINGULAR:
        for name, entry in registry.entries(kind).items():
            assert not entry.module.startswith("variate.") or f"`{name}`" in text, (kind, name)


@pytest.mark.parametrize("path", RESULTS, ids=[path.parent.name for path in RESULTS])
def test_a_page_of_results_names_the_command_of_its_records(path):
    page = (path.parent / "README.md").read_text()
    assert Records(path).runs[0].command in page
    assert "<!-- begin table -->" in page


def test_tables_of_results_are_those_of_their_records(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import results_pages

    assert results_pages.main(["--check"]) == 0, capsys.readouterr().out


def test_no_attack_claims_an_effect_that_is_not_there():
    assert "**" not in (ROOT / "docs/results/honesty/README.md").read_text()  # what is untrue would stand in bold


def test_the_page_of_costs_is_that_of_the_committed_measurements(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import page

    assert (ROOT / "docs/what-it-costs.md").read_text() == page.page()


@pytest.mark.parametrize(("name", "page"), [("attacks", attack_page), ("defenses", defense_page)])
def test_a_page_of_entries_is_that_of_the_registry(name, page):
    assert (ROOT / f"docs/{name}.md").read_text() == page()
