"""Trained networks on the Hugging Face Hub: the folder of a run, with a model card of what was measured.

These are functions and not methods of a random network, because it keeps its original class, and Hugging Face models
have their own ``push_to_hub`` and ``from_pretrained``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from variate.errors import CheckpointError
from variate.integrations.model_index import model_index, task_type
from variate.optional import imported
from variate.options import names_code
from variate.records.claim import Claim
from variate.records.file import RECORDS, Records
from variate.report.table import markdown
from variate.training.saved import CARD, WEIGHTS, Card, load, read_card

PAGE = "README.md"


def push_to_hub(
    folder: str | Path,
    repo_id: str,
    *,
    records: bool = True,
    private: bool = False,
    token: str | None = None,
    trust_code: bool = False,
) -> str:
    """Upload a trained network: its tensors, its card, a model card generated from its records, and the records.

    Nothing else in the folder is uploaded. The network is loaded first, so that no broken network is published.

    Args:
        folder: a folder that ``variate train`` wrote.
        repo_id: ``user/name`` on the Hub; created if it does not exist.
        records: whether to upload the records. They contain the commands as typed, including paths; the table of the
            model card can be rebuilt from them alone.
        private: whether a newly created repository is private.
        token: access token of the Hub; by default the one that ``hf auth login`` saved.
        trust_code: allow a card that names its own code, which loading runs.

    Returns:
        The URL of the commit.

    Raises:
        CheckpointError: if the folder has no valid network, or the Hub refuses the upload.
        UsageError: if huggingface_hub is not installed.
    """
    library = imported("huggingface_hub", "hub")
    source = Path(folder)
    load(source, trust_code=trust_code)
    with tempfile.TemporaryDirectory() as temporary:
        stage = Path(temporary)
        (stage / PAGE).write_text(model_card(source, repo_id), encoding="utf-8")
        record_files = [_records_of(source)] if records else []
        for path in (source / CARD, source / WEIGHTS, *record_files):
            if path is not None:
                shutil.copy(path, stage / path.name)
        api = library.HfApi(token=token)
        try:
            api.create_repo(repo_id, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repo_id, folder_path=stage, commit_message="Network and its records")
        except Exception as error:  # errors of the library and of its HTTP client
            raise CheckpointError(
                f"the Hub refused {repo_id}: {_first_line(error)}",
                todo="log in with `hf auth login`, or pass a token with write access",
            ) from error
    return str(commit.commit_url)


def from_pretrained(
    place: str | Path, *, revision: str | None = None, token: str | None = None, trust_code: bool = False
) -> nn.Module:
    """A trained network from a folder or from the Hugging Face Hub, in eval mode. Nothing is unpickled.

    Args:
        place: a folder that ``variate train`` wrote, or ``user/name`` on the Hub; an existing folder takes precedence.
        revision: branch, tag or commit of the repository.
        token: access token of the Hub, for private networks.
        trust_code: allow a card that names its own code, which is then imported and called.

    Raises:
        CheckpointError: if there is no valid network.
        UsageError: if huggingface_hub is needed and not installed.
    """
    text = str(place)
    if isinstance(place, Path) or Path(text).is_dir() or text.count("/") != 1 or text.startswith((".", "/", "~")):
        return load(Path(place).expanduser(), trust_code=trust_code)
    library = imported("huggingface_hub", "hub")
    try:
        folder = library.snapshot_download(text, revision=revision, token=token, allow_patterns=[CARD, WEIGHTS])
    except Exception as error:  # errors of the library and of its HTTP client
        raise CheckpointError(
            f"there is no folder {text}, and the Hub returned no network of that name: {_first_line(error)}",
            todo="check the name and the network connection; private networks need a token",
        ) from error
    return load(folder, trust_code=trust_code)


def model_card(folder: str | Path, repo_id: str = "user/name") -> str:
    """The model card of a trained network: what it is, how to load it, and the rates in its records.

    The rates stand in a table, and with their intervals as ``model-index`` in the metadata.

    Args:
        folder: a folder that ``variate train`` wrote.
        repo_id: where the network will be uploaded.

    Raises:
        CheckpointError: if the folder has no card.
        RecordError: if its records cannot be read.
    """
    card, path = read_card(folder), _records_of(Path(folder))
    records = None if path is None else Records(path)
    name = repo_id.rpartition("/")[2]
    parts = [_front_matter(card, name, records), f"# {name}", _facts_table(card), _usage(card, repo_id)]
    return "\n\n".join([*parts, "## Measured robustness", _measured(card, records)]) + "\n"


def _front_matter(card: Card, name: str, records: Records | None) -> str:
    facts: dict[str, Any] = {"library_name": "variate", "tags": ["variate", "adversarial-robustness", card.defense]}
    if (task := task_type(card)) is not None:
        facts["pipeline_tag"] = task
    if records is not None and (index := model_index(card, name, records)):
        facts["model-index"] = index
    lines = [f"{name}: {json.dumps(value)}" for name, value in facts.items()]  # YAML, which holds JSON
    return "\n".join(["---", *lines, "---"])


def _facts_table(card: Card) -> str:
    families = sorted(set(card.families.values()))
    rows = [
        ("architecture", card.architecture),
        ("inputs", f"{' x '.join(map(str, card.shape))} in [0, 1]; the network normalizes them itself"),
        ("classes", card.classes),
        ("trained on", card.data),
        ("defense", card.defense),
        ("objective", card.objective),
        ("random parameters", f"{len(card.families)} tensors: {', '.join(families)}" if families else "none"),
        ("seed", card.seed),
        ("versions", ", ".join(f"{name} {version}" for name, version in card.versions.items())),
        ("fingerprint", f"`{card.fingerprint}`"),
    ]
    return "\n".join(["| | |", "|:--|:--|", *(f"| {name} | {value} |" for name, value in rows)])


def _usage(card: Card, repo_id: str) -> str:
    trust_argument = ", trust_code=True" if names_code(card.architecture) else ""
    code = (
        f'import variate\n\nnet = variate.from_pretrained("{repo_id}"{trust_argument})\nlogits = net(x)  # x in [0, 1]'
    )
    note = f" Loading it needs your own module that defines `{card.architecture}`." if trust_argument else ""
    random = " Every call draws new weights; `variate.mean(net)` is the deterministic mean network."
    return (
        f"```python\n{code}\n```\n\nInstall with `pip install 'variate[hub]'`.{note}{random if card.families else ''}"
    )


def _measured(card: Card, records: Records | None) -> str:
    claims: list[Claim] = [] if records is None else list(records.claims.values())
    if records is None or not any(records.examples.get(claim.id) for claim in claims):
        return "Nothing was measured, so no robustness is claimed. `variate evaluate RUN` measures it."
    commands = list(dict.fromkeys(run.command for run in records.runs))
    return "\n\n".join([markdown(records), "Commands:", "\n".join(f"    {command}" for command in commands)])


def _records_of(folder: Path) -> Path | None:
    return next((path for path in (folder / RECORDS, folder / f"{RECORDS}.gz") if path.is_file()), None)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
