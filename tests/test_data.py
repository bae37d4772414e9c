"""Data sets: what their decorators say is true, their splits are fixed and apart, and wrong files are refused."""

import gzip

import pytest
import torch

from variate import registry
from variate.datasets import fashion_mnist
from variate.errors import DataError, UsageError

COUNTS = {
    "digits": {"train": 1097, "validation": 300, "test": 400},
    "fashion-mnist": {"train": 55_000, "validation": 5_000, "test": 10_000},
}
AVAILABLE = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name == "fashion-mnist" and not fashion_mnist.DEBIAN.is_dir(),
            reason="the Debian package dataset-fashion-mnist is not installed",
        ),
    )
    for name in registry.entries("datasets")
]


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_data_set_is_what_its_decorator_says(name):
    entry = registry.get("datasets", name)
    splits = {split: entry.load()(split) for split in ("train", "validation", "test")}
    assert {split: len(y) for split, (_, y) in splits.items()} == COUNTS[name]
    for x, y in splits.values():
        assert tuple(x.shape[1:]) == entry.facts["shape"]
        assert x.dtype == torch.float32
        assert y.dtype == torch.int64
        assert float(x.min()) >= 0
        assert float(x.max()) <= 1
        assert y.unique().tolist() == list(range(entry.facts["classes"]))
    x, _ = splits["train"]
    assert x.mean((0, 2, 3)).tolist() == pytest.approx(entry.facts["mean"], abs=1e-3)
    assert x.std((0, 2, 3)).tolist() == pytest.approx(entry.facts["std"], abs=1e-3)


@pytest.mark.parametrize("name", AVAILABLE)
def test_splits_are_fixed_and_share_no_image(name):
    load = registry.get("datasets", name).load()
    assert torch.equal(load("validation")[0], load("validation")[0])
    images = {split: {row.numpy().tobytes() for row in load(split)[0]} for split in ("train", "validation")}
    assert len(images["train"] & images["validation"]) <= len(images["validation"]) // 100  # the source repeats a few


@pytest.mark.parametrize("name", registry.entries("datasets"))
def test_an_unknown_split_is_named(name):
    with pytest.raises(UsageError, match="no split named 'trian'"):
        registry.get("datasets", name).load()("trian")


def test_missing_damaged_and_foreign_files_are_named(tmp_path):
    load = registry.get("datasets", "fashion-mnist").load()
    with pytest.raises(DataError, match="does not hold Fashion-MNIST"):
        load("test", folder=tmp_path)
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (tmp_path / name).write_bytes(b"not gzip")
    with pytest.raises(DataError, match="damaged"):
        load("test", folder=tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x01\x07"))
    with pytest.raises(DataError, match="is not Fashion-MNIST's"):
        load("test", folder=tmp_path)


def test_without_files_and_without_internet_the_error_says_what_to_do(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(DataError, match="could not be downloaded") as error:
        registry.get("datasets", "fashion-mnist").load()("test")
    assert "apt-get install dataset-fashion-mnist" in str(error.value)


@pytest.mark.skipif(
    not fashion_mnist.DEBIAN.is_dir(), reason="the Debian package dataset-fashion-mnist is not installed"
)
def test_a_download_is_checked_and_cached(tmp_path, monkeypatch):
    served = []

    class Response:
        def __init__(self, address):
            self.name = address.rsplit("/", 1)[1]

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

        def read(self):
            served.append(self.name)
            return (source / self.name).read_bytes()

    source = fashion_mnist.DEBIAN
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda address, timeout: Response(address))
    load = registry.get("datasets", "fashion-mnist").load()
    x, _ = load("test")
    again, _ = load("test")
    assert torch.equal(x, again)
    assert served == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
