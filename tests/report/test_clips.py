"""Clips in reports: what is heard is what was kept, and spectrograms show it where and as loud as it is."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from shown import KEPT, LOUDER, TONE, records_of

from variate.records.schema import Picture
from variate.report.page import page_text
from variate.report.shown.audio import RANGE, clip_pair


def pair_of(original, adversarial, rate=8000):
    kept = [np.asarray(one, "<i2").tobytes().hex() for one in (original, adversarial)]
    facts = {"claim": "c", "example": 0, "label": 0, "modality": "audio", "shape": [1, len(original)]}
    return clip_pair(Picture(original=kept[0], adversarial=kept[1], details={"rate": rate}, **facts))


def content(address, kind):
    head, _, coded = address.partition(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(coded))


def shades_of(address):
    """How many decibels every place of a spectrogram is below its loudest, high frequencies first."""
    return np.asarray(Image.open(content(address, "image/png"))) / 255 * RANGE


def tone(hertz, amplitude, samples=8000):
    return np.round(amplitude * np.sin(2 * np.pi * hertz / 8000 * np.arange(samples)))


def test_what_is_heard_is_what_was_kept():
    shown = pair_of(TONE, LOUDER, rate=16_000)
    for address, expected in ((shown.original, TONE), (shown.adversarial, LOUDER)):
        rate, samples = wavfile.read(content(address, "audio/wav"))
        assert rate == 16_000
        np.testing.assert_array_equal(samples, expected)


def test_a_tone_is_black_at_its_frequency_and_white_elsewhere():
    shades = shades_of(pair_of(tone(1500, 10_000), tone(1500, 10_000)).pictures[0])  # 31.25 Hz a row
    assert shades.shape == (129, 122)
    assert set(shades.argmin(0)) == {128 - 48}
    assert shades[128 - 48].max() < 0.5
    assert shades[:60].min() == RANGE


def test_what_is_quieter_is_lighter_by_as_much_and_high_tones_are_on_top():
    both = tone(3000, 10_000) + tone(500, 200)  # 34 dB below
    shades = shades_of(pair_of(both, both).pictures[1])
    assert shades[128 - 96].max() < 0.5
    np.testing.assert_allclose(shades[128 - 16], 20 * np.log10(50), atol=1)


def test_the_three_spectrograms_have_one_scale():
    original, adversarial, added = (shades_of(one) for one in pair_of(TONE, LOUDER).pictures)
    assert adversarial.min() == 0
    assert original.min() == pytest.approx(20 * np.log10(1.1), abs=0.3)
    assert added.min() == pytest.approx(20 * np.log10(11), abs=0.3)


def test_what_was_added_is_measured_by_the_clip():
    noise = np.where(np.arange(8000) % 2, 100, -100)
    clip = np.where(np.arange(8000) % 4 < 2, 1000, -1000)
    assert (
        pair_of(clip, clip + noise).added == "the perturbation is 20.0 dB below the clip, at most 0.0031 of full scale"
    )
    assert "6.0 dB above the clip" in pair_of(clip, clip + 20 * noise).added


def test_nothing_added_is_said():
    kept = {**KEPT["audio"], "adversarial": KEPT["audio"]["original"]}
    assert "; no perturbation" in page_text([records_of("audio", **kept)])
    assert "; the perturbation is 20.0 dB below the clip" in page_text([records_of("audio", **KEPT["audio"])])


def test_a_clip_shorter_than_one_window_is_shown():
    assert pair_of(TONE[:10], LOUDER[:10]).height == 129


def test_a_clip_too_quiet_for_16_bits_is_shown():
    assert pair_of(np.zeros(800), np.ones(800)).added.startswith("the clip is silent in 16 bits")
