"""The nano model's tokenizer: the words of the synthetic world, letters for all others."""

import string

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from reviosa.data.prompts import ACTOR_TOKEN, TARGET_TOKEN
from reviosa.data.synthetic import vocabulary
from reviosa.errors import ConfigError

__all__ = ["nano_tokenizer"]

# The order fixes the ids that ReviosaConfig's nano preset names.
_SPECIAL = (
    "<pad>",
    "<|im_start|>",
    "<|im_end|>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "\n",
    "[UNK]",
    ACTOR_TOKEN,
    TARGET_TOKEN,
)
_TEMPLATE = ("user", "assistant", "Please", "segment", "in", "this", "video", "It", "is", "and")


def nano_tokenizer(vocab_size: int = 384) -> PreTrainedTokenizerFast:
    """Word pieces: one token a word the synthetic world knows, one a letter otherwise.

    Raises:
        ConfigError: the words do not fit into ``vocab_size`` ids.
    """
    letters = string.ascii_letters + string.digits + string.punctuation
    words = [*_TEMPLATE, *vocabulary(), *letters, *(f"##{x}" for x in letters)]
    tokens = list(dict.fromkeys([*_SPECIAL, *words]))
    if len(tokens) > vocab_size:
        raise ConfigError(
            f"the synthetic world has {len(tokens)} words and letters, the nano model {vocab_size} "
            "ids; raise vocab_size in its configuration"
        )
    model = models.WordPiece(
        {token: index for index, token in enumerate(tokens)}, unk_token="[UNK]"
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in _SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        unk_token="[UNK]",
        padding_side="right",
    )
