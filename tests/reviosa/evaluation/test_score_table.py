"""Per-expression scores on disk."""

import pandas as pd
import pytest

from reviosa.errors import DataError
from reviosa.evaluation import RoleScore, read_scores, write_scores

SCORES = (
    RoleScore("park", "0", "actor", "unidirectional", 0.5, 0.7, False),
    RoleScore("park", "0", "target", "unidirectional", 0.0, 0.0, True),
    RoleScore("sea", "10", "actor", "single", 0.1, 0.3, False),
)


def test_scores_come_back_with_the_mean_of_j_and_f(tmp_path):
    write_scores(tmp_path / "scores.parquet", SCORES)
    table = read_scores(tmp_path / "scores.parquet")
    assert table.sample_id.tolist() == [score.sample_id for score in SCORES]
    assert table.jf.tolist() == pytest.approx([0.6, 0.0, 0.2])
    assert table.missing.tolist() == [False, True, False]
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_no_score_is_a_table_too(tmp_path):
    write_scores(tmp_path / "scores.parquet", ())
    assert len(read_scores(tmp_path / "scores.parquet")) == 0


def test_a_file_that_holds_no_scores_says_so(tmp_path):
    with pytest.raises(DataError, match="cannot read the scores"):
        read_scores(tmp_path / "absent.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot read the scores"):
        read_scores(tmp_path / "torn.parquet")
    pd.DataFrame({"j": [0.1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="without 'video_id'"):
        read_scores(tmp_path / "other.parquet")
