"""Speed and memory, as ratios within one process: ``python -m benchmarks``."""
