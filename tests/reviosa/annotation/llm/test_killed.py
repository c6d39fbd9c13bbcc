"""A process that is killed at any point and started again sends no answered question twice."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reviosa.io import read_jsonl
from tests.fixtures_llm import at_random, fake_llm

ROOT = Path(__file__).parents[4]
ITEMS = 24
PROGRAM = """
import os, signal, sys
from pathlib import Path
from pydantic import BaseModel
from reviosa.annotation.llm import Desk, Request, cache
from tests.fixtures_llm import no_sleep, stage_settings

class Name(BaseModel):
    name: str

def kill_self(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

url, folder, point, items = sys.argv[1:]
done = 0
write = cache.Cache.write

def count(self, key, entry):
    global done
    if point == "before the cache" and done == 7:
        kill_self()
    write(self, key, entry)
    done += 1
    if point == "before the ledger" and done == 7:
        kill_self()

cache.Cache.write = count

def progress(finished, total):
    if point == "after an item" and finished == 7:
        kill_self()

settings = {"a": stage_settings(url, concurrency=4, retries=8)}
requests = [
    Request(f"a/{n}", "a", "Repeat.", (f"question {n}",), Name) for n in range(int(items))
]
Desk(Path(folder), settings, sleep=no_sleep).ask(requests, progress)
"""


def run_until_killed(url: str, folder: Path, point: str) -> None:
    command = [sys.executable, "-c", PROGRAM, url, str(folder), point, str(ITEMS)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


def kept(folder: Path) -> set[str]:
    """Names of the questions whose answer is in the cache."""
    return {path.stem for path in (folder / "llm" / "cache").glob("??/*.json")}


@pytest.mark.parametrize("point", ["before the cache", "before the ledger", "after an item"])
def test_a_killed_run_goes_on_where_it_was(point, desk, asks, answer, tmp_path):
    kinds = ["500", "broken JSON", "refusal", "cut connection"]
    with fake_llm(answer, at_random(0.2, seed=5, kinds=kinds), delay_s=0.002) as server:
        run_until_killed(server.url, tmp_path, point)
        before = kept(tmp_path)
        assert len(before) == 7
        sent = len(server.seen)
        finished = {
            line["item"]
            for line in read_jsonl(tmp_path / "llm" / "in_flight.jsonl")
            if line["key"] in before
        }
        assert len(finished) == 7

        requests = [asks(number) for number in range(ITEMS)]
        outcome = desk(server.url, concurrency=4, retries=8).ask(requests)
        assert (len(outcome.answers), outcome.dropped) == (ITEMS, {})
        later = {
            "a/" + seen.body["messages"][1]["content"].removeprefix("question ")
            for seen in server.seen[sent:]
        }
        assert later == {f"a/{number}" for number in range(ITEMS)} - finished
        # What had no answer when the process died is asked for again, at most 4 were on their way.
        assert sum(server.answered.values()) <= ITEMS + 4

        # Each request that was sent has its line in the ledger, those of the killed process too.
        lines = read_jsonl(tmp_path / "llm" / "ledger.jsonl")
        assert len({line["id"] for line in lines}) == len(lines) >= len(server.seen)
        assert sum(line["outcome"] == "answer" for line in lines) == ITEMS
        assert sum(line["outcome"] == "lost" for line in lines) <= 4

        total = len(server.seen)
        assert desk(server.url).ask(requests) == outcome
        assert len(server.seen) == total
