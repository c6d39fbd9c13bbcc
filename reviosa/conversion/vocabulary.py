"""The tokens that ReVIOSa adds to InternVL's, under the release's names and ours."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

from reviosa.data.prompts import ACTOR_TOKEN, TARGET_TOKEN
from reviosa.errors import CheckpointError, first_line

__all__ = ["ADDED_TOKENS", "read_tokenizer", "write_tokenizer"]

_OURS = {"[SEG]": ACTOR_TOKEN, "[SEG_OBJ]": TARGET_TOKEN}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
ADDED_TOKENS = (ACTOR_TOKEN, "<p>", "</p>", "<vp>", "</vp>", TARGET_TOKEN)
"""In the order in which the release adds them, by our names (REVIOSA.md 1.3)."""
_NEEDED = ("<img>", "</img>", "<IMG_CONTEXT>", "<|im_start|>", "<|im_end|>")


def read_tokenizer(folder: Path, known: Sequence[str] = ()) -> tuple[PreTrainedTokenizerFast, int]:
    """InternVL's, Sa2VA's or ReVIOSa's tokenizer, with every token that ReVIOSa adds.

    ``[SEG]`` and ``[SEG_OBJ]`` keep their ids under the names ``[SEG_ACT]`` and ``[SEG_TAR]``.

    Args:
        folder: where its files are.
        known: tokens of :data:`ADDED_TOKENS` that the source has already.

    Returns:
        the tokenizer, and how many ids the source knows itself; new tokens come after those.

    Raises:
        CheckpointError: there is no tokenizer, it is not that of an InternVL on Qwen2, lacks a
            token of ``known``, or reads a token with another id than its files say: ids are rows of
            the embeddings, and a file that lost an entry would shift them all.
    """
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise CheckpointError(
            f"{folder}: got neither tokenizer.json nor vocab.json, expected the tokenizer beside "
            "the weights; complete the download"
        )
    try:
        read = Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)
        table = json.loads(read.backend_tokenizer.to_str())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the tokenizers library raises bare exceptions, and panics
        raise CheckpointError(
            f"{folder}: the tokenizer cannot be read ({first_line(error)}); "
            "restore its files from their source"
        ) from None
    for token, identity in _written_ids(folder).items():
        found = read.backend_tokenizer.token_to_id(token)
        if found != identity:
            raise CheckpointError(
                f"{folder}: the tokenizer gives {token} the id {found}, its files say {identity}; "
                "an entry was lost or added, restore the files from their source"
            )
    tokenizer = Tokenizer.from_str(json.dumps(_renamed(table, _OURS)))
    lacking = [x for x in (*_NEEDED, *known) if tokenizer.token_to_id(x) is None]
    if lacking:
        raise CheckpointError(
            f"{folder}: the tokenizer has no {', '.join(lacking)}, expected that of an "
            "InternVL-2.5 on Qwen2; take the tokenizer files that came with the weights"
        )
    size = 1 + max(tokenizer.get_vocab().values())
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in ADDED_TOKENS]
    )
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="right",
    )
    return whole, size


def _written_ids(folder: Path) -> dict[str, int]:
    """Ids of added tokens, as every file of the tokenizer that names them has them."""
    found: dict[str, int] = {}
    try:
        for name in ("tokenizer_config.json", "added_tokens.json", "tokenizer.json"):
            path = folder / name
            content = json.loads(path.read_bytes()) if path.is_file() else {}
            if name == "tokenizer_config.json":
                decoder = content.get("added_tokens_decoder", {})
                found |= {x["content"]: int(i) for i, x in decoder.items()}
            elif name == "added_tokens.json":
                found |= {token: int(i) for token, i in content.items()}
            else:
                found |= {x["content"]: int(x["id"]) for x in content.get("added_tokens", [])}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder}: the added tokens cannot be read ({first_line(error)}); "
            "restore the tokenizer's files from their source"
        ) from None
    return found


def write_tokenizer(
    tokenizer: PreTrainedTokenizerFast, folder: Path, leave_out: Sequence[str] = ()
) -> None:
    """Write ``tokenizer`` as its source had it, for fast and for slow tokenizers.

    Args:
        tokenizer: of a ReVIOSa checkpoint.
        folder: where to.
        leave_out: added tokens that the layout does not know; they have to be the last ones.
    """
    table = _renamed(json.loads(tokenizer.backend_tokenizer.to_str()), _THEIRS)
    out = {_THEIRS.get(token, token) for token in leave_out}
    added = [token for token in table["added_tokens"] if token["content"] not in out]
    table["added_tokens"] = added
    _write(folder / "tokenizer.json", table)
    if table["model"]["type"] == "BPE":
        _write(folder / "vocab.json", table["model"]["vocab"])
        pairs = [x if isinstance(x, str) else " ".join(x) for x in table["model"]["merges"]]
        text = "#version: 0.2\n" + "".join(f"{pair}\n" for pair in pairs)
        (folder / "merges.txt").write_text(text, encoding="utf-8")
    _write(folder / "added_tokens.json", {x["content"]: x["id"] for x in added})
    special = [x["content"] for x in added if x["special"] and x["content"] != "<|endoftext|>"]
    marks = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    _write(folder / "special_tokens_map.json", {"additional_special_tokens": special, **marks})
    decoder = {str(x["id"]): {k: v for k, v in x.items() if k != "id"} for x in added}
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": decoder,
        "additional_special_tokens": special,
        "bos_token": None,
        "unk_token": None,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "model_max_length": 8192,
        **marks,
    }
    _write(folder / "tokenizer_config.json", settings)


def _renamed(table: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    for token in table["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    return table


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
