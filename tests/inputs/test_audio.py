"""Sound: clips from files, what may be added to them and how loud it is, networks that hear them, the report."""

import base64
import io
import json
import os
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from torch import nn
from typer.testing import CliRunner

from variate import registry
from variate.cli.main import app
from variate.datasets.info import About, about
from variate.datasets.load import labelled
from variate.datasets.parts.wav import clip_of
from variate.datasets.splits import permutation
from variate.errors import DataError, InputError, UsageError
from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modalities.audio import Audio
from variate.models.parts.log_mel import LogMel, mel_filters
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.report.attacked import galleries
from variate.report.page import page_text
from variate.study.file import read_study
from variate.testing.modalities import check_modality
from variate.training.saved import build

AUDIO = Audio()
ATTACKS = [n for n, e in registry.entries("attacks").items() if "audio" in e.facts["modality"]]
NETWORKS = [
    name
    for name, entry in registry.entries("networks").items()
    if "audio" in entry.facts["modality"] and "classes" in entry.facts["tasks"]
]
REAL = os.environ.get("VARIATE_TEST_SPOKEN_DIGITS")
T = 24


def clips(count=4, length=T, seed=0):
    """Noise of different loudness, the last quarter of every second clip silent."""
    draw = torch.Generator().manual_seed(seed)
    loudness = torch.tensor([0.1, 0.5, 0.02, 0.9])[torch.arange(count) % 4, None, None]
    x = 0.5 + loudness * (torch.rand(count, 1, length, generator=draw) - 0.5)
    x[::2, :, -length // 4 :] = 0.5
    return x


@pytest.fixture
def toy():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(T, 8), nn.Tanh(), nn.Linear(8, 3))
    x = clips()
    return network, x, network(x).argmax(1)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("random", [False, True])
def test_every_attack_that_is_declared_for_sound_keeps_to_its_budget_and_off_the_padding(toy, name, random):
    network, x, y = toy
    norms = registry.get("attacks", name).facts["norms"]
    every = {"linf": ["linf:0.02"], "l2": ["l2:0.3", "snr:20dB", "snr:3dB"]}
    budgets = [text for norm, texts in every.items() if norm in norms for text in texts]
    assert budgets
    check_modality(AUDIO, randomize(network, scale=0.1) if random else network, x, y, budgets, attacks=[name])


def amplitudes(x):
    return (2 * x - 1).flatten(1)


