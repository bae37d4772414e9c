"""Evidence files: what was measured comes back and holds on fresh draws; what was changed, and where, is found."""

import contextlib
import io
import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import variate
from variate.datasets.load import labelled
from variate.errors import DataError, UsageError, VariateError
from variate.evidence.manifest import MANIFEST, README, RECORDS, hashed
from variate.records.bits import pack
from variate.records.file import Records

ATTACKS = ["fgsm", {"name": "pgd", "steps": 3, "draws": 2}]


def network(scale=0.6, seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 3)).eval()
    return variate.randomize(net, scale=scale) if scale else net


def inputs(examples=40):
    x = torch.rand(examples, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return x, variate.mean(network())(x).argmax(-1)  # right without noise


def evaluated(folder, net, *, x=None, y=None, **options):
    x, y = inputs() if x is None else (x, y)
    options = {"budget": "linf:0.1", "attacks": ATTACKS, "verdict_draws": 64, "keep_inputs": 10**7} | options
    return variate.evaluate(net, x, y, records=folder / RECORDS, **options)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder and its evidence file; the network is not saved in it."""
    folder = tmp_path_factory.mktemp("evidence")
    result = evaluated(folder, network(), suite="fgsm+pgd(steps=3)", draws=2)
    variate.write_evidence(folder, folder / "e.zip")
    return folder, result


def changed(source, target, change):
    """A copy of an archive with the members that ``change`` returns; its manifest has the right hashes of them."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members = change(members)
    manifest = json.loads(members[MANIFEST])
    for name in manifest["members"]:
        if name in members:
            manifest["members"][name] = hashed(io.BytesIO(members[name])).model_dump()
    members[MANIFEST] = json.dumps(manifest).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def test_what_was_measured_holds_on_fresh_draws(written):
    folder, result = written
    found = variate.verify(folder / "e.zip", network(), seed=3)
    assert found.holds, str(found)
    assert [check.holds for check in found.checks] == [True] * 6  # hashes, table, three budgets, network
    recorded = {(row.attack, row.deployment): row.rate for row in result.rows}
    assert {(r.recorded.attack, r.recorded.deployment): r.recorded.rate for r in found.rates} == recorded
    assert {attack for attack, _ in recorded} == {"clean", "fgsm", "pgd", "fgsm+pgd(steps=3)"}
    assert any(r.again.rate != r.recorded.rate for r in found.rates)  # other draws
    assert all(r.draws == {"single": 64, "survive-10": 64}.get(r.recorded.deployment, 4) for r in found.rates)
    assert any("seconds" in words for words in found.skipped)


def test_fresh_draws_differ_from_run_to_run_and_repeat_by_seed(written):
    folder, _ = written
    one, two, other = (variate.verify(folder / "e.zip", network(), seed=seed) for seed in (5, 5, 6))
    rates = [[r.again.rate for r in found.rates] for found in (one, two, other)]
    assert rates[0] == rates[1] != rates[2]
    assert variate.verify(folder / "e.zip", judge=False).seed != variate.verify(folder / "e.zip", judge=False).seed


def test_the_arrays_are_those_that_were_judged_and_data_reads_them(written, tmp_path):
    folder, result = written
    x, y = inputs()
    with zipfile.ZipFile(folder / "e.zip") as archive:
        archive.extractall(tmp_path)
        manifest = json.loads(archive.read(MANIFEST))
    (originals,) = manifest["originals"]
    loaded, labels = labelled(str(tmp_path / originals))
    assert torch.equal(loaded, x)
    assert torch.equal(labels, y)
    for stored in manifest["stored"]:
        adversarial, labels = labelled(str(tmp_path / stored["member"]))
        moved = (adversarial - x).abs().flatten(1).amax(1)
        assert torch.equal(labels, y)
        assert 0 < float(moved.max()) <= 0.1 + 1e-5
        if stored["attack"] == "fgsm":
            lines = result.records.examples[stored["claim"]]
            assert [lines[i].distance for i in range(40)] == pytest.approx(moved.tolist(), abs=1e-6)


def test_the_page_has_sample_sizes_intervals_budgets_and_assumptions(written):
    folder, result = written
    with zipfile.ZipFile(folder / "e.zip") as archive:
        page = archive.read(README).decode()
    for row in result.rows:
        ends = f"{100 * row.rate:.1f} | [{100 * row.low:.1f}, {100 * row.high:.1f}]"
        assert f"| {row.deployment} | {ends} | 40 | 64 |" in page
    for words in ("`linf:0.1`", "## Assumptions", "upper bound", "conformity", "Seeds", "torch"):
        assert words in page


def test_a_rate_that_was_changed_does_not_hold(written, tmp_path):
    folder, _ = written

    def better(members):
        lines = [json.loads(line) for line in members[RECORDS].decode().splitlines()]
        (fgsm,) = [line for line in lines if line["kind"] == "claim" and line["attack"] == "fgsm"]
        store = Records(folder / RECORDS)
        claim = next(claim for claim in store.claims.values() if claim.attack == "fgsm")
        for line in lines:
            if line["kind"] == "example" and line["claim"] == claim.id:
                line["answers"]["single"] = pack(np.ones(64, dtype=bool))
        assert fgsm["verdict_draws"] == 64
        return members | {RECORDS: "".join(json.dumps(line) + "\n" for line in lines).encode()}

    found = variate.verify(changed(folder / "e.zip", tmp_path / "f.zip", better), network(), seed=0)
    assert not found.holds
    assert [check.holds for check in found.checks].count(False) == 1  # the table in the manifest is another
    wrong = {(r.recorded.attack, r.recorded.deployment) for r in found.rates if not r.holds}
    assert wrong == {("fgsm", "single"), ("fgsm", "survive-10")}


def test_an_input_outside_its_budget_is_found(written, tmp_path):
    folder, _ = written

    def farther(members):
        name = next(name for name in members if "/fgsm-first" in name)
        arrays = dict(np.load(io.BytesIO(members[name])))
        arrays["x"][7] = np.clip(inputs()[0][7].numpy() + np.where(inputs()[0][7].numpy() < 0.5, 0.11, -0.11), 0, 1)
        file = io.BytesIO()
        np.savez(file, **arrays)
        return members | {name: file.getvalue()}

    found = variate.verify(changed(folder / "e.zip", tmp_path / "f.zip", farther), network(), seed=0)
    (check,) = [check for check in found.checks if not check.holds]
    assert check.what == "every input of fgsm is within linf:0.1"
    assert "1 of 40 inputs (first) are outside, the first number 7; largest distance 0.11" in check.findings[0]
    assert not variate.verify(tmp_path / "f.zip", judge=False).holds


def test_another_network_is_told(written):
    folder, _ = written
    found = variate.verify(folder / "e.zip", network(seed=1), seed=0)
    assert [check.what for check in found.checks if not check.holds] == [
        "the network is that of the records, in the same mode"
    ]
    assert not all(rate.holds for rate in found.rates)


def test_a_changed_file_is_found_by_its_hash(written, tmp_path):
    folder, _ = written
    with zipfile.ZipFile(folder / "e.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[README] += b"It is robust.\n"
    members["extra.txt"] = b"?"
    del members[RECORDS]
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    found = variate.verify(tmp_path / "f.zip", network())
    assert not found.holds
    findings = " ".join(found.checks[0].findings)
    assert f"{README} was changed" in findings
    assert f"{RECORDS} is missing" in findings
    assert "extra.txt is not in the manifest" in findings


@pytest.mark.parametrize("name", ["../evil.npz", "/etc/evil", "data/../../evil", "data\\evil", "a/b/c", ".hidden", ""])
def test_no_member_is_written_outside(written, tmp_path, name):
    folder, _ = written

    def named(members):
        manifest = json.loads(members[MANIFEST])
        manifest["members"][name] = {"sha256": "0", "bytes": 1}
        return members | {MANIFEST: json.dumps(manifest).encode(), name or "x": b"evil"}

    with pytest.raises(DataError, match="no plain file names"):
        variate.verify(changed(folder / "e.zip", tmp_path / "f.zip", named), judge=False)
    assert not list(tmp_path.parent.rglob("evil*"))


def test_archives_that_unpack_to_too_much_are_refused(written, tmp_path, monkeypatch):
    from variate.files import reading

    folder, _ = written
    monkeypatch.setattr(reading, "LIMIT", 10**6)

    def bomb(members):  # in the archive, and in an archive inside it
        return members | {name: bytes(3 * 10**6) for name in members if name == README}

    with zipfile.ZipFile(changed(folder / "e.zip", tmp_path / "f.zip", bomb)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "g.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    monkeypatch.setattr(reading, "RATIO", 2)
    with pytest.raises(DataError, match="unpacks to more"):
        variate.verify(tmp_path / "g.zip", judge=False)


def test_nothing_is_unpickled(written, tmp_path):
    folder, _ = written

    def pickled(members):
        name = next(name for name in members if "/fgsm-first" in name)
        file = io.BytesIO()
        np.savez(file, x=np.array([Evil()], dtype=object), y=np.arange(1))
        return members | {name: file.getvalue()}

    with pytest.raises(DataError, match="not unpickled"):
        variate.verify(changed(folder / "e.zip", tmp_path / "f.zip", pickled), network())


class Evil:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_damaged_archives_are_errors_of_ours(written, tmp_path):
    folder, _ = written
    content = (folder / "e.zip").read_bytes()
    draw = np.random.default_rng(0)
    for number in range(40):
        damaged = bytearray(content if number % 2 else content[: int(draw.integers(len(content)))])
        for place in draw.integers(len(damaged), size=4) if len(damaged) else ():
            damaged[place] = int(draw.integers(256))
        (tmp_path / "d.zip").write_bytes(bytes(damaged))
        with contextlib.suppress(VariateError):
            variate.verify(tmp_path / "d.zip", judge=False)
    with pytest.raises(DataError, match="no file"):
        variate.verify(tmp_path / "none.zip")


def test_what_was_not_kept_is_an_error_that_says_what_to_do(tmp_path):
    x, y = inputs(12)
    few = {"x": x, "y": y, "attacks": ["fgsm"], "verdict_draws": 32}
    evaluated(tmp_path / "a", network(), keep_inputs=None, **few)
    with pytest.raises(UsageError, match="were not kept") as error:
        variate.write_evidence(tmp_path / "a", tmp_path / "e.zip")
    assert "--keep-inputs" in error.value.todo
    with pytest.raises(UsageError, match="take up to") as error:
        evaluated(tmp_path / "b", network(), keep_inputs=100, **few)
    assert not (tmp_path / "b" / "inputs").exists()
    size = 2 * x.numel() * 4  # originals, and one attack
    evaluated(tmp_path / "b", network(), keep_inputs=size, **few)
    assert sum(path.stat().st_size for path in (tmp_path / "b" / "inputs").iterdir()) < size + 4000  # and names
    with pytest.raises(UsageError, match="in memory"):
        variate.evaluate(network(), x, y, budget="linf:0.1", attacks=["fgsm"], keep_inputs=10**6)
    variate.write_evidence(tmp_path / "b", tmp_path / "e.zip")
    with pytest.raises(UsageError, match="fingerprint of its network alone"):
        variate.verify(tmp_path / "e.zip")


def test_an_evaluation_that_was_stopped_and_resumed_keeps_every_input(tmp_path):
    x, y = inputs(12)
    options = {"x": x, "y": y, "attacks": ["fgsm"], "verdict_draws": 32}
    evaluated(tmp_path / "whole", network(), batch_size=4, **options)
    variate.write_evidence(tmp_path / "whole", tmp_path / "whole.zip")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    lines = (tmp_path / "cut" / RECORDS).read_text().splitlines(keepends=True)
    (tmp_path / "cut" / RECORDS).write_text("".join(lines[:-7]))  # before the answers of some batch were written
    for path in sorted((tmp_path / "cut/inputs").glob("*-0000008.*")):
        path.unlink()
    with pytest.raises(UsageError, match="7 of 12 examples"):
        variate.write_evidence(tmp_path / "cut", tmp_path / "cut.zip")
    evaluated(tmp_path / "cut", network(), batch_size=3, **options)
    variate.write_evidence(tmp_path / "cut", tmp_path / "cut.zip")
    arrays = []
    for name in ("whole.zip", "cut.zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            names = [member for member in archive.namelist() if member.endswith(".npz")]
            arrays.append({member: np.load(io.BytesIO(archive.read(member)))["x"] for member in names})
    assert arrays[0].keys() == arrays[1].keys()
    for name, array in arrays[0].items():
        assert np.array_equal(array, arrays[1][name])
