"""Files of the first format: refused with what to do, and converted with the same numbers."""

import gzip
import hashlib
import json

import numpy as np
import pytest

from variate.errors import RecordError
from variate.records.bits import pack
from variate.records.convert import convert, main
from variate.records.file import Records
from variate.records.schema import UNKNOWN
from variate.report.table import markdown, study_rows

RATES = {"random, seed 0": 0.5, "random, seed 1": 0.6, "random, seed 0, mean network": 0.4, "random, distilled": 0.3}


def first_format():
    """Lines as the first format had them: a claim's id was a hash of its line, and names told twins and seeds."""
    run = {"kind": "run", "command": "c", "date": "2026-01-01", "machine": "m", "versions": {}, "seed": 0}
    lines = [run | {"data": "digits", "shape": [1], "examples": 20, "title": "t"}]
    facts = {"architecture": "mlp", "defense": "random", "objective": "o", "parameters": 1, "random": True, "epochs": 1}
    facts |= {"fingerprint": "f", "training": {"data": "digits"}, "validation": None, "seconds": 1.0}
    lines += [{"kind": "network", "network": f"random, seed {seed}", "seed": seed, **facts} for seed in (0, 1)]
    for name, share in RATES.items():
        draws = 8 if name in ("random, seed 0", "random, seed 1") else 1
        part = "table" if draws > 1 else "twins"
        line = {
            "kind": "claim", "network": name, "fingerprint": "f" if name.startswith("random, seed 0") else name,
            "inputs": "i", "attack": "pgd", "options": {"steps": 2}, "budget": "linf:0.1", "draws": 1,
            "verdict_draws": draws, "deployments": ["single"], "seed": 0, "part": part,
        }  # fmt: skip
        lines.append(line)
        number = hashlib.blake2b(_written(line), digest_size=8).hexdigest()
        right = np.random.default_rng(0).random((draws, 20)) < share
        for i in range(20):
            kept = {
                "kind": "example",
                "claim": number,
                "example": i,
                "label": 0,
                "answers": {"single": pack(right[:, i])},
            }
            lines.append(kept | {"distance": 0.1, "forwards": 1, "backwards": 1})
    return b"".join(_written(line) + b"\n" for line in lines)


def _written(line):
    return json.dumps(line, separators=(",", ":")).encode()


@pytest.mark.parametrize("name", ["records.jsonl", "records.jsonl.gz"])
def test_the_numbers_stay_and_what_names_said_stands_in_fields(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(first_format()) if path.suffix == ".gz" else first_format())
    with pytest.raises(RecordError, match=r"format 1[^\0]*variate.records.convert"):
        Records(path)
    assert main([str(path)]) == 0
    records = Records(path)
    claims = {claim.network: claim for claim in records.claims.values()}
    for name_, share in RATES.items():
        draws = 8 if name_ in ("random, seed 0", "random, seed 1") else 1
        right = np.random.default_rng(0).random((draws, 20)) < share
        assert (records.answers(claims[name_], "single") == right).all()
    assert {claim.allowed for claim in claims.values()} == {UNKNOWN}
    assert claims["random, seed 0, mean network"].twin_of == claims["random, seed 0"].fingerprint
    assert claims["random, distilled"].twin_of is None
    assert [claim.group for claim in claims.values()] == ["random", "random", "random, mean network", None]
    assert {claim.modality for claim in claims.values()} == {"image"}
    assert len(study_rows(records, "table")) == 2
    assert "random, 2 seeds" in markdown(records)
    before = path.read_bytes()
    assert convert(path) == 0
    assert path.read_bytes() == before


def test_what_is_no_file_of_records_is_left_as_it_is(tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text('{"flour": 3}\n')
    with pytest.raises(RecordError, match="not a file of records"):
        convert(path)
    assert path.read_text() == '{"flour": 3}\n'
    assert main([]) == 2
