"""What words say: names of classes, traces of the marking, refusals."""

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = [
    "class_name",
    "class_place",
    "leak",
    "list_labels",
    "normalised",
    "refusal",
    "word_count",
]

_LABEL = re.compile(r"\[\s*(\d+)\s*\]")
_LEAKS = re.compile(
    r"\[\s*\d+\s*\]|\bhighlight(?:ed|ing)?\b|\boutlin(?:e|es|ed|ing)\b|\bcontours?\b|\boverlays?\b"
    r"|\bbounding box(?:es)?\b|\bsegment(?:ed|ation)\b|\bannotat\w+|\blabell?ed\b"
    r"|\bmarked (?:object|region|area|in)\b"
    r"|\b(?:object|id|subject) #?\d+\b|\b(?:frame|image|picture) \d+\b"
    # The words by which the questions tell of the marking.
    r"|\b(?:red(?:dish)?|colou?red) tints?\b|\btint(?:ed)? (?:in )?red\b"
    r"|\b(?:red|colou?red|thin) (?:line|border)s? (?:around|surround|runs?\b|running)"
    r"|\b(?:over|across|throughout|in) (?:all|most|the) (?:of )?(?:the )?"
    r"(?:first |last |later |early |following )?frames\b",
    re.IGNORECASE,
)
# A person may wear a mask; the marking's mask is never worn.
_MASK = re.compile(r"\bmask(?:s|ed)?\b", re.IGNORECASE)
_WORN = re.compile(
    r"\b(?:wear\w*|face|surgical|ski|gas|div\w+|snorkel\w*|costume|puts? on|takes? off)\b",
    re.IGNORECASE,
)
_REFUSALS = re.compile(
    r"\b(?:i'?m sorry|i am sorry|i apologi[sz]e|i (?:can ?not|can'?t|am unable|'m unable|could not)"
    r"|as an ai|unable to (?:describe|determine|identify|see|tell)|cannot (?:be determined|tell)"
    r"|not (?:clear|visible) enough|no object is)",
    re.IGNORECASE,
)
_OTHER_WORDS = {
    "adult": ("person", "man", "woman", "lady", "guy", "people", "men", "women", "adult"),
    "child": ("child", "children", "kid", "boy", "girl", "toddler", "person", "people"),
    "baby": ("baby", "babies", "infant", "toddler", "child", "children"),
    "person": ("person", "people", "man", "woman", "men", "women", "boy", "girl", "child"),
    "man": ("man", "men"),
    "woman": ("woman", "women"),
    "mouse": ("mouse", "mice"),
    "fruits": ("fruit",),
    "vegetables": ("vegetable",),
    "watercraft": ("boat", "ship", "canoe", "kayak"),
    "aircraft": ("plane", "airplane", "helicopter"),
    "bicycle": ("bike",),
    "motorcycle": ("motorbike", "bike"),
    "cellphone": ("phone", "smartphone"),
    "refrigerator": ("fridge",),
    "screen": ("tv", "television"),
    "knife": ("knives",),
}
"""VidOR says "adult" or "watercraft" where nobody would; irregular plurals."""


def class_name(category: str) -> str:
    """A class as it is told to a model: ``"ball/sports_ball"`` is ``"ball or sports ball"``."""
    return " or ".join(_alternatives(category))


def class_place(text: str, category: str) -> int | None:
    """Where a text first names a class, in characters; None where it does not.

    Any of the class's alternatives counts, in the singular or plural; of VidOR's classes of people
    also the words that are said of them.
    """
    found = _pattern(category).search(text)
    return None if found is None else found.start()


def leak(text: str) -> str | None:
    """The first words that speak of the marking on the pictures, None where there are none."""
    found = _LEAKS.search(text)
    if found is None and not _WORN.search(text):
        found = _MASK.search(text)
    return None if found is None else found.group()


def refusal(text: str) -> str | None:
    """Words by which a model says that it does not answer, None where there are none."""
    found = _REFUSALS.search(text.replace("\u2019", "'"))
    return None if found is None else found.group()


def list_labels(text: str) -> list[int]:
    """Object ids that stand as ``[id]`` in a text, each once, in order."""
    return list(dict.fromkeys(int(x) for x in _LABEL.findall(text)))


def word_count(text: str) -> int:
    """How many words there are."""
    return len(text.split())


def normalised(text: str) -> str:
    """A text without what does not change its meaning: case, punctuation, a leading article."""
    words = re.sub(r"[^\w\s'-]", " ", text.casefold()).split()
    return " ".join(words[1:] if words[:1] in (["a"], ["an"], ["the"]) else words)


def _alternatives(category: str) -> list[str]:
    names = (part.replace("_", " ").strip().casefold() for part in category.split("/"))
    return [name for name in dict.fromkeys(names) if name]


@lru_cache(maxsize=512)
def _pattern(category: str) -> re.Pattern[str]:
    words: list[str] = []
    for name in _alternatives(category):
        words += [name, name.split()[-1], *_OTHER_WORDS.get(name, ())]
    return re.compile(rf"\b(?:{'|'.join(_forms(words))})\b", re.IGNORECASE)


def _forms(words: Iterable[str]) -> list[str]:
    forms: list[str] = []
    for word in dict.fromkeys(words):
        forms += [re.escape(word) + ending for ending in ("", "s", "es")]
        if word.endswith("y"):
            forms.append(re.escape(word[:-1]) + "ies")
    return sorted(forms, key=len, reverse=True)