@pytest.mark.parametrize("budget", ["linf:0.01", "l2:0.1", "snr:20dB", "snr:12.5dB"])
def test_pgd_adds_as_much_as_the_budget_says_in_the_waveform_s_units(toy, budget):
    network, x, y = toy
    parsed = Budget.parse(budget)
    target = Target(network, "deterministic", modality=AUDIO)
    perturbed, _ = perturb(target, Plan("pgd", 1, {"steps": 20}), parsed, x, y)
    added = amplitudes(perturbed) - amplitudes(x)
    sizes = {
        "linf": added.abs().amax(1),
        "l2": added.norm(dim=1),
        "snr": added.norm(dim=1) / amplitudes(x).norm(dim=1),
    }[parsed.norm]
    torch.testing.assert_close(sizes, torch.full((4,), parsed.eps), rtol=2e-3, atol=0)
    torch.testing.assert_close(AUDIO.reach(x, parsed).distance(perturbed), sizes, rtol=1e-4, atol=1e-6)
    assert not added[::2, -T // 4 :].any()
    assert bool((amplitudes(perturbed).abs() <= 1).all())


@pytest.mark.parametrize("budget", ["linf:0.01", "l2:0.1", "snr:20dB"])
def test_what_is_too_loud_or_in_the_padding_is_not_contained(budget):
    x = clips()
    reach = AUDIO.reach(x, Budget.parse(budget))
    eps = reach.budget.eps if budget.startswith("linf") else reach.budget.eps / 18**0.5
    scale = amplitudes(x).norm(dim=1)[:, None, None] if budget.startswith("snr") else torch.ones(4, 1, 1)
    signs = torch.sign(0.5 - x)  # towards silence, which stays in the range
    moved = torch.zeros_like(x)
    moved[..., :18] = eps * (scale * signs)[..., :18]
    assert reach.contains(x + 0.99 * moved).all()
    assert not reach.contains(x + 1.05 * moved).any()
    padded = x.clone()
    padded[:, :, -1] += 1e-4
    assert reach.contains(padded).tolist() == [False, True, False, True]


@pytest.mark.parametrize("budget", ["linf:0.01", "l2:0.1", "snr:20dB"])
def test_the_whole_range_holds_every_clip(budget):
    x = clips()
    whole = AUDIO.whole_range(x, Budget.parse(budget))
    far = torch.where(x > 0.5, 0.0, 1.0).where(x != 0.5, 0.5)
    far[1::2] = torch.where(x[1::2] > 0.5, 0.0, 1.0)
    assert AUDIO.reach(x, whole).contains(far).all()


def test_silence_is_refused_and_so_are_budgets_that_mean_nothing(toy):
    network, x, y = toy
    silent = x.clone()
    silent[2] = 0.5
    with pytest.raises(InputError) as error:
        evaluate(network, silent, y, budget="snr:20dB", attacks=["pgd"], modality=AUDIO)
    assert list(error.value.findings) == ["1 clips are silent; the first is number 2"]
    assert list(AUDIO.findings(torch.rand(2, 2, 9))) == [
        "x has shape (2, 2, 9): single-channel clips have shape (B, 1, T)"
    ]
    with pytest.raises(UsageError, match="the budget words:2 does not apply to audio inputs"):
        AUDIO.reach(x, Budget.parse("words:2"))


def facts(length=2000, classes=3):
    return About("audio", (1, length), classes, details={"rate": 8000})


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("random", [False, True])
def test_networks_hear_clips_however_loud_they_are_and_gradients_reach_the_waveform(name, random):
    torch.manual_seed(0)
    network = build(name, facts()).eval()
    module = randomize(network, scale=0.1).at(3) if random else network
    x = clips(4, 2000).requires_grad_()
    logits = module(x)
    assert logits.shape == (4, 3)
    (slope,) = torch.autograd.grad(logits.sum(), x)
    assert (slope.flatten(1).norm(dim=1) > 0).all()
    louder = 0.5 + (x.detach() - 0.5) / 2
    torch.testing.assert_close(module(louder), logits, rtol=1e-2, atol=1e-3)


def test_a_sine_is_heard_in_the_band_of_its_frequency():
    layer = LogMel(8000)
    time = torch.arange(4000) / 8000
    for frequency in (300, 1000, 3000):
        x = 0.5 + 0.25 * torch.sin(2 * torch.pi * frequency * time)[None, None]
        frames = layer(x)  # (1, N, M)
        assert frames.shape == (1, 1 + (4000 - 256) // 128, 40)
        loudest = frames.mean(1)[0].argmax()
        weights = mel_filters(8000, 256, 40)[:, round(frequency / 31.25)]
        assert weights[loudest] == weights.max()
    assert torch.equal(layer(torch.full((1, 1, 400), 0.5)), torch.full((1, 2, 40), -1.0))


def test_the_power_of_a_sine_is_that_of_its_amplitude_and_every_frequency_is_in_a_band():
    layer = LogMel(8000)
    wave = torch.sin(2 * torch.pi * 1000 * torch.arange(256) / 8000)[None, None]  # of 32 periods
    cosines, sines = nn.functional.conv1d(wave, layer.waves)[0, :, 0].square().chunk(2)
    assert float((cosines + sines)[32]) == pytest.approx(1.0, rel=1e-4)
    filters = mel_filters(8000, 256, 40)
    assert (filters.sum(0)[1:-1] > 0).all()
    assert (filters.sum(1) > 0).all()


SPEAKERS = ["anna", "ben", "carl", "dora", "emil"]


def wav(samples, rate=8000):
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


def tone(frequency, seconds=0.3, rate=8000, loud=0.4, seed=0):
    """A sine with a little noise."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.01, len(time))
    return loud * np.sin(2 * np.pi * frequency * time) + noise


def spoken(folder, takes=4, speakers=SPEAKERS):
    """A small set of recordings: low and high tones."""
    folder.mkdir(parents=True, exist_ok=True)
    for s, speaker in enumerate(speakers):
        for take in range(takes):
            for label, frequency in (("low", 400), ("high", 1500)):
                samples = tone(frequency + 20 * s + 5 * take, seed=100 * s + take)
                content = wav((samples * 32767).astype(np.int16))
                (folder / f"{label}_{speaker}_{take}.wav").write_bytes(content)
    return folder


load = registry.get("datasets", "spoken-digits").load()


def test_no_speaker_is_in_two_splits_and_an_archive_is_read_like_a_folder(tmp_path):
    folder = spoken(tmp_path / "d" / "recordings").parent
    (folder / "README.md").write_text("not sound")
    told = about("spoken-digits", folder=folder)
    assert (told.kind, told.shape, told.classes, told.labels) == ("audio", (1, 8000), 2, ("high", "low"))
    assert told.details == {
        "rate": 8000,
        "speakers": {"train": ["anna", "ben"], "validation": ["carl"], "test": ["dora", "emil"]},
        "handled": {"padded": 40},
    }
    assert [len(load(split, folder=folder)[0]) for split in ("train", "validation", "test")] == [16, 8, 16]
    x, y = load("validation", folder=folder)
    assert sorted(y.tolist()) == [0] * 4 + [1] * 4 != y.tolist()  # the first few are not of one label
    x, y = (values[torch.from_numpy(permutation(8)).argsort()] for values in (x, y))
    first = wavfile.read(folder / "recordings" / "high_carl_0.wav")[1]
    assert torch.equal(x[0, 0, :2400], torch.from_numpy(first.astype(np.float32) + 32768) / 65536)
    assert (x[..., 2400:] == 0.5).all()
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for path in sorted(folder.rglob("*.wav"), reverse=True):
            archive.write(path, f"inside/{path.name}")
        archive.writestr("__MACOSX/._high_carl_0.wav", b"no sound")
    assert torch.equal(load("validation", folder=tmp_path / "d.zip")[0], load("validation", folder=folder)[0])


def test_a_changed_file_is_read_again(tmp_path):
    folder = spoken(tmp_path / "d", takes=1)
    before = load("train", folder=folder)[0]
    (folder / "low_anna_0.wav").write_bytes(wav((tone(800) * 32767).astype(np.int16)))
    os.utime(folder / "low_anna_0.wav", ns=(2**61, 2**61))
    assert not torch.equal(load("train", folder=folder)[0], before)


def handled(folder, name, content):
    """What is done with one more file of the first speaker, and its clip: (8000,)."""
    (folder / name).write_bytes(content)
    x, _ = load("train", folder=folder)
    told = about("spoken-digits", folder=folder).details["handled"]
    own = sorted(path.name for path in folder.glob("*_anna_*.wav") if path.name.startswith("low"))
    place = sum(path.name.split("_")[1] in ("anna", "ben") for path in folder.glob("high*")) + own.index(name)
    (folder / name).unlink()
    return x[permutation(len(x)).tolist().index(place), 0], told


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32", "float64"])
def test_every_kind_of_samples_gives_the_same_amplitudes(tmp_path, kind):
    folder = spoken(tmp_path / "d", takes=1)
    samples = tone(400)
    scaled = {
        "uint8": (samples * 128 + 128).round(), "int16": samples * 2**15, "int32": samples * 2**31,
    }.get(kind, samples)  # fmt: skip
    x, _ = handled(folder, "low_anna_9.wav", wav(scaled.astype(kind)))
    expected = torch.from_numpy(samples).float()
    torch.testing.assert_close(2 * x[:2400] - 1, expected, atol=1 / 256 if kind == "uint8" else 4e-5, rtol=0)


def test_24_bits_too(tmp_path):
    folder = spoken(tmp_path / "d", takes=1)
    samples = tone(400)
    packed = b"".join(struct.pack("<i", round(value * 2**23))[:3] for value in samples)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(packed), b"WAVE", b"fmt ", 16, 1, 1, 8000, 24000, 3, 24)
    x, _ = handled(folder, "low_anna_9.wav", head + struct.pack("<4sI", b"data", len(packed)) + packed)
    torch.testing.assert_close(2 * x[:2400] - 1, torch.from_numpy(samples).float(), atol=1e-6, rtol=0)


def test_other_rates_lengths_and_channels_are_brought_to_one_and_counted(tmp_path):
    folder = spoken(tmp_path / "d", takes=1)
    samples = tone(400, seconds=0.3, loud=0.5)
    for rate in (16000, 44100, 4000):
        other, told = handled(folder, "low_anna_9.wav", wav(tone(400, rate=rate, loud=0.5).astype(np.float32), rate))
        assert told == {"padded": 11, "resampled": 1}
        middle = slice(400, 2000)  # away from where a filter begins and ends
        power = [np.mean(clip[middle] ** 2) for clip in (2 * other.numpy() - 1, samples)]
        assert power[0] == pytest.approx(power[1], rel=0.02)
        assert np.abs(np.fft.rfft(other[:2400] - 0.5)).argmax() == 120  # of 2400 samples: 400 Hz
    both = np.stack([samples, np.zeros_like(samples)], 1).astype(np.float32)
    x, told = handled(folder, "low_anna_9.wav", wav(both))
    assert told == {"averaged": 1, "padded": 11}
    torch.testing.assert_close(2 * x[:2400] - 1, torch.from_numpy(samples / 2).float(), atol=1e-6, rtol=0)
    long = tone(400, seconds=1.5)
    x, told = handled(folder, "low_anna_9.wav", wav(long.astype(np.float32)))
    assert told == {"cropped": 1, "padded": 10}
    torch.testing.assert_close(2 * x - 1, torch.from_numpy(long[:8000]).float(), atol=1e-6, rtol=0)


def test_a_clip_that_was_cut_off_at_full_scale_is_counted_and_left(tmp_path):
    folder = spoken(tmp_path / "d", takes=1)
    cut = np.clip(3 * tone(400), -1, 1)
    x, told = handled(folder, "low_anna_9.wav", wav((cut * 32767).astype(np.int16)))
    assert told == {"clipped": 1, "padded": 11}
    assert float(x.max()) == pytest.approx(1.0, abs=1e-4)
    _, told = handled(folder, "low_anna_9.wav", wav(np.array([0, 32767, 0, -32768, 9], np.int16)))
    assert "clipped" not in told


GOOD = wav((tone(400) * 32767).astype(np.int16))
BAD = {
    "no name": ("low-anna-1.wav", GOOD, "low-anna-1.wav is not named LABEL_SPEAKER_NUMBER.wav"),
    "empty": ("low_anna_7.wav", b"", "low_anna_7.wav is empty"),
    "no samples": ("low_anna_7.wav", wav(np.zeros(0, np.int16)), "low_anna_7.wav has no samples"),
    "text": ("low_anna_7.wav", b"hello, this is no sound at all", "low_anna_7.wav is not a readable WAV file: "),
    "header alone": ("low_anna_7.wav", GOOD[:30], "low_anna_7.wav is not a readable WAV file: "),
    "cut short": ("low_anna_7.wav", GOOD[:1000], "low_anna_7.wav is truncated"),
    "silent": ("low_anna_7.wav", wav(np.zeros(100, np.int16)), "low_anna_7.wav is silent"),
    "silent at first": (
        "low_anna_7.wav",
        wav(np.repeat(np.array([0, 999], np.int16), 8000)),
        "low_anna_7.wav is silent for the first 1 s, and only its first 1 s are kept",
    ),
    "silent at first, fast": (
        "low_anna_7.wav",
        wav(np.repeat(np.array([0, 999], np.int16), 24000), 16000),
        "low_anna_7.wav is silent for the first 1.5 s, and only its first 1 s are kept",
    ),
    "cancels": (
        "low_anna_7.wav",
        wav(np.tile(np.array([[300, -300]], np.int16), (900, 1))),
        "low_anna_7.wav is silent once its channels are averaged",
    ),
    "no channels": (
        "low_anna_7.wav",
        GOOD[:22] + struct.pack("<H", 0) + GOOD[24:],
        "low_anna_7.wav has a damaged header: 0 channels, 16 bits per sample, 2 bytes per frame",
    ),
    "no bytes": (
        "low_anna_7.wav",
        GOOD[:28] + struct.pack("<IHH", 0, 0, 0) + GOOD[36:],
        "low_anna_7.wav has a damaged header: 1 channels, 0 bits per sample, 0 bytes per frame",
    ),
    "too loud": ("low_anna_7.wav", wav(np.array([0.5, -3, 2], np.float32)), "low_anna_7.wav has samples from -3 to 2"),
    "nan": ("low_anna_7.wav", wav(np.array([0.5, np.nan], np.float32)), "low_anna_7.wav has NaN or infinite samples"),
    "rate": ("low_anna_7.wav", wav(np.ones(9, np.int16), 50), "low_anna_7.wav has 50 samples per second"),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_cannot_be_used_are_named_with_the_reason(tmp_path, case):
    folder = spoken(tmp_path / "d", takes=1)
    name, content, why = BAD[case]
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="1 files in") as error:
        load("train", folder=folder)
    assert error.value.findings[0].startswith(why)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_may_be_named_by_a_string(tmp_path, kind):
    folder = kind(spoken(tmp_path / "d", takes=1))
    assert about("spoken-digits", folder=folder).labels == ("high", "low")
    assert len(labelled("spoken-digits", folder=folder, split="train")[1]) > 0
    with pytest.raises(DataError, match="there is nothing at nowhere"):
        about("spoken-digits", folder=kind("nowhere"))


def test_too_few_speakers_labels_nobody_says_and_missing_places_are_explained(tmp_path):
    with pytest.raises(DataError, match="has 6 recordings of 2 labels by 3 speakers"):
        load("train", folder=spoken(tmp_path / "few", takes=1, speakers=SPEAKERS[:3]))
    folder = spoken(tmp_path / "d", takes=1)
    (folder / "odd_emil_0.wav").write_bytes(GOOD)
    with pytest.raises(DataError, match="no recording in the training split has the label odd"):
        load("train", folder=folder)
    (folder / "again").mkdir()
    (folder / "again" / "low_anna_0.wav").write_bytes(GOOD)
    with pytest.raises(DataError) as error:
        load("train", folder=folder)
    assert list(error.value.findings) == ["low_anna_0.wav appears twice"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has 0 recordings"):
        load("train", folder=tmp_path / "empty")
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"cannot read .*broken.zip"):
        load("train", folder=tmp_path / "broken.zip")
    for missing in (None, tmp_path / "none"):
        with pytest.raises(DataError) as error:
            load("train", folder=missing)
        assert "--data-folder" in error.value.todo


@pytest.mark.parametrize("network", NETWORKS)
def test_training_evaluation_report_and_export_from_the_command_line(network, tmp_path):
    data, run = spoken(tmp_path / "d", takes=2), tmp_path / "run"

    def done(*words):
        found = CliRunner().invoke(app, [str(word) for word in words])
        assert found.exit_code == 0, found.output
        return found.stdout

    train = ["train", "--data", "spoken-digits", "--data-folder", data, "--network", network, "--quiet"]
    done(*train, "--defense", "random-at", "--epochs", 1, "--attack-steps", 1, "--batch-size", 4, "--out", run)
    few = ["--data-folder", data, "--examples", 4, "--draws", 2, "--verdict-draws", 8, "--deployment", "single"]
    told = json.loads(
        done("attack", run, "--attack", "pgd(steps=2)", "--budget", "snr:20dB", *few, "--quiet", "--json")
    )
    assert {row["attack"] for row in told["rates"]} == {"clean", "pgd"}
    assert "standard, 16 draws, snr:20dB" in done("evaluate", run, "--suite", "standard", *few, "--dry-run")
    page = (tmp_path / "r.html", done("report", run, "--out", tmp_path / "r.html"))[0].read_text()
    assert "Original and adversarial clips" in page
    assert page.count("<audio controls") == 6
    done("export", run, "--format", "onnx", "--out", tmp_path / "n.onnx")
    done("export", run, "--format", "torch-export", "--mean", "--out", tmp_path / "n.pt2")


def test_the_report_plays_both_clips_as_they_were_and_says_how_loud_what_was_added_is(toy):
    network, x, y = toy
    records = Records(None)
    evaluate(
        network, x, y, budget="snr:20dB", attacks=["pgd"], modality=Audio(rate=4000), records=records, pictures=True,
        deployments=["single"],
    )  # fmt: skip
    (gallery,) = galleries(records)
    shown = [one.shown for one in gallery.networks["network"]]
    assert [one.example for one in gallery.networks["network"]] == [0, 1, 2]
    for clip, pair in zip(x, shown, strict=False):
        rate, samples = wavfile.read(io.BytesIO(base64.b64decode(pair.original.partition(",")[2])))
        assert rate == 4000
        assert np.abs(samples / 32768 - (2 * clip[0].numpy() - 1)).max() <= 0.51 / 32768
        assert pair.added.startswith(
            ("the perturbation is 20.0 dB below", "the perturbation is 19.9", "the perturbation is 20.1")
        )
    page = page_text([records])
    assert page.count('src="data:audio/wav;base64,') == 6
    assert page.count('alt="spectrogram of') == 9
    assert "media-src data:" in page


def test_the_packaged_study_is_read():
    study = read_study("spoken-digits")
    assert "spoken-digits" in str(study)


@pytest.mark.skipif(not REAL, reason="VARIATE_TEST_SPOKEN_DIGITS does not say where the recordings are")
def test_the_real_recordings_have_their_published_counts():
    sizes = [len(load(split, folder=Path(REAL))[0]) for split in ("train", "validation", "test")]
    assert sizes == [1500, 500, 1000]
    told = about("spoken-digits", folder=Path(REAL))
    assert told.labels == tuple("0123456789")
    assert told.details["speakers"]["test"] == ["theo", "yweweler"]
    assert told.details["handled"] == {"cropped": 20, "padded": 2980}


@pytest.mark.parametrize(("rate", "length"), [(383_999, 384_000), (7_919, 7_919), (1_000, 1_000), (44_100, 44_100)])
def test_a_clip_of_any_rate_is_resampled_at_once(rate, length):
    times = np.arange(length) / rate
    file = io.BytesIO()
    wavfile.write(file, rate, (20_000 * np.sin(2 * np.pi * 100 * times)).astype(np.int16))
    started = time.process_time()
    samples = clip_of(file.getvalue(), rate=8000, length=8000).samples
    assert time.process_time() - started < 2
    expected = 20_000 / 2**15 * np.sin(2 * np.pi * 100 * np.arange(8000) / 8000)
    assert np.abs(samples - expected)[200:-200].max() < 0.02
