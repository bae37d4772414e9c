"""A network goes to the Hub and comes back the same, with a page that says what was measured. No test goes online."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest
import torch
from typer.testing import CliRunner

import variate
from variate.datasets.info import About
from variate.errors import CheckpointError, UsageError
from variate.integrations.hugging_face import from_pretrained, model_card, push_to_hub
from variate.records.file import RECORDS, Records
from variate.records.groups import shown
from variate.records.rows import rows_of
from variate.report.table import markdown
from variate.training.saved import CARD, WEIGHTS, build, read_card, save

huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs variate[hub]")


def command(*words):
    from variate.cli.main import app

    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    words = ["--data", "digits", "--network", "mlp", "--defense", "random", "--epochs", "2", "--quiet"]
    command("train", *words, "--out", folder)
    words = ["--attack", "fgsm", "--budget", "linf:0.1", "--examples", 20, "--verdict-draws", 16, "--draws", 2]
    command("attack", folder, *words, "--deployment", "single", "--quiet")
    (folder / "training.safetensors").write_bytes(b"not to be published")
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub on this disk; its calls have the signatures of the real ones."""
    place, seen = tmp_path / "hub", SimpleNamespace(tokens=[], made=[])
    api = create_autospec(huggingface_hub.HfApi, instance=True)

    def made(token=None):
        seen.tokens.append(token)
        return api

    def upload(*, repo_id, folder_path, commit_message):
        assert (repo_id, bool(commit_message)) == (seen.made[-1][0], True)
        shutil.copytree(folder_path, place / repo_id)
        return SimpleNamespace(commit_url=f"https://example.org/{repo_id}/commit/1")

    def download(repo_id, *, revision=None, token=None, allow_patterns):
        if not (place / repo_id).is_dir():
            raise huggingface_hub.errors.LocalEntryNotFoundError("no such repository")
        assert allow_patterns == [CARD, WEIGHTS]
        return str(place / repo_id)

    api.create_repo.side_effect = lambda repo_id, *, private, exist_ok: seen.made.append((repo_id, private, exist_ok))
    api.upload_folder.side_effect = upload
    monkeypatch.setattr(huggingface_hub, "HfApi", made)
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        create_autospec(huggingface_hub.snapshot_download, side_effect=download),
    )
    return SimpleNamespace(place=place, seen=seen, api=api)


def test_a_network_comes_back_the_same(run, hub):
    url = push_to_hub(run, "us/digits", private=True, token="secret")
    assert url == "https://example.org/us/digits/commit/1"
    assert (hub.seen.tokens, hub.seen.made) == (["secret"], [("us/digits", True, True)])
    found, own = from_pretrained("us/digits"), variate.load(run)
    x = torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(found.draws(x, [1, 2]), own.draws(x, [1, 2]))
    assert not found.training


def test_only_what_belongs_to_the_network_is_uploaded(run, hub):
    push_to_hub(run, "us/digits")
    assert {path.name for path in (hub.place / "us/digits").iterdir()} == {CARD, WEIGHTS, RECORDS, "README.md"}
    push_to_hub(run, "us/other", records=False)
    assert {path.name for path in (hub.place / "us/other").iterdir()} == {CARD, WEIGHTS, "README.md"}


def test_the_page_shows_the_measured_table_and_can_be_read_by_the_hub(run, hub):
    push_to_hub(run, "us/digits")
    text = (hub.place / "us/digits/README.md").read_text()
    records = Records(run / RECORDS)
    assert markdown(records) in text
    assert records.runs[0].command in text
    assert read_card(run).fingerprint in text
    card = huggingface_hub.ModelCard(text)
    assert card.data.library_name == "variate"
    assert card.data.pipeline_tag == "image-classification"
    assert 'from_pretrained("us/digits")' in text


def test_the_metadata_has_every_rate_of_the_table_with_its_interval(run):
    card = huggingface_hub.ModelCard(model_card(run, "us/digits"))
    found = {(one.metric_args["attack"], one.metric_args["deployment"]): one for one in card.data.eval_results}
    rows = [row for claim in shown(Records(run / RECORDS), "table") for row in rows_of(Records(run / RECORDS), claim)]
    assert card.data.model_name == "digits"
    assert found.keys() == {(row.attack, row.deployment) for row in rows}
    assert {attack for attack, _ in found} == {"clean", "fgsm"}
    for row in rows:
        one = found[row.attack, row.deployment]
        assert (one.task_type, one.dataset_type, one.metric_type) == ("image-classification", "digits", "accuracy")
        assert one.metric_value == pytest.approx(row.rate, abs=1e-4)
        interval = one.metric_args["interval"]
        assert (interval["low"], interval["high"]) == pytest.approx((row.low, row.high), abs=1e-4)
        assert interval["low"] <= one.metric_value <= interval["high"]
        assert one.metric_args["examples"] == 20
        assert f"{interval['low']:g} to {interval['high']:g}" in one.metric_name
    assert found["fgsm", "single"].metric_args["budget"] == "linf:0.1"


def test_where_nothing_was_measured_nothing_is_claimed(run, tmp_path):
    for name in (CARD, WEIGHTS):
        shutil.copy(run / name, tmp_path / name)
    assert "no robustness is claimed" in model_card(tmp_path)
    (tmp_path / RECORDS).write_text("")
    assert "no robustness is claimed" in model_card(tmp_path)
    assert "model-index" not in model_card(tmp_path)
    assert "no robustness is claimed" not in model_card(run)


def test_a_broken_network_is_not_published(run, hub, tmp_path):
    shutil.copytree(run, tmp_path / "b")
    path = tmp_path / "b" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(CheckpointError):
        push_to_hub(tmp_path / "b", "us/digits")
    assert not hub.seen.made


def own(shape, classes):
    return build("mlp", About("image", shape, classes, (0.5,), (0.5,)))


def test_a_network_of_own_code_must_be_trusted_on_both_sides(run, hub, tmp_path):
    card = read_card(run).model_copy(update={"architecture": f"{__name__}:own"})
    save(variate.load(run), tmp_path / "own", card)
    with pytest.raises(CheckpointError, match="names the code"):
        push_to_hub(tmp_path / "own", "us/own")
    push_to_hub(tmp_path / "own", "us/own", trust_code=True)
    with pytest.raises(CheckpointError, match="names the code"):
        from_pretrained("us/own")
    assert from_pretrained("us/own", trust_code=True) is not None
    assert "trust_code=True" in (hub.place / "us/own/README.md").read_text()


def test_a_folder_is_loaded_without_the_hub(run, hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    assert from_pretrained(run) is not None
    assert from_pretrained(str(run)) is not None
    monkeypatch.chdir(run.parent.parent)
    assert from_pretrained(f"{run.parent.name}/{run.name}") is not None  # a folder comes before a repository
    for missing in ("nowhere", "./nowhere/there", Path("us/digits")):
        with pytest.raises(CheckpointError, match="holds no saved network"):
            from_pretrained(missing)


def test_what_the_hub_refuses_is_told(run, hub):
    with pytest.raises(CheckpointError, match="no such repository"):
        from_pretrained("us/nothing")
    hub.api.create_repo.side_effect = OSError("401 Unauthorized\nmore")
    with pytest.raises(CheckpointError, match=r"refused us/digits: 401 Unauthorized\n"):
        push_to_hub(run, "us/digits")


def test_without_the_library_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    for call in (lambda: push_to_hub(run, "us/digits"), lambda: from_pretrained("us/digits")):
        with pytest.raises(UsageError, match=r"variate\[hub\]"):
            call()
