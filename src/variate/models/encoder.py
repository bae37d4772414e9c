"""A Hugging Face encoder from a local folder, as a classifier of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.words import PADDING, Tokens
from variate.optional import imported
from variate.registry import network


@network(modality=("text",), cite="Devlin et al. 2019, arXiv:1810.04805, and its kin, as transformers has them")
class Encoder(nn.Module):
    """A pretrained encoder under the data set's own words, the mean over the words, one linear layer.

    Each word of the vocabulary begins with the mean vector of the pieces that the encoder's tokenizer cuts it into, so
    that words can be replaced and their vectors moved as in every network for texts. There are no marks for the
    beginning and the end of a text.

    Args:
        shape: of one input, (T, 1).
        classes: number of logits.
        details: of the data set: its ``words``.
        path: a folder with ``config.json``, the weights and the tokenizer; nothing is fetched from elsewhere.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, *, details: Mapping[str, Any], path: str = "") -> None:
        super().__init__()
        if not (Path(path) / "config.json").is_file():
            raise UsageError(
                f"there is no encoder at {path!r}",
                expected="a folder with config.json, the weights and the tokenizer",
                todo="--network 'encoder(path=FOLDER)'",
            )
        library = imported("transformers", "text")
        tokenizer, encoder = _opened(library, path)
        pieces = encoder.get_input_embeddings().weight.detach()
        self.tokens = Tokens(len(details["words"]), pieces.shape[1])
        with torch.no_grad():
            self.tokens.embedding.weight.copy_(_vectors(details["words"], tokenizer, pieces))
        encoder.set_input_embeddings(nn.Embedding(1, pieces.shape[1]).requires_grad_(False))  # nothing asks it
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None
        self.encoder = encoder
        self.head = nn.Linear(pieces.shape[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C) to logits of shape (B, K)."""
        vectors, there = self.tokens(x)
        hidden = self.encoder(inputs_embeds=vectors, attention_mask=there.long()).last_hidden_state  # (B, T, E)
        weights = there.to(hidden).unsqueeze(-1)
        logits: Tensor = self.head((hidden * weights).sum(1) / weights.sum(1).clamp(min=1))
        return logits


def _opened(library: Any, path: str) -> tuple[Any, Any]:
    """The tokenizer and the encoder of a folder, without a progress bar of their own."""
    bars = library.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(path, local_files_only=True)
        return tokenizer, library.AutoModel.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the encoder at {path!r}: {error}") from error
    finally:
        if shown:
            bars.enable_progress_bar()


def _vectors(words: Sequence[str], tokenizer: Any, pieces: Tensor) -> Tensor:
    """The mean vector of each word's pieces: (V, E); padding has none."""
    cut = tokenizer([*words], add_special_tokens=False)["input_ids"]
    unknown = [tokenizer.unk_token_id]
    found = [pieces[numbers or unknown].mean(0) for numbers in cut]
    found[PADDING] = torch.zeros_like(found[PADDING])
    found[PADDING + 1] = pieces[tokenizer.unk_token_id]
    return torch.stack(found)
