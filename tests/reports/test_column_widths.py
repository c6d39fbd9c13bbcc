"""Room for columns: numbers stay whole, long words share what is left."""

from reports.column_widths import column_letters, head_lines, table_lines
from reports.tables import Table


def table(columns, rows, words=1):
    return Table(columns, rows, "", text_columns=words)


def test_a_table_that_fits_gets_no_widths():
    # 4 + 5 letters and 2 x 2 between them are 13.
    small = table(("name", "score"), (("abc", "1.5"),))
    assert column_letters(small, 13) is None
    assert column_letters(small, 12) == [4, 5]


def test_heads_are_wrapped_before_numbers_are():
    found = column_letters(table(("a", "least that counts"), (("b", "0.10"),)), 10)
    # The longest word of the head has 6 letters, the number 4.
    assert found == [1, 6]
    assert head_lines("least that counts", 6) == ["least", "that", "counts"]


def test_long_words_share_the_rest_by_the_root_of_their_length():
    rows = (("x" * 100, "y" * 25, "[1.0, 2.0]"),)
    # Of 106 letters 6 are gaps and 10 the interval's; 90 are shared 10 to 5.
    assert column_letters(table(("a", "b", "c"), rows, 2), 106) == [60, 30, 10]
    # What fills many lines anyway takes no more than what fills one: 106 letters.
    rows = (("x" * 4000, "y" * 106, "[1.0, 2.0]"),)
    assert column_letters(table(("a", "b", "c"), rows, 2), 106) == [45, 45, 10]


def test_lines_of_a_table_are_those_of_its_tallest_cells():
    # 12 letters in 5 are 3 lines, 7 in 4 are 2; the second row has one line.
    rows = (("x" * 12, "1" * 7), ("x", "1"))
    assert table_lines(table(("a", "b"), rows), [5, 4]) == 3 + 1
    assert table_lines(table(("a", "b"), rows), None) == 2


def test_no_column_vanishes():
    rows = (("x" * 400, "1" * 60),)
    assert column_letters(table(("a", "b"), rows), 50) == [14, 60]


def test_a_table_without_rows_is_as_wide_as_its_heads():
    assert column_letters(table(("a", "b"), ()), 80) is None
    assert head_lines("", 5) == [""]
