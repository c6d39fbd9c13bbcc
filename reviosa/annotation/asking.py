"""A stage: its questions are asked, but for those whose answers are kept already."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from reviosa.annotation.answers import Kept
from reviosa.annotation.llm import Desk, Request
from reviosa.annotation.sources import Dropped
from reviosa.annotation.tasks import Task
from reviosa.errors import DataError

__all__ = ["Asker"]

_BATCH: Final = 256
"""Questions between two writings of answers: a killed run draws at most so many pictures again."""


class Asker:
    """Asks the questions of a run, stage by stage.

    Args:
        desk: where they go.
        folder: where answers are kept by item.
        progress: called with questions done and in all, and the stage's name.
    """

    def __init__(
        self, desk: Desk, folder: Path, progress: Callable[[int, int, str], None] | None = None
    ) -> None:
        self.desk, self.folder, self.progress = desk, Path(folder), progress
        self.dropped: list[Dropped] = []
        """What had no answer, and why."""

    def ask(self, name: str, tasks: Sequence[Task]) -> dict[str, BaseModel]:
        """Answers by item; what has none is added to :attr:`dropped`.

        Raises:
            BudgetError: the next question might cost more than is left; all answers are kept.
            RunError: an endpoint cannot be used at all.
        """
        kept = Kept(self.folder / f"{name}.jsonl")
        answers: dict[str, BaseModel] = {}
        open_tasks: list[Task] = []
        for task in tasks:
            value = kept.get(task.item, task.digest)
            if value is None:
                open_tasks.append(task)
            else:
                answers[task.item] = task.answer.model_validate(value)
        done = len(answers)
        self._tell(done, len(tasks), name)
        for start in range(0, len(open_tasks), _BATCH):
            batch = open_tasks[start : start + _BATCH]
            requests = _Drawn(batch)
            outcome = self.desk.ask(
                requests, lambda n, _, done=done: self._tell(done + n, len(tasks), name)
            )
            for task in batch:
                if task.item in outcome.answers:
                    answer = outcome.answers[task.item]
                    kept.put(task.item, task.digest, answer.model_dump(mode="json"))
                    answers[task.item] = answer
            lost = {**outcome.dropped, **requests.unreadable}
            self.dropped += [Dropped(name, item, why) for item, why in lost.items()]
            done += len(batch)
        return answers

    def _tell(self, done: int, total: int, name: str) -> None:
        if self.progress is not None and total:
            self.progress(done, total, name)


class _Drawn:
    """Requests whose pictures are drawn one by one; a clip that cannot be read is left out."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks
        self.unreadable: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Request]:
        for task in self.tasks:
            try:
                request = task.request()
            except DataError as error:
                self.unreadable[task.item] = str(error)
                continue
            yield request
