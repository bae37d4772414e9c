"""Records made by hand that keep an example of every modality, for the pages that show them."""

import numpy as np

from variate.records.bits import pack
from variate.records.file import Records
from variate.records.schema import Claim, Example, Picture

CLAIM = Claim(
    network="n", fingerprint="f", inputs="i", attack="pgd", options={}, budget="linf:0.1", draws=1, verdict_draws=4,
    deployments=["single"], seed=0, settings={}, modality="image", allowed="a", drawn="keys",
)  # fmt: skip
TONE = np.round(16_000 * np.sin(2 * np.pi * 1000 / 8000 * np.arange(800))).astype("<i2")
LOUDER = (TONE + TONE // 10).astype("<i2")
KEPT = {
    "audio": {
        "shape": [1, 800], "original": TONE.tobytes().hex(), "adversarial": LOUDER.tobytes().hex(),
        "details": {"rate": 8000},
    },
    "image": {"shape": [1, 2, 2], "original": "00ff8040", "adversarial": "0aff7640"},
    "tabular": {"shape": [2], "original": "0000803e0000003f", "adversarial": "0000003f0000003f"},
    "text": {
        "shape": [3, 1], "original": "", "adversarial": "",
        "details": {"original": ["a", "<b>", "c"], "adversarial": ["a", "d", "c"], "moved": [0.0, 0.0, 0.2]},
    },
}  # fmt: skip


def records_of(modality, *, examples=1, answers=None, **kept):
    store, answers = Records(), answers or {"single": pack([1, 0, 1, 1])}
    claim = Claim(**CLAIM.model_dump() | {"deployments": list(answers)})
    store.add([claim])
    for i in range(examples):
        counts = {"label": 3, "distance": 0.1, "forwards": 1, "backwards": 1}
        store.add([Example(claim=claim.id, example=i, answers=answers, **counts)])
        store.add([Picture(claim=claim.id, example=i, label=3, modality=modality, **kept)])
    return store
