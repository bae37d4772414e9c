"""Folders of pictures: layouts, splits by class, every mode and depth, sizes, and what cannot be read."""

import os
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import variate
from variate.datasets.load import labelled
from variate.errors import DataError, UsageError

SIDE = 8


def shade(i):
    """A picture of random gray, another one for every number."""
    return Image.fromarray(np.random.default_rng(i).integers(0, 256, (SIDE, SIDE), np.uint8))


def write(root, counts):
    """Pictures by folder, such as {"train/cat": 3}; every picture is another one."""
    number = sum(1 for _ in root.rglob("*.png"))
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            shade(number).save(root / folder / f"{number:03}.png")
            number += 1
    return root


def sizes(source):
    return {split: len(labelled(str(source), split=split, cut=True)[1]) for split in ("train", "validation", "test")}


def test_a_folder_without_splits_is_cut_within_every_class(tmp_path):
    write(tmp_path, {"cat": 40, "dog": 20, "emu": 3})
    counts = {}
    for split in ("train", "validation", "test"):
        x, y = labelled(str(tmp_path), split=split, cut=True)
        counts[split] = Counter(y.tolist())
        again, _ = labelled("images", folder=tmp_path, split=split, cut=True)
        assert torch.equal(x, again)  # one path, not two
    assert counts == {"train": {0: 32, 1: 16, 2: 1}, "validation": {0: 4, 1: 2, 2: 1}, "test": {0: 4, 1: 2, 2: 1}}
    every, y = labelled(str(tmp_path))  # as `variate audit` judges data without splits
    assert len(every) == len({row.numpy().tobytes() for row in every}) == 63
    assert Counter(y.tolist()) == {0: 40, 1: 20, 2: 3}


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ({"train": 20, "val": 5, "test": 4}, (40, 10, 8)),
        ({"Training": 20, "testing": 4}, (36, 4, 8)),
        ({"train": 20, "valid": 5}, (36, 4, 10)),
        ({"train": 20}, (32, 4, 4)),
        ({"around/train": 20, "around/dev": 5, "around/test": 4}, (40, 10, 8)),
    ],
)
def test_given_splits_are_kept_and_missing_ones_held_out(tmp_path, folders, expected):
    write(tmp_path, {f"{folder}/{name}": count for folder, count in folders.items() for name in ("cat", "dog")})
    assert tuple(sizes(tmp_path).values()) == expected


def test_classes_are_numbered_once_whatever_a_split_lacks(tmp_path):
    write(tmp_path, {"train/10": 4, "train/9": 4, "train/cow": 4, "val/cow": 2, "test/9": 1, "test/cow": 2})
    assert variate.about(str(tmp_path)).labels == ("10", "9", "cow")
    assert Counter(labelled(str(tmp_path), split="test")[1].tolist()) == {1: 1, 2: 2}
    assert labelled(str(tmp_path), split="validation")[1].tolist() == [2, 2]
    write(tmp_path, {"test/emu": 1})
    with pytest.raises(DataError, match="classes that are not in train: emu"):
        labelled(str(tmp_path), split="test")


def test_whole_numbers_as_names_are_in_the_order_of_their_values(tmp_path):
    write(tmp_path, {"10": 3, "9": 3, "100": 3})
    assert variate.about(tmp_path).labels == ("9", "10", "100")


def test_a_zip_archive_and_links_hold_the_same(tmp_path):
    write(tmp_path / "pictures", {"cat": 10, "dog/more/still": 10})
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in sorted((tmp_path / "pictures").rglob("*.png")):
            archive.write(path, Path("top") / path.relative_to(tmp_path / "pictures"))
    (tmp_path / "linked").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "linked" / name).symlink_to(tmp_path / "pictures" / name)
    x, y = labelled(str(tmp_path / "pictures"))
    for other in ("p.zip", "linked"):
        assert all(map(torch.equal, (x, y), labelled(str(tmp_path / other))))


