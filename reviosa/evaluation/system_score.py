"""What a system's predictions score, and by name all that keeps them from being complete."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from reviosa.data.dataset import Fault, VideoDataset
from reviosa.errors import ConfigError
from reviosa.evaluation.protocols import RoleScore, protocol_means, role_score
from reviosa.evaluation.readers import AnyPredictions
from reviosa.evaluation.rules import RULES, Means, ObjectRule
from reviosa.evaluation.scoring import ExpressionScores, score_expressions, score_objects

__all__ = ["SystemScore", "default_rule", "score_system"]

_DEFAULT_RULES: Final = {"ref-sav": "mevis", "a2d-sentences": "a2d", "jhmdb-sentences": "a2d"}
"""Rules of the layouts that have none of their own name; "interrvos" for mixtures."""


@dataclass(frozen=True)
class SystemScore:
    """Scores of a system on a data set with truth."""

    frames: ExpressionScores
    """The scores by frame, of the roles that the predictions speak of."""
    file_faults: tuple[Fault, ...]
    """What is wrong with files as such."""
    rule: str
    """Name of the averaging rule."""
    means: Means
    """What the rule gives: setting -> name -> per cent."""

    @property
    def scores(self) -> tuple[RoleScore, ...]:
        """Means over the frames: the actor of every expression, the target of every interaction."""
        return tuple(map(role_score, self.frames.roles))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with files, then with the predictions of single expressions."""
        found = self.frames.faults
        return self.file_faults + tuple(
            Fault(sample_id, what) for sample_id, told in found.items() for what in told
        )

    @property
    def complete(self) -> bool:
        """Whether all was predicted, nothing else, and none of it is faulty."""
        return not (self.frames.missing or self.frames.unknown or self.faults)

    @property
    def protocols(self) -> dict[str, dict[str, float | int | None]]:
        """Means by protocol; of a role that the predictions do not speak of, none."""
        return protocol_means(self.scores)

    def to_json(self) -> dict[str, Any]:
        """Give the protocols in per cent, then the names of all that is not as it should be."""
        return {
            **self.protocols,
            "rule": {"name": self.rule, "says": RULES[self.rule].says, "means": self.means},
            "complete": self.complete,
            "missing": list(self.frames.missing),
            "unknown": list(self.frames.unknown),
            "faults": [{"where": fault.where, "what": fault.what} for fault in self.faults],
        }


def default_rule(layout: str) -> str:
    """Name of the rule that a data set's own benchmark averages by."""
    return layout if layout in RULES else _DEFAULT_RULES.get(layout, "interrvos")


def score_system(
    dataset: VideoDataset,
    source: AnyPredictions,
    name: str,
    rule: str | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SystemScore:
    """Score all that can be scored; what is missing or faulty counts 0 and is named.

    Args:
        dataset: with truth.
        source: the predictions. A role that they do not speak of (see ``roles``) is not scored.
        name: what they are called where a file as such is faulty.
        rule: one of :data:`~reviosa.evaluation.rules.RULES`; without one, that of the layout.
        workers: processes that score.
        progress: called with the number of expressions done and of all.

    Raises:
        DataError: the truth is damaged.
        ConfigError: there is no such rule.
    """
    rule = rule or default_rule(dataset.layout)
    if rule not in RULES:
        raise ConfigError(f"got the rule {rule!r}, expected one of {', '.join(RULES)}; choose one")
    frames = score_expressions(dataset, source, workers, progress, source.roles)
    chosen = RULES[rule]
    if isinstance(chosen, ObjectRule):
        means = chosen.means(score_objects(dataset, source, workers, progress))
    else:
        means = chosen.means(frames.roles)
    faults = tuple(Fault(name, what) for what in source.faults)
    return SystemScore(frames, faults, rule, means)
