"""Where jobs run: in processes of this machine, on a Ray cluster, or under SLURM.

A job is a list of our own commands that are given one after the other in one process
(:mod:`workbench.executors.worker`). An executor only says where that process runs: its ``submit``
gives a future of the standard library, so waiting and counting is the same for all of them.
"""

from workbench.executors.engines import Engine, open_executor
from workbench.executors.job import Executor, Job, Outcome, Step

__all__ = ["Engine", "Executor", "Job", "Outcome", "Step", "open_executor"]