def test_hidden_files_are_passed_over_and_others_named(tmp_path):
    write(tmp_path, {"cat": 5, "dog": 5, ".ipynb_checkpoints": 1, "__MACOSX/cat": 1})
    for name in ("cat/.a.png", "cat/Thumbs.db", ".DS_Store"):
        (tmp_path / name).write_bytes(b"nothing")
    assert len(labelled(str(tmp_path))[1]) == 10
    for name in ("cat/a.heic", "cat/b.heic", "notes.txt"):
        (tmp_path / name).write_bytes(b"nothing")
    shade(77).save(tmp_path / "loose.png")
    with pytest.warns(UserWarning, match="left out of") as told:
        assert len(labelled(str(tmp_path))[1]) == 10
    text = str(told[0].message)
    for part in ("loose.png: in no class folder", "cat/a.heic: .heic is not read, nor are 1 more", "notes.txt: .txt"):
        assert part in text


def test_a_class_folder_in_which_nothing_is_read_is_named(tmp_path):
    write(tmp_path, {"train/ant": 4, "train/cat": 4, "train/dog": 4, "test/dog": 2, "test/cat": 0, "train/bee": 0})
    with pytest.warns(UserWarning, match="train/bee: nothing in it is read, so it is no class") as told:
        assert variate.about(tmp_path).labels == ("ant", "cat", "dog")
    assert "test/cat" not in str(told[0].message)  # a class of the other split


