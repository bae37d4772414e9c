"""Pages that lead somewhere are followed as they are written: a network and five files of your own."""

import sys
import tomllib

import pytest
import torch
from pages import ROOT, blocks, commands
from torch import nn
from typer.testing import CliRunner

from variate import registry
from variate.cli.main import app
from variate.random.randomize import randomize

EXTENDING = {"attack": "jitter", "family": "triangular", "objective": "spread", "defense": "half-random"}
EXTENDING |= {"dataset": "stripes"}
KINDS = {singular: kind for kind, singular in registry.SINGULAR.items()}
PACKAGE = "mypackage"
LONG = ("train", "attack", "evaluate", "audit")  # they show how far they are


def run(page):
    """Everything that the commands of a page print."""
    said = ""
    for _, *words in commands(ROOT / page):
        done = CliRunner().invoke(app, [*words, *(["--quiet"] if words[0] in LONG else [])])
        assert done.exit_code == 0, (words, done.output)
        said += done.stdout
    return said


def test_a_network_of_your_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    mine, arrays, *_ = blocks(ROOT / "docs/your-own-network.md", "python")
    (tmp_path / "mine.py").write_text(mine)
    exec(arrays, {})
    said = run("docs/your-own-network.md")
    assert "survive-10" in said  # its dropout is on, so it is judged as random


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package made of the files that the pages on extending show, as if installed."""
    folder = tmp_path_factory.mktemp("extended")
    (folder / PACKAGE).mkdir()
    (folder / PACKAGE / "__init__.py").touch()
    for page, name in EXTENDING.items():
        file = folder / PACKAGE / f"{name.replace('-', '_')}.py"
        file.write_text(blocks(ROOT / f"docs/extend/{page}.md", "python")[0])
    project = tomllib.loads(blocks(ROOT / "docs/extend/README.md", "toml")[0])["project"]
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    points = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in groups]
    (info / "entry_points.txt").write_text("".join(points))
    return folder


@pytest.fixture
def installed(package, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.chdir(tmp_path)
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()
    for module in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[module]


@pytest.mark.parametrize("kind", EXTENDING)
def test_a_file_of_your_own(installed, kind):
    entry = registry.get(KINDS[kind], EXTENDING[kind])
    assert entry.module == f"{PACKAGE}.{EXTENDING[kind].replace('-', '_')}"
    for block in blocks(ROOT / f"docs/extend/{kind}.md", "python")[1:]:
        exec(block, {})
    assert EXTENDING[kind] in run(f"docs/extend/{kind}.md")


def test_a_family_of_your_own_mixes_with_ours(installed):
    assert registry.get("families", "triangular").summary.startswith("The sum of two uniforms")
    net = randomize(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), {"0.*": "triangular(share=channel)"}, floor=0.01)
    assert {site.family for site in net.sites} == {"triangular(share=channel, floor=0.01)", "normal(floor=0.01)"}
    net(torch.rand(5, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
