"""Folders of sounds: FLAC and Ogg files, and the layout of Speech Commands."""

import io
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.io import wavfile

import variate
from variate.datasets.load import labelled
from variate.datasets.parts.wav import RefusedError, clip_of
from variate.errors import DataError, UsageError

RATE = 4000


def tone(hertz, seconds=0.5):
    times = np.arange(round(RATE * seconds)) / RATE
    return (12_000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def write(root, counts):
    """Sounds by folder; every one is another tone."""
    number = 0
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            wavfile.write(root / folder / f"{number:03}.wav", RATE, tone(100 + 7 * number))
            number += 1
    return root


def test_folders_are_read_and_cut_as_pictures_are(tmp_path):
    write(tmp_path, {"no": 20, "yes": 10})
    counts = {split: Counter(variate.data(tmp_path, split)[1].tolist()) for split in ("train", "validation", "test")}
    assert counts == {"train": {0: 16, 1: 8}, "validation": {0: 2, 1: 1}, "test": {0: 2, 1: 1}}
    facts = variate.about(tmp_path)
    assert (facts.kind, facts.shape, facts.labels, facts.budget) == ("audio", (1, 8000), ("no", "yes"), "snr:20dB")
    assert facts.details == {"rate": 8000, "handled": {"padded": 30, "resampled": 30}}
    x, _ = labelled("sounds(rate=4000, seconds=0.25)", folder=tmp_path)
    assert x.shape == (30, 1, 1000)


def test_the_lists_of_speech_commands_name_its_splits(tmp_path):
    write(tmp_path, {"up": 6, "down": 6, "_background_noise_": 2})
    (tmp_path / "validation_list.txt").write_text("up/000.wav\ndown/006.wav\n")
    (tmp_path / "testing_list.txt").write_text("up/001.wav\nup/002.wav\ndown/011.wav\ngo/1.wav\n")
    (tmp_path / "LICENSE").write_text("...")
    with pytest.warns(UserWarning, match="left out of") as told:
        facts = variate.about(tmp_path)
    assert facts.labels == ("down", "up")
    for part in ("_background_noise_: 2 files", "testing_list.txt names 1 files that are not there, such as go/1.wav"):
        assert part in str(told[0].message)
    names = {}
    for split in ("train", "validation", "test"):
        x, y = variate.data(tmp_path, split)
        names[split] = Counter(y.tolist())
        if split == "validation":
            expected = torch.from_numpy(clip_of((tmp_path / "up/000.wav").read_bytes(), rate=8000, length=8000).samples)
            torch.testing.assert_close(x[y == 1][0, 0] * 2 - 1, expected.float(), atol=1e-6, rtol=0)
    assert names == {"train": {0: 4, 1: 3}, "validation": {0: 1, 1: 1}, "test": {0: 1, 1: 2}}


@pytest.mark.parametrize(("kind", "closeness"), [("flac", 1e-6), ("ogg", 0.05)])
def test_compressed_files_hold_the_same_sound(kind, closeness, tmp_path):
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed: pip install 'variate[audio]'")
    samples = tone(300, 1.0)
    plain, compressed = io.BytesIO(), io.BytesIO()
    wavfile.write(plain, RATE, samples)
    soundfile.write(compressed, samples, RATE, format=kind.upper())
    one, other = (clip_of(file.getvalue(), rate=RATE, length=RATE).samples for file in (plain, compressed))
    assert np.abs(one - other).max() <= closeness
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            soundfile.write(tmp_path / name / f"{i}.{kind}", tone(200 + 50 * i), RATE)
    assert len(labelled(str(tmp_path))[1]) == 6


def test_damaged_sounds_are_listed_together(tmp_path):
    pytest.importorskip("soundfile", reason="soundfile is not installed: pip install 'variate[audio]'")
    write(tmp_path, {"no": 3, "yes": 3})
    (tmp_path / "no/000.wav").write_bytes(b"")
    (tmp_path / "yes/003.wav").write_bytes((tmp_path / "yes/003.wav").read_bytes()[:1000])
    (tmp_path / "yes/x.flac").write_bytes(b"fLaC and no more")
    (tmp_path / "yes/y.ogg").write_bytes(b"OggS")
    with pytest.raises(DataError, match=r"4 files of .* cannot be used") as error:
        labelled(str(tmp_path))
    found = "\n".join(error.value.findings)
    for part in ("no/000.wav is empty", "yes/003.wav is truncated", "x.flac is not a readable FLAC", "y.ogg is not a"):
        assert part in found
    with pytest.raises(RefusedError, match="is not a readable FLAC file"):
        clip_of(b"fLaC", rate=8000, length=10)


@pytest.mark.parametrize("options", ["rate=10", "seconds=0", "seconds=100", "rate=fast"])
def test_rates_and_lengths_that_make_no_sense_are_refused(tmp_path, options):
    write(tmp_path, {"no": 3, "yes": 3})
    with pytest.raises(UsageError, match=r"sampling rate|cannot last"):
        labelled(f"sounds({options})", folder=tmp_path)
