"""A text classifier on a Hugging Face encoder from a local folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.files.reading import reading
from variate.inputs.words import PADDING, Tokens
from variate.optional import imported
from variate.registry import network

EXPECTED = "a folder with config.json, the weights as model.safetensors, and the tokenizer, without code of its own"
TODO = "load it yourself if you trust it, and write it again with save_pretrained(FOLDER)"


@network(modality=("text",), cite="Devlin et al. 2019, arXiv:1810.04805, and related encoders of transformers")
class Encoder(nn.Module):
    """A pretrained encoder on the words of the data set, mean pooling over words, one linear layer.

    The embedding of each word starts as the mean vector of the subwords that the encoder's tokenizer splits it into, so
    that words can be replaced and their vectors moved as in every network for texts. There are no special
    tokens for the beginning and the end of a text.

    Args:
        shape: shape of one input, (T, 1).
        classes: number of classes, K.
        details: details of the data set, with its vocabulary as ``words``.
        path: a folder with ``config.json``, the weights as safetensors, and the tokenizer; nothing is downloaded, and
            folders that need their own code are refused.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, *, details: Mapping[str, Any], path: str = "") -> None:
        super().__init__()
        if not (Path(path) / "config.json").is_file():
            raise UsageError(
                f"there is no encoder at {path!r}",
                expected=EXPECTED,
                todo="--network 'encoder(path=FOLDER)'",
            )
        library = imported("transformers", "text")
        tokenizer, encoder = _load(library, path)
        subwords = encoder.get_input_embeddings().weight.detach()
        self.tokens = Tokens(len(details["words"]), subwords.shape[1])
        with torch.no_grad():
            self.tokens.embedding.weight.copy_(_word_vectors(details["words"], tokenizer, subwords))
        encoder.set_input_embeddings(
            nn.Embedding(1, subwords.shape[1]).requires_grad_(False)
        )  # unused: it gets vectors
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None
        self.encoder = encoder
        self.head = nn.Linear(subwords.shape[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C) to logits of shape (B, K)."""
        vectors, mask = self.tokens(x)
        hidden = self.encoder(inputs_embeds=vectors, attention_mask=mask.long()).last_hidden_state  # (B, T, E)
        weights = mask.to(hidden).unsqueeze(-1)
        logits: Tensor = self.head((hidden * weights).sum(1) / weights.sum(1).clamp(min=1))
        return logits


def _load(library: Any, path: str) -> tuple[Any, Any]:
    """Load the tokenizer and the encoder of a folder, without progress bars.

    No code of the folder runs and nothing is unpickled. Raises ``UsageError``.
    """
    bars = library.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        with reading(f"the encoder at {path!r}", UsageError, expected=EXPECTED, todo=TODO):
            options = {"local_files_only": True, "trust_remote_code": False}
            tokenizer = library.AutoTokenizer.from_pretrained(path, **options)
            return tokenizer, library.AutoModel.from_pretrained(path, use_safetensors=True, **options)
    finally:
        if shown:
            bars.enable_progress_bar()


def _word_vectors(words: Sequence[str], tokenizer: Any, subwords: Tensor) -> Tensor:
    """The mean vector of each word's subwords: (V, E); zero for padding."""
    tokenized = tokenizer([*words], add_special_tokens=False)["input_ids"]
    unknown = [tokenizer.unk_token_id]
    vectors = [subwords[ids or unknown].mean(0) for ids in tokenized]
    vectors[PADDING] = torch.zeros_like(vectors[PADDING])
    vectors[PADDING + 1] = subwords[tokenizer.unk_token_id]
    return torch.stack(vectors)
