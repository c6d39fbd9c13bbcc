"""The published tables hold what the paper prints, typed here again from its text."""

import pytest

from reviosa.evaluation.published import EVALUATION_EXPRESSIONS, TABLES

# Rows as in the paper's text, "-" for what it does not print.
TABLE_2 = """
ReferFormer     59.1 59.9 59.5  - - -           52.0 53.2 52.6
LMPM            51.1 54.1 52.6  - - -           45.1 48.3 46.7
VISA-7B         57.8 57.6 57.7  - - -           49.2 50.4 49.8
VideoLISA-3.8B  68.4 68.0 68.2  - - -           61.5 61.9 61.7
Sa2VA-1B        69.9 72.6 71.3  - - -           55.4 58.7 57.0
Sa2VA-4B        69.6 72.3 71.0  - - -           58.1 61.0 59.5
ReVIOSa-1B      71.8 74.7 73.3  65.9 68.9 67.4  60.2 63.8 62.0
ReVIOSa-4B      73.2 75.8 74.5  67.1 69.5 68.3  63.0 66.1 64.5
"""
TABLE_4 = """
VISA-7B         14.2 24.2 19.2
VideoLISA-3.8B  8.5 17.7 13.1
Sa2VA-4B        21.2 27.2 24.2
"""
# By benchmark: trained on ReVOS, on Ref-SAV, on InterRVOS-127K; ReVIOSa on InterRVOS-127K.
TABLE_5 = {
    "MeViS valid": (39.6, 32.8, 40.4, 42.4),
    "MeViS valid_u": (49.1, 40.1, 49.5, 50.1),
    "Ref-YouTube-VOS": (57.5, 54.2, 61.2, 60.3),
    "Ref-DAVIS": (62.8, 62.1, 65.9, 66.2),
}


@pytest.mark.parametrize(("number", "text"), [(2, TABLE_2), (4, TABLE_4)])
def test_tables_of_settings(number, text):
    printed = [line.split() for line in text.strip().splitlines()]
    table = TABLES[number]
    assert [row.system for row in table.rows] == [line[0] for line in printed]
    for row, line in zip(table.rows, printed, strict=True):
        assert len(row.scores) == len(table.columns)
        values = [
            value
            for score in row.scores
            for value in ((score.j, score.f, score.jf) if score else (None, None, None))
        ]
        assert values == [None if word == "-" else float(word) for word in line[1:]]


def test_transfer():
    table = TABLES[5]
    assert table.columns == tuple(TABLE_5)
    assert table.parts == ("J&F",)
    for column, values in zip(range(4), TABLE_5.values(), strict=True):
        assert tuple(row.scores[column].jf for row in table.rows) == values


def test_jf_is_the_mean_of_j_and_f_as_far_as_was_rounded():
    for number in (2, 4):
        for row in TABLES[number].rows:
            for score in filter(None, row.scores):
                # Each of J, F and J&F was rounded to 0.1 by itself.
                assert abs((score.j + score.f) / 2 - score.jf) <= 0.1 + 1e-9


def test_size_of_the_evaluation_split():
    # 127,236 in all, 122,188 of them for training.
    assert EVALUATION_EXPRESSIONS == 127_236 - 122_188 == 5_048