def test_every_damaged_file_is_listed_with_its_path(tmp_path):
    write(tmp_path, {"cat": 5, "dog": 5})
    whole = (tmp_path / "cat/000.png").read_bytes()
    (tmp_path / "cat/000.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dog/007.png").write_bytes(b"")
    (tmp_path / "dog/008.png").write_bytes(b"<html>not found</html>")
    Image.new("F", (SIDE, SIDE)).save(tmp_path / "dog/009.tif")
    frames = [shade(1), shade(2)]
    frames[0].save(tmp_path / "dog/010.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"5 files of .* cannot be used") as error:
        labelled(str(tmp_path))
    found = "\n".join(error.value.findings)
    for part in (
        "cat/000.png cannot be read: ",
        "dog/007.png is empty",
        "dog/008.png is not a picture",
        "dog/009.tif has 32-bit values",
        "dog/010.gif has 2 frames",
    ):
        assert part in found


RAMP = np.tile(np.linspace(0, 255, SIDE).round(), (SIDE, 1)).astype(np.uint8)
TURNED = Image.Exif()
TURNED[0x0112] = 6
COLOR = np.stack([RAMP, RAMP.T, 255 - RAMP], 2)
KINDS = {
    "8 bits.png": (Image.fromarray(RAMP), {}, RAMP),
    "16 bits.png": (Image.fromarray(RAMP.astype(np.uint16) * 257), {}, RAMP),
    "16 bits.tif": (Image.fromarray(RAMP.astype(np.uint16) * 257), {}, RAMP),
    "16 bits.pgm": (Image.fromarray(RAMP.astype(np.int32) * 257), {}, RAMP),
    "1 bit.png": (Image.fromarray(RAMP > 127), {}, np.where(RAMP > 127, 255, 0)),
    "palette.gif": (Image.fromarray(RAMP).convert("P"), {}, RAMP),
    "gray and alpha.png": (Image.fromarray(RAMP).convert("LA"), {}, RAMP),
    "turned.png": (Image.fromarray(RAMP), {"exif": TURNED}, RAMP.T),
    "color.png": (Image.fromarray(COLOR), {}, COLOR),
    "color.webp": (Image.fromarray(COLOR), {"lossless": True}, COLOR),
    "print.tif": (Image.fromarray(COLOR).convert("CMYK"), {}, COLOR),
    "opaque.png": (Image.fromarray(COLOR).convert("RGBA"), {}, COLOR),
}


@pytest.mark.parametrize("name", KINDS)
def test_pictures_of_every_kind_are_read_as_they_are_seen(tmp_path, name):
    picture, options, expected = KINDS[name]
    write(tmp_path, {"dog": 3, "cat": 0})
    picture.save(tmp_path / "cat" / name, **options)
    x, y = labelled("images(channels=3)", folder=tmp_path)
    pixels = (x[y == 0][0] * 255).round().permute(1, 2, 0).numpy()
    assert np.abs(pixels - (expected if expected.ndim == 3 else expected[..., None])).max() <= 1
    own, labels = labelled(str(tmp_path))
    assert own.shape[1] == (3 if expected.ndim == 3 or name == "palette.gif" else 1)
    assert torch.equal(labels, y)


def test_a_scan_of_12_bits_is_not_nearly_black(tmp_path):
    write(tmp_path, {"dog": 3, "cat": 0})
    deep = (RAMP.astype(np.int64) * 4095 // 255).astype(np.uint16)
    picture = Image.fromarray(deep)
    picture.save(tmp_path / "cat/a.tif")
    content = bytearray((tmp_path / "cat/a.tif").read_bytes())
    shades = deep.reshape(-1, 2)  # two shades in three bytes
    packed = np.stack([shades[:, 0] >> 4, (shades[:, 0] & 15) << 4 | shades[:, 1] >> 8, shades[:, 1] & 255], 1)
    start = content.find(picture.tobytes())
    content[start : start + packed.size] = packed.astype(np.uint8).tobytes()
    tag = content.find((258).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    content[tag + 8 : tag + 10] = (12).to_bytes(2, "little")
    (tmp_path / "cat/a.tif").write_bytes(content)
    x, y = labelled(str(tmp_path))
    assert np.abs((x[y == 0][0, 0] * 255).numpy() - RAMP).max() <= 1


def test_transparent_pixels_need_a_background(tmp_path):
    write(tmp_path, {"cat": 3, "dog": 3})
    Image.new("RGBA", (SIDE, SIDE), (255, 0, 0, 0)).save(tmp_path / "cat/clear.png")
    with pytest.raises(DataError, match="cannot be used") as error:
        labelled(str(tmp_path))
    assert "cat/clear.png has transparent pixels" in error.value.findings[0]
    assert "images(background=white)" in str(error.value.todo)
    for color, expected in (("white", (1, 1, 1)), ("#0000ff", (0, 0, 1))):
        x, y = labelled(f"images(background={color})", folder=tmp_path)
        assert x[y == 0].mean((2, 3)).tolist().count(list(expected)) == 1


def test_a_shade_of_16_bits_may_be_transparent(tmp_path):
    write(tmp_path, {"cat": 3, "dog": 3})
    Image.fromarray(np.full((SIDE, SIDE), 300, np.uint16)).save(tmp_path / "cat/clear.png", transparency=300)
    with pytest.raises(DataError, match="cannot be used"):
        labelled(str(tmp_path))
    x, y = labelled("images(background=white)", folder=tmp_path)
    assert x[y == 0].mean((1, 2, 3)).tolist().count(1) == 1


def test_pipes_are_passed_over_and_broken_links_named(tmp_path):
    write(tmp_path, {"cat": 3, "dog": 3})
    os.mkfifo(tmp_path / "cat/pipe.png")  # would be waited for
    assert len(labelled(str(tmp_path))[1]) == 6
    (tmp_path / "dog/link.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match="cannot be used") as error:
        labelled(str(tmp_path))
    assert error.value.findings == ("there is no file dog/link.png",)


def test_what_is_added_within_one_tick_of_the_clock_is_noticed(tmp_path):
    write(tmp_path, {"cat": 3, "dog": 3})
    assert len(labelled(str(tmp_path))[1]) == 6
    written = (tmp_path / "dog").stat().st_mtime_ns
    (tmp_path / "dog/link.png").symlink_to(tmp_path / "nowhere.png")
    os.utime(tmp_path / "dog", ns=(written, written))
    with pytest.raises(DataError, match="cannot be used"):
        labelled(str(tmp_path))


def test_sizes_are_told_and_cut_from_the_center(tmp_path):
    write(tmp_path, {"cat": 3, "dog": 3})
    wide = np.zeros((16, 48), np.uint8)
    wide[:, 16:32] = 200  # the middle third
    Image.fromarray(wide).save(tmp_path / "cat/wide.png")
    with pytest.raises(DataError, match=r"have 2 sizes \(height x width\)") as error:
        labelled(str(tmp_path))
    assert error.value.findings == ("8x8: 6 pictures", "16x48: 1 pictures")
    assert "images(size=8)" in str(error.value.todo)
    x, y = labelled("images(size=8)", folder=tmp_path)
    assert x.shape == (7, 1, 8, 8)
    cut = [(row * 255).round() for row in x[y == 0]]
    assert any(bool((row[:, 2:-2, 2:-2] == 200).all()) for row in cut)
    assert labelled("images(size=4x12)", folder=tmp_path)[0].shape == (7, 1, 4, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("size=big", "'big' is not a size"),
        ("size=0", "'0' is not a size"),
        ("channels=2", "cannot have 2 channels"),
        ("background=octarine", "'octarine' is not a color"),
        ("sise=4", "did you mean 'size'"),
    ],
)
def test_options_that_make_no_sense_are_explained(tmp_path, options, message):
    write(tmp_path, {"cat": 3, "dog": 3})
    with pytest.raises(UsageError, match=message):
        labelled(f"images({options})", folder=tmp_path)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({}, "not data of a kind that can be read"),
        ({"cat": 3}, "has files of one class, cat"),
        ({"test/cat": 3, "test/dog": 2}, "has no train split, only test"),
        ({"train/cat": 3, "train/dog": 3, "cat": 2}, "has cat beside train"),
        ({".": 3}, "has no files in class folders"),
    ],
)
def test_folders_that_are_laid_out_otherwise_are_explained(tmp_path, folders, message):
    write(tmp_path, folders)
    with pytest.raises(DataError, match=message):
        labelled(str(tmp_path))


def test_classes_may_be_named_as_splits_are(tmp_path):
    write(tmp_path, {"valid": 5, "invalid": 5})
    assert variate.about(tmp_path).labels == ("invalid", "valid")


def test_pictures_that_are_in_two_splits_are_said(tmp_path):
    write(tmp_path, {"train/cat": 6, "train/dog": 6, "test/cat": 2, "test/dog": 2})
    (tmp_path / "test/cat/copy.png").write_bytes((tmp_path / "train/cat/000.png").read_bytes())
    (tmp_path / "train/dog/copy.png").write_bytes((tmp_path / "train/cat/000.png").read_bytes())
    with pytest.warns(UserWarning, match="1 of 5 in test"):
        variate.about(tmp_path)


def test_the_facts_are_those_of_the_training_split(tmp_path):
    write(tmp_path, {"train/cat": 6, "train/dog": 6, "val/cat": 2, "test/dog": 2})
    facts = variate.about(tmp_path)
    x, _ = labelled(str(tmp_path), split="train")
    assert (facts.kind, facts.shape, facts.classes, facts.budget) == ("image", (1, 8, 8), 2, "linf:8/255")
    assert facts.mean[0] == pytest.approx(float(x.mean()), abs=1e-5)
    assert facts.std[0] == pytest.approx(float(x.std(correction=0)), abs=1e-5)


def test_pictures_that_do_not_fit_into_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    write(tmp_path, {"cat": 3, "dog": 3})
    monkeypatch.setattr("os.sysconf", lambda _: 20)
    with pytest.raises(DataError, match="need 0 GiB of memory"):
        labelled(str(tmp_path))


def test_a_path_that_leads_nowhere_is_no_name(tmp_path):
    with pytest.raises(DataError, match="there is nothing at"):
        labelled(f"{tmp_path}/nowhere/")
    with pytest.raises(UsageError, match="did you mean 'images'"):
        labelled("image")
    write(tmp_path, {"cat": 3, "dog": 3})
    with pytest.raises(UsageError, match=r"is a path, and .* is given as its folder"):
        labelled(str(tmp_path), folder=tmp_path)
