"""Strings of spoken words: which recordings they join, in what order, and their labels."""

import numpy as np
import pytest
import torch
from scipy.io import wavfile

import variate
from variate.datasets.parts.spoken import recordings
from variate.errors import DataError, UsageError
from variate.tasks.task import task_of

SPEAKERS = ("anna", "ben", "carl", "dora", "emil")
WORDS, TAKES = ("no", "yes", "zero"), 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings of noise, every one of another length."""
    root, draw = tmp_path_factory.mktemp("spoken"), np.random.default_rng(0)
    for number, (speaker, word, take) in enumerate(
        (speaker, word, take) for speaker in SPEAKERS for word in WORDS for take in range(TAKES)
    ):
        samples = draw.integers(1, 9999, 2000 + 10 * number).astype(np.int16)
        wavfile.write(root / f"{word}_{speaker}_{take}.wav", 8000, samples)
    return root


def parts_of(clip, sounds):
    """Indices of the recordings that a clip (1, T) joins, found by their samples."""
    samples, start, found = 2 * clip[0].numpy() - 1, 0, []
    while samples[start:].any():
        (match,) = [
            index for index, sound in enumerate(sounds) if np.allclose(samples[start : start + 9], sound[:9], atol=1e-6)
        ]
        assert np.allclose(samples[start : start + len(sounds[match])], sounds[match], atol=1e-6)
        found.append(match)
        start += len(sounds[match])
    return found


def test_strings_join_recordings_of_one_speaker_and_labels_name_them(folder):
    spoken = recordings(folder, rate=8000, length=8000)
    sounds = [np.trim_zeros(row, "b") for row in spoken.samples]
    used = {}
    for split, speakers in (("train", {"anna", "ben"}), ("validation", {"carl"}), ("test", {"dora", "emil"})):
        x, y = variate.data("digit-strings", split, folder=folder)
        assert x.shape == (len(speakers) * len(WORDS) * TAKES, 1, 24_000)
        assert (y.shape, y.dtype) == ((len(x), 4), torch.int64)
        assert set((y >= 0).sum(1).tolist()) == {2, 3, 4}
        assert not list(task_of("transcript(symbols=3)").label_findings(y, len(x)))
        strings = [parts_of(clip, sounds) for clip in x]
        for string, label in zip(strings, y.tolist(), strict=True):
            assert [spoken.labels[index] for index in string] == [symbol for symbol in label if symbol >= 0]
            assert len({spoken.speakers[index] for index in string}) == 1
        assert {spoken.speakers[index] for string in strings for index in string} == speakers
        used[split] = np.bincount([index for string in strings for index in string])
    train = used["train"][[index for index, name in enumerate(spoken.speakers) if name in ("anna", "ben")]]
    assert train.max() - train.min() <= 1 + 1  # the two speakers have strings of their own


def test_the_facts_name_the_task_and_how_recordings_were_handled(folder):
    facts = variate.about("digit-strings", folder=folder)
    assert (facts.kind, facts.shape, facts.classes, facts.labels) == ("audio", (1, 24_000), 3, WORDS)
    assert (facts.task, facts.budget) == ("transcript(symbols=3)", "snr:20dB")
    assert facts.details["rate"] == 8000
    assert facts.details["speakers"]["test"] == ["dora", "emil"]
    assert facts.details["handled"] == {"padded": 60, "strings shortened": 0}


def test_seed_and_lengths_are_options(folder):
    def first(options):
        return variate.data(f"digit-strings{options}", "train", folder=folder)

    (x, y), (again, _), (other, _) = first(""), first("(seed=0)"), first("(seed=1)")
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    x, y = first("(least=1, most=1)")
    assert (x.shape[2], y.shape[1]) == (8_000, 1)
    for options in ("(least=3, most=2)", "(most=21)", "(least=0)", "(least=two)", "(seed=-1)"):
        with pytest.raises(UsageError):
            first(options)


def test_a_recording_beyond_the_end_is_left_out_with_its_label(tmp_path):
    samples = np.full(8000, 999, np.int16)
    for speaker in SPEAKERS:
        for word in WORDS:
            wavfile.write(tmp_path / f"{word}_{speaker}_0.wav", 8000, samples)
    x, y = variate.data("digit-strings(least=4, most=4)", "test", folder=tmp_path)
    assert ((x != 0.5).sum((1, 2)) == 24_000).all()  # three seconds of the four
    assert ((y >= 0).sum(1) == 3).all()
    assert (y[:, 3] == -1).all()
    about = variate.about("digit-strings(least=4, most=4)", folder=tmp_path)
    assert about.details["handled"]["strings shortened"] == 15


def test_without_recordings_the_error_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="no recordings were given"):
        variate.data("digit-strings")
    with pytest.raises(DataError, match="0 recordings of 0 labels"):
        variate.data("digit-strings", folder=tmp_path)
