r"""Plain text as LaTeX that shows it: nothing in it is a command, and pdflatex has every sign."""

import re

__all__ = ["breakable", "tex"]

LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ"
LETTER_NAMES = re.findall(
    r"\w+",
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega",
)
SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",  # the straight one lacks in the font encoding OT1
    "`": r"\textasciigrave{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{BLACK STAR}": r"$\star$",
    "\N{BULLET}": r"\textbullet{}",
    "\N{MIDDLE DOT}": r"\textperiodcentered{}",
    "\N{SUPERSCRIPT TWO}": r"\textsuperscript{2}",
    "\N{DEGREE SIGN}": r"\textdegree{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
    "\N{EN DASH}": r"\textendash{}",
    "\N{EM DASH}": r"\textemdash{}",
    "\N{LEFT DOUBLE QUOTATION MARK}": r"\textquotedblleft{}",
    "\N{RIGHT DOUBLE QUOTATION MARK}": r"\textquotedblright{}",
    "\N{LEFT SINGLE QUOTATION MARK}": r"\textquoteleft{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": r"\textquoteright{}",
    **{letter: rf"$\{name}$" for letter, name in zip(LETTERS, LETTER_NAMES, strict=True)},
}
LATIN = range(0xC0, 0x180)
"""Accented letters, which pdflatex knows as UTF-8 with the font encoding T1."""


def tex(text: str) -> str:
    """Plain text, escaped; a sign that pdflatex lacks stands as its number, ``[U+65E5]``."""
    return _escaped(" ".join(text.split()))


def breakable(text: str) -> str:
    """As :func:`tex`; long words such as paths and hashes may be broken."""
    parts = re.split(r"(\S{18,})", " ".join(text.split()))
    return "".join(
        _broken(part) if index % 2 else _escaped(part) for index, part in enumerate(parts)
    )


def _broken(word: str) -> str:
    pieces = re.findall(r"[^/_.=,:-]{1,12}[/_.=,:-]*|[/_.=,:-]+", word)
    return r"\allowbreak{}".join(map(_escaped, pieces))


def _escaped(text: str) -> str:
    # Two of these in a row would be joined to one other sign.
    return re.sub(r"([-',])(?=\1)", r"\1{}", "".join(map(_sign, text)))


def _sign(sign: str) -> str:
    if sign in SIGNS:
        return SIGNS[sign]
    if sign.isascii():
        return sign if sign.isprintable() else " "
    return sign if ord(sign) in LATIN and sign.isalpha() else f"[U+{ord(sign):04X}]"
