"""The notebooks in examples/: kept without outputs, and run from top to bottom as they stand."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))
EXPECTED = {
    "first_report": ["False True", "survive-10", "True"],
    "compare_defenses": ["random-at, one frozen draw", "20 "],
    "serve_and_export": ["False", "True False", "False"],
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == "markdown"
    assert not [cell for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_says(path, tmp_path):
    client = pytest.importorskip("nbclient", reason="nbclient is not installed")
    notebook = nbformat.read(path, as_version=4)
    client.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [
        output.get("text")
        or output.get("data", {}).get("text/markdown")
        or output.get("data", {}).get("text/plain", "")
        for output in outputs
        if output.output_type != "error"
    ]
    text = "\n".join(shown)
    for expected in EXPECTED[path.stem]:
        assert expected in text
