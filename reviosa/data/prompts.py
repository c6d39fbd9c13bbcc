"""What is asked of the model and what it should answer, as text."""

from typing import NamedTuple

import numpy as np

from reviosa.errors import DataError

__all__ = [
    "ACTOR_TOKEN",
    "CHAT_TEMPLATES",
    "QUESTIONS",
    "TARGET_QUESTION",
    "TARGET_TOKEN",
    "ChatTemplate",
    "Question",
    "answer",
    "ask_for_target",
    "has_words",
    "normalise",
    "question",
    "release_turn",
]

ACTOR_TOKEN = "[SEG_ACT]"
TARGET_TOKEN = "[SEG_TAR]"
_RESERVED = (ACTOR_TOKEN, TARGET_TOKEN, "<IMG_CONTEXT>", "<img>", "</img>", "<|")


class ChatTemplate(NamedTuple):
    """The marks around a question and its answer (REVIOSA.md 1.4)."""

    before_question: str
    before_answer: str
    after_answer: str
    """Part of what the model learns to say; generation ends with it."""


CHAT_TEMPLATES = {
    "qwen_chat": ChatTemplate(
        "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"
    ),
    # The published 4B was trained with these, which its tokenizer reads as plain text.
    "phi3_chat": ChatTemplate("<|user|>\n", "<|end|>\n<|assistant|>\n", "<|end|>"),
}
"""By the names that the release's configurations use."""

QUESTIONS = {
    "paper": "Please segment {expression} in this video.",
    "release": "Please segment {expression}.",
}
"""How an expression is asked for: in the paper (section 5.2) and in the released code."""


TARGET_QUESTION = (
    "Please segment the object that is directly interacting with {expression} in the image."
)
"""How the paper asks models that know one token for the target (its Table 4, section 5.3)."""


class Question(str):
    """A whole question, which is asked as it is where an expression is put into a wording."""

    __slots__ = ()


def has_words(expression: str) -> bool:
    """Whether there is anything to ask for: a letter or a digit, of any script."""
    return any(character.isalnum() for character in expression)


def normalise(expression: str) -> str:
    """Lower-case, without full stops and outer blanks: the form the release trains on.

    Raises:
        DataError: nothing is left.
    """
    text = expression.replace(".", "").strip().lower()
    if not has_words(text):
        raise DataError(
            f"got the empty expression {expression!r}, expected a phrase that names an object; "
            "write one such as 'a rider jumping a horse'"
        )
    return text


def question(expression: str, wording: str = QUESTIONS["paper"]) -> str:
    """An expression put into ``wording``; a :class:`Question` and one with "?" are asked as is.

    Raises:
        DataError: the expression is empty, or holds a token that only the template may write.
    """
    for token in _RESERVED:
        if token.lower() in expression.lower():
            raise DataError(
                f"got the expression {expression!r} with the token {token}, expected plain words; "
                "take the token out"
            )
    text = normalise(expression)
    if isinstance(expression, Question) or "?" in expression:
        return expression.strip()
    return wording.format(expression=text)


_RELEASE_QUESTIONS = (
    "Can you segment the {expression} in this image?",
    "Please segment {expression} in this image.",
    "What is {expression} in this image? Please respond with segmentation mask.",
    "What is {expression} in this image? Please output segmentation mask.",
    "Could you provide a segmentation mask for the {expression} in this image?",
    "Please identify and segment the {expression} in this image.",
    "Where is the {expression} in this picture? Please respond with a segmentation mask.",
    "Can you highlight the {expression} in this image with a segmentation mask?",
)
_RELEASE_POSTFIXES = (
    "please provide separate segmentation masks for each.",
    "return individual segmentation masks for the subject and the object.",
    "kindly provide two distinct segmentation masks: one for the subject and one for the object.",
    "please segment them separately and output both masks.",
    "ensure that each is segmented independently and their masks are returned separately.",
    "please distinguish between them and generate separate masks accordingly.",
    "generate and return individual masks for each of them.",
)
_RELEASE_ANSWERS = (
    "It is {roles}.",
    "Sure, {roles}.",
    "Sure, it is {roles}.",
    "Sure, the segmentation result is {roles}.",
    "{roles}.",
)


def release_turn(rng: np.random.Generator, expression: str, has_target: bool) -> tuple[str, str]:
    """A question and its answer as the released code draws them in training (REVIOSA.md 1.4).

    Each of eight questions comes with or without its last mark; a postfix that asks for two masks
    follows whether or not there are two; an expression that asks by itself is the question.

    Raises:
        DataError: as :func:`question`.
    """
    wording = str(rng.choice(_RELEASE_QUESTIONS))
    if rng.integers(2):
        wording = wording[:-1]
    asked = question(expression, wording)
    if "?" not in expression:
        postfix = rng.choice(_RELEASE_POSTFIXES)
        asked = f"{asked} If both a subject and an object are present, {postfix}"
    roles = f"{ACTOR_TOKEN} and {TARGET_TOKEN}" if has_target else ACTOR_TOKEN
    return asked, str(rng.choice(_RELEASE_ANSWERS)).format(roles=roles)


def ask_for_target(expression: str) -> Question:
    """What to ask a model without a target token, so that its one mask be the target (Table 4).

    The expression is put into :data:`TARGET_QUESTION` as :func:`normalise` leaves it, and without
    a question mark, so that it is never asked in place of the question about its target.

    Raises:
        DataError: the expression is empty.
    """
    return Question(TARGET_QUESTION.format(expression=normalise(expression.replace("?", ""))))


def answer(has_target: bool) -> str:
    """The answer that names one role token, or two where one object acts on another."""
    return f"It is {ACTOR_TOKEN} and {TARGET_TOKEN}." if has_target else f"It is {ACTOR_TOKEN}."
