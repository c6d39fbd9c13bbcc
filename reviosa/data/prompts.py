"""What is asked of the model and what it should answer, as text."""

from reviosa.errors import DataError

__all__ = [
    "ACTOR_TOKEN",
    "TARGET_TOKEN",
    "answer",
    "ask_for_target",
    "has_words",
    "normalise",
    "question",
]

ACTOR_TOKEN = "[SEG_ACT]"
TARGET_TOKEN = "[SEG_TAR]"
_RESERVED = (ACTOR_TOKEN, TARGET_TOKEN, "<IMG_CONTEXT>", "<img>", "</img>", "<|im_")


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


def question(expression: str) -> str:
    """The paper's evaluation prompt (section 5.2); an expression that asks is asked as it is.

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
    if "?" in expression:
        return expression.strip()
    return f"Please segment {text} in this video."


def ask_for_target(expression: str) -> str:
    """What to ask a model without a target token, so that its one mask be the target (Table 4)."""
    return f"the object that is directly interacting with {expression}"


def answer(has_target: bool) -> str:
    """The answer that names one role token, or two where one object acts on another."""
    return f"It is {ACTOR_TOKEN} and {TARGET_TOKEN}." if has_target else f"It is {ACTOR_TOKEN}."
