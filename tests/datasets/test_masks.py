"""Pictures with masks: numbers, shades and colors become classes, both are resized alike, mistakes are listed."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import variate
from variate.datasets.look import look
from variate.datasets.parts.palettes import CITYSCAPES, palette_of
from variate.errors import DataError, UsageError
from variate.tasks.task import task_of

CLASSES = np.array([[0, 0, 1, 1], [0, 2, 2, 255], [2, 2, 1, 0]], dtype=np.uint8)  # (H, W)
RNG = np.random.default_rng(0)


def picture(path, height=3, width=4, channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width, 3) if channels == 3 else (height, width)
    Image.fromarray(RNG.integers(0, 256, shape, np.uint8)).save(path)


def mask(path, classes=CLASSES, mode="L", colors=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "P":
        image = Image.fromarray(classes, mode="P")
        image.putpalette(colors)
    elif mode == "RGB":
        image = Image.fromarray(
            np.array([colors[int(label)] for label in classes.flat], np.uint8).reshape(*classes.shape, 3)
        )
    else:
        image = Image.fromarray(classes)
    image.save(path)


@pytest.fixture
def folder(tmp_path):
    """Ten pictures with gray masks, without splits."""
    for i in range(10):
        picture(tmp_path / f"images/{i}.png")
        mask(tmp_path / f"masks/{i}.png", np.roll(CLASSES, i, 1))
    return tmp_path


def test_gray_masks_are_classes_and_255_does_not_count(folder):
    x, y = variate.data(folder, "train")
    about = variate.about(folder)
    assert (x.shape, y.shape, y.dtype) == ((8, 3, 3, 4), (8, 3, 4), torch.int64)
    assert (about.task, about.classes, about.kind, about.shape) == ("positions", 3, "image", (3, 3, 4))
    assert {*y.unique().tolist()} == {-1, 0, 1, 2}
    task_of(about.task).check_labels(y, len(x))
    assert [len(variate.data(folder, split)[1]) for split in ("validation", "test")] == [1, 1]
    found = look(folder)
    assert (found.read_as, found.classes["ignored"]["train"]) == ("masks", 8)


def test_a_picture_keeps_its_own_mask(tmp_path):
    """The shade of every picture is the class of its mask."""
    for i in range(10):
        for kind, value in (("images", 20 * i), ("masks", i)):
            (tmp_path / kind).mkdir(exist_ok=True)
            ending = "_mask.png" if kind == "masks" else ".bmp"
            Image.fromarray(np.full((4, 4), value, np.uint8)).save(tmp_path / kind / f"{i}{ending}")
    for split in ("train", "validation", "test"):
        x, y = variate.data(tmp_path, split)
        assert torch.equal((x[:, 0] * 255 / 20).round().long(), y)


@pytest.mark.parametrize("above", [True, False])
def test_splits_are_folders_above_or_below(tmp_path, above):
    counts = {"train": 5, "val": 2, "test": 3}
    for split, count in counts.items():
        for i in range(count):
            around = (f"{split}/images", f"{split}/masks") if above else (f"images/{split}", f"masks/{split}")
            picture(tmp_path / "data" / around[0] / f"city/{i}.jpg")
            mask(tmp_path / "data" / around[1] / f"city/{i}.png")
    found = {split: len(variate.data(tmp_path, split)[1]) for split in ("train", "validation", "test")}
    assert found == {"train": 5, "validation": 2, "test": 3}


def test_palette_images_hold_numbers_or_colors_that_are_looked_up(tmp_path):
    """Numbers in the order of VOC, and the same colors in another order: both are the classes of VOC."""
    colors = [
        color for color, label in palette_of("voc").classes.items() if label < 3
    ]  # background, aeroplane, bicycle
    flat = [value for color in colors for value in color] + [0] * (3 * 252) + [224, 224, 192]
    turned = [2, 0, 1]
    for i in range(10):
        picture(tmp_path / f"images/{i}.png")
        mask(tmp_path / f"masks/{i}.png", mode="P", colors=flat)
    numbers = variate.data(tmp_path, "test")[1]
    assert torch.equal(numbers[0], torch.tensor(CLASSES.astype(np.int64)).where(torch.tensor(CLASSES) != 255, -1))
    other = CLASSES.copy()
    for place, label in enumerate(turned):
        other[label == CLASSES] = place
    flat[:9] = [value for label in turned for value in colors[label]]
    for i in range(10):
        mask(tmp_path / f"masks/{i}.png", other, mode="P", colors=flat)
    name = "masks(palette=voc)"
    assert torch.equal(variate.data(name, "test", folder=tmp_path)[1], numbers)
    assert variate.about(name, folder=tmp_path).labels[:3] == ("background", "aeroplane", "bicycle")


def test_colors_of_cityscapes_are_train_ids(tmp_path):
    road, sky, void = CITYSCAPES["road"], CITYSCAPES["sky"], (0, 0, 0)
    for i in range(10):
        picture(tmp_path / f"images/{i}.png")
        mask(tmp_path / f"masks/{i}.png", mode="RGB", colors={0: road, 1: sky, 2: sky, 255: void})
    y = variate.data("masks(palette=cityscapes)", "test", folder=tmp_path)[1]
    assert y[0].tolist() == [[0, 0, 10, 10], [0, 10, 10, -1], [10, 10, 10, 0]]
    assert variate.about("masks(palette=cityscapes)", folder=tmp_path).classes == 19


def test_a_palette_of_one_s_own(tmp_path, folder):
    shades = {0: (9, 9, 9), 1: (128, 128, 128), 2: (200, 200, 200), 255: (0, 0, 0)}
    for i in range(10):
        gray = np.vectorize(lambda label: shades[int(label)][0])(CLASSES).astype(np.uint8)
        mask(folder / f"masks/{i}.png", gray)
    palette = tmp_path / "palette.csv"
    palette.write_text("name,R,G,B\nground,9,9,9\nvoid,0,0,0\ntree,128,128,128\nhouse,200,200,200\n")
    name = f"masks(palette={palette})"
    y = variate.data(name, "test", folder=folder)[1]
    assert y[0].tolist() == [[0, 0, 1, 1], [0, 2, 2, -1], [2, 2, 1, 0]]
    assert variate.about(name, folder=folder).labels == ("ground", "tree", "house")
    with pytest.raises(DataError, match="numbers up to 200") as caught:
        variate.data(folder)
    assert "palette=FILE.csv" in caught.value.todo


def test_black_and_white_is_class_0_and_1(folder):
    for i in range(10):
        mask(folder / f"masks/{i}.png", np.where(CLASSES == 1, 255, 0).astype(np.uint8))
    assert variate.data(folder)[1].unique().tolist() == [0, 1]
    assert variate.about(folder).classes == 2


def test_both_are_cut_and_resized_alike_and_masks_stay_classes(tmp_path):
    """Left half dark and of class 0, right half light and of class 1: so is each picture of half the size."""
    classes = np.repeat(np.array([[0] * 8 + [1] * 8], np.uint8), 12, 0)
    for i in range(10):
        for kind, values in (("images", classes * 200 + i), ("masks", classes)):
            (tmp_path / kind).mkdir(exist_ok=True)
            wider = np.pad(values, ((0, 0), (i % 2, i % 2)), mode="edge")  # other sizes
            Image.fromarray(wider).save(tmp_path / kind / f"{i}.png")
    x, y = variate.data("masks(size=6)", "train", folder=tmp_path)
    assert x.shape[1:] == (1, 6, 6)
    assert y.unique().tolist() == [0, 1]
    assert torch.equal((x[:, 0] > 0.5).long(), y)
    with pytest.raises(DataError, match="2 sizes") as caught:
        variate.data(tmp_path)
    assert "masks(size=12)" in caught.value.todo


def test_every_mistake_is_listed_at_once(folder):
    (folder / "masks/0.png").unlink()
    (folder / "images/1.png").unlink()
    mask(folder / "masks/2.png", CLASSES[:2])
    mask(folder / "masks/3.png", mode="RGB", colors={0: (1, 2, 3), 1: (4, 5, 6), 2: (0, 0, 0), 255: (9, 9, 9)})
    (folder / "masks/4.png").write_bytes(b"no picture")
    (folder / "masks/5.png").write_bytes(b"")
    (folder / "masks/6.png").rename(folder / "masks/6.jpg")
    mask(folder / "masks/7.png", RNG.permutation(100).astype(np.uint8).reshape(10, 10))
    picture(folder / "images/8.bmp")
    turned = Image.Exif()
    turned[274] = 3
    with Image.open(folder / "images/9.png") as opened:
        opened.save(folder / "images/9.png", exif=turned)
    with pytest.raises(DataError, match="10 files") as caught:
        variate.data(folder)
    said = "\n".join(caught.value.findings)
    for words in (
        "images/0.png has no mask",
        "masks/1.png is the mask of no picture",
        "images/2.png and masks/2.png are 3x4 and 2x4",
        "masks/3.png is in color",
        "masks/4.png is not a picture",
        "masks/5.png is empty",
        "masks/6.jpg is a JPEG",
        "masks/7.png has",
        "in the same folder",
        "images/9.png is turned",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("palette", "classes", "said"),
    [
        ("voc", {0: (0, 0, 0), 1: (1, 2, 3), 2: (128, 0, 0), 255: (1, 2, 4)}, "(1, 2, 3) in 3 pixels, (1, 2, 4) in 1"),
        ("cityscapes", None, "the class 23, and the palette has 0 to 18"),
    ],
)  # fmt: skip
def test_what_a_palette_lacks_is_named(folder, palette, classes, said):
    for i in range(10):
        numbers = np.where(CLASSES == 2, 23, CLASSES).astype(np.uint8)
        mask(folder / f"masks/{i}.png", numbers if classes is None else CLASSES, "RGB" if classes else "L", classes)
    with pytest.raises(DataError) as caught:
        variate.data(f"masks(palette={palette})", folder=folder)
    assert said in str(caught.value)


def test_masks_in_which_nothing_counts_are_refused(folder):
    mask(folder / "masks/3.png", np.full((3, 4), 255, np.uint8))
    with pytest.raises(DataError, match=r"masks/3.png: no pixel counts"):
        variate.data(folder)


def test_layouts_that_cannot_be_meant(folder, tmp_path):
    with pytest.raises(DataError, match="no folder of pictures and masks") as caught:
        variate.data("masks")
    assert "images/" in caught.value.expected
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture with a mask"):
        variate.data("masks", folder=tmp_path / "empty")
    picture(folder / "images/test/a.png")
    mask(folder / "masks/test/a.png")
    with pytest.raises(DataError, match="beside splits"):
        variate.data(folder)
    with pytest.raises(UsageError, match="no palette named 'vok'"):
        variate.data("masks(palette=vok)", folder=folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,r,g\na,1,2\n", "name, r, g, b"),
        ("name,r,g,b\na,1,2,3\nb,1,2,300\n", "line 3"),
        ("name,r,g,b\na,1,2,3\nb,1,2,3\n", "in the palette already"),
        ("name,r,g,b\na,1,2,3\n", "it has 1"),
    ],
)
def test_a_palette_that_is_none_is_refused(folder, tmp_path, text, said):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        variate.data(f"masks(palette={tmp_path / 'p.csv'})", folder=folder)
    assert said in str(caught.value)


def test_an_archive_and_what_is_left_out(folder, tmp_path):
    archive = tmp_path / "all.zip"
    (folder / "images/notes.txt").write_text("x")
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted([*folder.glob("images/*"), *folder.glob("masks/*")]):
            packed.write(path, path.relative_to(folder))
    with pytest.warns(UserWarning, match=r"notes.txt: is no picture or mask"):
        x, y = variate.data(archive, "train")
    assert (len(x), y.shape) == (8, (8, 3, 4))


def test_class_folders_of_these_names_stay_classes(tmp_path):
    for name in ("images", "masks"):
        for i in range(6):
            picture(tmp_path / name / f"{name}{i}.png")
    assert variate.about(tmp_path).task == "classes"
