"""The closed lists of the synthetic world.

The order is fixed: the index of a word is its label in pretraining. Append, never reorder.
"""

__all__ = [
    "COLORS",
    "COLOR_RGB",
    "COUNTS",
    "MOTIONS",
    "MOTION_CLAUSES",
    "MUTUAL_PHRASES",
    "MUTUAL_VERBS",
    "PLURALS",
    "SHAPES",
    "SIZES",
    "TEXTURES",
    "VERBS",
    "VERB_PHRASES",
    "is_held_out",
    "names_a_look",
    "vocabulary",
]

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "diamond", "moon")
COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "white")
TEXTURES = ("plain", "striped", "dotted")
SIZES = ("small", "large")
VERBS = ("push", "pull", "chase", "hit", "carry", "orbit", "approach", "jump", "pass")
"""One object acts on another: an actor and a target."""
MUTUAL_VERBS = ("together", "apart", "bump", "revolve")
"""Two objects act alike: no target."""
MOTIONS = ("still", "left", "right", "up", "down", "bouncing", "swaying", "spinning", "other")
"""What an object does by itself; "other" has no phrase."""

COLOR_RGB = {
    "red": (214, 38, 38),
    "green": (44, 160, 52),
    "blue": (46, 74, 222),
    "yellow": (242, 216, 48),
    "purple": (142, 52, 178),
    "orange": (246, 132, 24),
    "cyan": (56, 206, 214),
    "white": (244, 244, 240),
}

VERB_PHRASES = {
    "push": ("pushing", "being pushed by"),
    "pull": ("pulling", "being pulled by"),
    "chase": ("chasing", "being chased by"),
    "hit": ("hitting", "being hit by"),
    "carry": ("carrying", "being carried by"),
    "orbit": ("orbiting", "being orbited by"),
    "approach": ("approaching", "being approached by"),
    "jump": ("jumping over", "being jumped over by"),
    "pass": ("overtaking", "being overtaken by"),
}
"""Verb -> (active, passive)."""

MUTUAL_PHRASES = {
    "together": "moving together",
    "apart": "moving apart",
    "bump": "bumping into each other",
    "revolve": "orbiting each other",
}

MOTION_CLAUSES = {
    "still": ("that stays still", "that stay still"),
    "left": ("moving left", "moving left"),
    "right": ("moving right", "moving right"),
    "up": ("moving up", "moving up"),
    "down": ("moving down", "moving down"),
    "bouncing": ("bouncing up and down", "bouncing up and down"),
    "swaying": ("swaying from side to side", "swaying from side to side"),
    "spinning": ("spinning", "spinning"),
}
"""Motion -> clause after a (singular, plural) noun."""

PLURALS = {shape: shape + "s" for shape in SHAPES} | {"cross": "crosses", "object": "objects"}

COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
"""Numbers that are said in words; larger groups are "all the ..."."""

GRAMMAR_WORDS = ("the", "all", "and", "another", "something", "object")


def vocabulary() -> tuple[str, ...]:
    """Every word that any expression of the synthetic world can hold, sorted."""
    phrases: list[str] = [*SIZES, *COLORS, *TEXTURES, *SHAPES, *GRAMMAR_WORDS]
    phrases += [*PLURALS.values(), *COUNTS.values(), *MUTUAL_PHRASES.values()]
    for pair in [*VERB_PHRASES.values(), *MOTION_CLAUSES.values()]:
        phrases += pair
    return tuple(sorted({word for phrase in phrases for word in phrase.split()}))


def is_held_out(color: str, shape: str, verb: str) -> bool:
    """Whether an actor of this colour and shape doing this is kept for testing.

    One triple in eight: every pair of the three is still met in training, and every colour and
    shape has at least one verb that is kept.
    """
    place = 3 * COLORS.index(color) + SHAPES.index(shape) + 5 * VERBS.index(verb)
    return place % 8 == 0


_LOOKS = {*SHAPES, *COLORS, *TEXTURES, *SIZES, *PLURALS.values()} - {"objects"}


def names_a_look(text: str) -> bool:
    """Whether any word of an expression says what an object looks like."""
    return not _LOOKS.isdisjoint(text.split())
