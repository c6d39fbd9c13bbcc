"""Best and worst samples as pictures."""

from collections.abc import Iterator, Sequence

from probes.report import Picture
from reports.document import Block, Paragraph, Sample, Section, Subheading
from reports.style import CAPTION_TYPE_TITLES, ROLE_TITLES, ROLE_TOKENS, number, per_cent

__all__ = ["samples"]

_LEGEND = (
    "First row, as in the paper's Fig. 5: frames with the predicted masks, {} for the actor and {} "
    "for the target, and the outline of the truth in white. Rows below, as in its Fig. 4: the role "
    "token's attention by one or two pairs, dark for none and yellow for the most, on a scale that "
    "ends at the brightest patch of the row (at four times the mean patch at least), with the "
    "outline of the true object of that role. The frames are some of those that the language model "
    "saw."
).format("blue", "vermillion")


def samples(pictures: Sequence[Picture]) -> list[Section]:
    """Highest and lowest J&F of each role; no section without pictures."""
    if not pictures:
        return []
    return [Section("samples", "Best and worst samples", tuple(_blocks(pictures)), "Samples")]


def _blocks(pictures: Sequence[Picture]) -> Iterator[Block]:
    yield Paragraph(_LEGEND, "caption")
    for role in ("actor", "target"):
        for kind, word in (("best", "highest"), ("worst", "lowest")):
            shown = [p for p in pictures if (p.card.role, p.kind) == (role, kind)]
            if shown:
                yield Subheading(f"{ROLE_TITLES[role]}, {word} J&F")
            yield from (_sample(picture) for picture in shown)


def _sample(picture: Picture) -> Sample:
    card = picture.card
    facts = [
        f"J&F {per_cent(card.jf)}",
        card.sample_id,
        CAPTION_TYPE_TITLES.get(card.caption_type, card.caption_type),
        *([] if card.emitted else [f"no {ROLE_TOKENS[card.role]} given"]),
        f"mask share {number(card.mask_share, 2)}, mask area {number(card.mask_area, 2)}",
    ]
    return Sample(
        role=card.role,
        facts=" \N{MIDDLE DOT} ".join(facts),
        expression=card.expression,
        answer=card.text,
        caption=picture.reason or picture.caption,
        alt=picture.alt,
        image=picture.image,
    )
