"""A bounded folder that several processes share, and that no disk can make fail."""

import os
import subprocess
import sys
import time

import pytest
import torch

from reviosa.features import FeatureStore, store


def entry(seed=0, numbers=1000):
    generator = torch.Generator().manual_seed(seed)
    return {
        "a": torch.randn(numbers, generator=generator),
        "b": torch.full((3, 5), seed).bfloat16(),
    }


def name(seed):
    return f"{seed:040x}"


def files(folder):
    return sorted(p.stem for p in folder.glob("*/*.safetensors"))


def held(folder):
    return sum(p.stat().st_size for p in folder.glob("*/*.safetensors"))


def equal(one, two):
    return one.keys() == two.keys() and all(
        one[k].dtype == two[k].dtype and torch.equal(one[k], two[k]) for k in one
    )


def test_what_is_put_is_got_bit_for_bit(tmp_path):
    kept = FeatureStore(tmp_path / "features")
    odd = {
        "nan": torch.tensor([float("nan"), -0.0, float("inf")]),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "none": torch.zeros(0, 4),
    }
    assert kept.get(name(1)) is None
    kept.put(name(1), odd)
    found = kept.get(name(1))
    assert found is not None
    for key, value in odd.items():
        assert found[key].numpy().tobytes() == value.numpy().tobytes()
        assert found[key].shape == value.shape
    assert (kept.hits, kept.misses) == (1, 1)
    assert kept.written_bytes == held(tmp_path / "features")


def test_the_least_recently_used_go_first(tmp_path):
    kept = FeatureStore(tmp_path)
    kept.put(name(0), entry())
    size = held(tmp_path)
    kept.limit = int(4.5 * size)
    for seed in (1, 2, 3):
        kept.put(name(seed), entry(seed))
    for seed in range(4):
        os.utime(tmp_path / "00" / f"{name(seed)}.safetensors", (1000 + seed, 1000 + seed))
    assert kept.get(name(0)) is not None  # now the most recent
    # Five would be 5 sizes, over 4.5. Down to 0.9 x 4.5 = 4.05 sizes the oldest goes: number 1.
    kept.put(name(4), entry(4))
    assert files(tmp_path) == [name(0), name(2), name(3), name(4)]
    assert kept.removed == 1


def test_the_limit_holds_after_every_write(tmp_path):
    one, other = (FeatureStore(tmp_path, limit=60_000) for _ in range(2))
    for seed in range(40):
        (one if seed % 2 else other).put(name(seed), entry(seed, numbers=500 + 97 * (seed % 5)))
        assert 0 < held(tmp_path) <= 60_000
        assert int((tmp_path / "account").read_text()) == held(tmp_path)
    assert name(39) in files(tmp_path)


