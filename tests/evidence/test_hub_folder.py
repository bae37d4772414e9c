"""The inputs of an evidence file as a folder for the library ``datasets``."""

import shutil
import zipfile

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.errors import DataError, UsageError
from variate.evidence.hub_folder import write_hub_folder
from variate.records.file import RECORDS

datasets = pytest.importorskip("datasets")
SHAPES = {"images": (1, 4, 4), "numbers": (6,)}


@pytest.fixture(scope="module", params=SHAPES)
def run(request, tmp_path_factory):
    """A folder with an evaluation whose inputs were kept, of images and of vectors."""
    folder, shape = tmp_path_factory.mktemp(request.param), SHAPES[request.param]
    torch.manual_seed(0)
    net = variate.randomize(nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 3)).eval(), scale=0.3)
    x, y = torch.rand(9, *shape), torch.arange(9) % 3
    options = {"budget": "linf:0.1", "attacks": ["fgsm", "pgd"], "draws": 2, "verdict_draws": 32}
    variate.evaluate(net, x, y, records=folder / RECORDS, keep_inputs=10**6, **options)
    variate.write_evidence(folder, folder / "e.zip")
    return folder, x


def arrays_in(archive, name):
    with zipfile.ZipFile(archive) as file, file.open(f"data/{name}.npz") as member, np.load(member) as arrays:
        return arrays["x"], arrays["y"]


def loaded(folder, name, tmp_path):
    table = datasets.load_dataset(str(folder), name, cache_dir=str(tmp_path / "cache"), split="train")
    return table.with_format("numpy")[:]


def test_every_data_set_has_the_numbers_of_the_archive(run, tmp_path):
    folder, x = run
    names = write_hub_folder(folder / "e.zip", tmp_path / "inputs")
    assert len(names) == 3
    assert names == datasets.get_dataset_config_names(str(tmp_path / "inputs"))
    for name in names:
        found, (inputs, labels) = loaded(tmp_path / "inputs", name, tmp_path), arrays_in(folder / "e.zip", name)
        assert found["x"].dtype == inputs.dtype == np.float32
        assert np.array_equal(found["x"], inputs)
        assert np.array_equal(found["y"], labels)
    originals, fgsm = (loaded(tmp_path / "inputs", name, tmp_path)["x"] for name in names[:2])
    assert np.array_equal(originals, x.numpy())
    assert 0.09 < np.abs(fgsm - originals).max() < 0.1001
    card = (tmp_path / "inputs" / "README.md").read_text()
    assert f"| `{names[1]}` | fgsm | linf:0.1 | first | `{names[0]}` |" in card


def test_the_command_writes_both(run, tmp_path):
    folder, _ = run
    words = ["evidence", str(folder), "--out", str(tmp_path / "e.zip"), "--datasets", str(tmp_path / "inputs")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "3 data sets" in done.stdout
    (tmp_path / "e.zip").unlink()
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert not (tmp_path / "e.zip").exists()  # before any work


def test_a_changed_archive_and_a_folder_in_use_are_refused(run, tmp_path):
    folder, _ = run
    changed = tmp_path / "changed.zip"
    shutil.copy(folder / "e.zip", changed)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("README.md", "another page")
    with pytest.raises(DataError, match="not what was written"):
        write_hub_folder(changed, tmp_path / "inputs")
    assert not (tmp_path / "inputs").exists()
    with pytest.raises(UsageError, match="is there already"):
        write_hub_folder(folder / "e.zip", tmp_path)
