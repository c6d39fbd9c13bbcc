from reports.style import count, interval, number, pair_label, per_cent, with_interval


def test_numbers_say_when_there_is_none():
    assert number(None) == per_cent(None) == interval(None) == with_interval(None, None) == "n/a"


def test_numbers_are_rounded_from_the_exact_value():
    assert number(0.12345, 3) == "0.123"
    assert number(-0.5, 1) == "\N{MINUS SIGN}0.5"
    assert number(-0.0004, 3) == "0.000"  # never "-0.000"
    assert per_cent(0.5) == "50.0"
    assert with_interval(0.5, (0.25, 0.75), 2) == "0.50 [0.25, 0.75]"
    assert with_interval(0.5, None, 2) == "0.50"


def test_words():
    assert count(1, "video") == "1 video"
    assert count(1234, "video") == "1,234 videos"
    # The paper's Fig. 4: "L22H07 denotes the 7th head of the 22nd layer".
    assert pair_label(22, 7) == "L22H07"