@pytest.mark.parametrize("said", [b"", b"12", b"one hundred and many", b"9" * 20])
def test_a_wrong_account_is_made_anew(tmp_path, said):
    kept = FeatureStore(tmp_path)
    kept.put(name(0), entry())
    (tmp_path / "account").write_bytes(said)
    kept.put(name(1), entry(1))
    assert int((tmp_path / "account").read_text()) == held(tmp_path)
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:100],
        lambda data: data[:-1],
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        lambda data: data[:-4096] + bytes(4096),
        lambda data: data.replace(b'"a"', b'"c"'),
    ],
    ids=["empty", "header", "short", "bit", "zeros", "key"],
)
def test_a_damaged_file_is_not_trusted_and_replaced(tmp_path, damage):
    kept = FeatureStore(tmp_path)
    kept.put(name(0), entry())
    (path,) = tmp_path.glob("*/*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    assert kept.get(name(0)) is None
    kept.put(name(0), entry())
    found = kept.get(name(0))
    assert found is not None and equal(found, entry())


def test_a_file_of_another_entry_is_not_trusted(tmp_path):
    kept = FeatureStore(tmp_path)
    kept.put(name(0), entry())
    (path,) = tmp_path.glob("*/*.safetensors")
    path.rename(path.with_name(f"{name(1)}.safetensors"))
    assert kept.get(name(1)) is None


def test_a_file_that_is_removed_while_it_is_read_stays_readable(tmp_path):
    kept = FeatureStore(tmp_path)
    kept.put(name(0), entry(numbers=100_000))
    found = kept.get(name(0))
    (path,) = tmp_path.glob("*/*.safetensors")
    path.unlink()
    assert found is not None and equal(found, entry(numbers=100_000))


WRITER = """
import sys
from reviosa.features import FeatureStore
from tests.reviosa.features.test_store import entry, equal, name
kept = FeatureStore(sys.argv[1], limit=int(sys.argv[2]), tell=lambda text: sys.exit(text))
for turn in range(3):
    for seed in range(60):
        found = kept.get(name(seed))
        if found is None:
            kept.put(name(seed), entry(seed))
        elif not equal(found, entry(seed)):
            sys.exit(f"entry {seed} is not as it was put")
"""


@pytest.mark.parametrize("limit", [10**9, 100_000], ids=["roomy", "tight"])
def test_processes_that_write_at_once_do_not_disturb_each_other(tmp_path, limit):
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(limit)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()
    kept = FeatureStore(tmp_path)
    there = files(tmp_path)
    assert len(there) == 60 if limit == 10**9 else 0 < len(there) < 60
    for one in there:
        found = kept.get(one)
        assert found is not None and equal(found, entry(int(one, 16)))
    assert int((tmp_path / "account").read_text()) == held(tmp_path) <= limit


def test_who_holds_the_account_for_ever_stops_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_PATIENCE_S", 0.05)
    told = []
    kept = FeatureStore(tmp_path, tell=told.append)
    kept.put(name(0), entry())
    with store._opened(tmp_path / "account"):
        kept.put(name(1), entry(1))
    assert files(tmp_path) == [name(0)] and told == []
    kept.put(name(1), entry(1))
    assert files(tmp_path) == [name(0), name(1)]


def test_what_a_killed_process_left_is_cleared_in_time(tmp_path):
    kept = FeatureStore(tmp_path)
    kept.put(name(0), entry())
    fresh, old = (tmp_path / "00" / f".{x}.safetensors" for x in ("fresh", "old"))
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    (tmp_path / "account").unlink()
    kept.put(name(1), entry(1))
    assert fresh.exists() and not old.exists()


def test_a_frame_that_is_larger_than_the_limit_is_said_once(tmp_path):
    told = []
    kept = FeatureStore(tmp_path, limit=1000, tell=told.append)
    for seed in (0, 1):
        kept.put(name(seed), entry(seed))
        assert kept.get(name(seed)) is None
    assert len(told) == 1 and "the limit is 1,000; raise it" in told[0]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True
    )
    if made.returncode:
        pytest.skip("mounting a small disk takes root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_nearly_full_disk_is_left_alone(small_disk):
    told = []
    kept = FeatureStore(small_disk, tell=told.append)
    # 1,048,576 bytes, of which 5 per cent, 52,428, stay free: three of 300 kB, but not a fourth
    # of 95 kB, for which there would be room.
    for seed in range(3):
        kept.put(name(seed), entry(seed, numbers=75_000))
    assert len(files(small_disk)) == 3 and told == []
    kept.put(name(3), entry(3, numbers=24_000))
    assert len(files(small_disk)) == 3
    assert len(told) == 1 and "nearly full" in told[0]
    assert kept.get(name(0)) is not None, "what is there is still read"


def test_a_full_disk_is_told_once_and_leaves_nothing_half(small_disk, monkeypatch):
    monkeypatch.setattr(store, "_require_room", lambda *_: None)
    told = []
    kept = FeatureStore(small_disk, tell=told.append)
    for seed in range(5):
        kept.put(name(seed), entry(seed, numbers=75_000))
    assert len(told) == 1 and "No space left on device" in told[0]
    assert not list(small_disk.glob("*/.*"))
    found = [kept.get(name(seed)) for seed in range(5)]
    assert [x is not None for x in found] == [True, True, True, False, False]


def test_a_read_only_folder_is_read_and_told_once(small_disk):
    FeatureStore(small_disk).put(name(0), entry())
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    told = []
    kept = FeatureStore(small_disk, tell=told.append)
    found = kept.get(name(0))
    assert found is not None and equal(found, entry())
    for seed in (1, 2):
        kept.put(name(seed), entry(seed))
    assert len(told) == 1 and "Read-only file system" in told[0]


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path):
    (tmp_path / "file").write_text("in the way")
    told = []
    kept = FeatureStore(tmp_path / "file" / "features", tell=told.append)
    for seed in (0, 1):
        assert kept.get(name(seed)) is None
        kept.put(name(seed), entry(seed))
    assert len(told) == 1 and "Not a directory" in told[0]
