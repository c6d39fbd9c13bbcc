from dataclasses import replace

import pytest

from reviosa.annotation.candidates import Candidate
from reviosa.annotation.settings import VerificationSettings
from reviosa.annotation.verify import verify
from reviosa.annotation.words import class_name, class_place, leak, normalised, refusal

CLASSES = {0: "dog", 1: "cat", 2: "adult", 3: "ball/sports_ball"}
ACTIVE = Candidate("a", "a dog chasing a cat", "unidirectional", (0,), (1,), "phrases", "p")
PASSIVE = Candidate(
    "p", "a cat being chased by a dog", "unidirectional", (1,), (0,), "phrases", "a"
)


def reasons(*items, visible=(0, 1, 2, 3)):
    return verify(items, CLASSES, visible, VerificationSettings())


def test_twins_that_are_right_pass():
    assert reasons(ACTIVE, PASSIVE) == {"a": [], "p": []}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": ""}, "it is empty"),
        ({"text": "dog"}, "1 words, 2 to 40 are allowed"),
        ({"text": "a dog chasing a cat " * 9}, "45 words"),
        ({"text": "a highlighted dog chasing a cat"}, "'highlighted'"),
        ({"text": "the dog [0] chasing a cat"}, "'[0]'"),
        ({"text": "a dog with a red outline chasing a cat"}, "'outline'"),
        ({"text": "a dog chasing the mask of a cat"}, "'mask'"),
        ({"text": "I'm sorry, I can't tell the dog from the cat"}, "a refusal"),
        ({"text": "a dog chasing a cat [SEG_ACT]"}, "the token [SEG_ACT]"),
        ({"actor_ids": (7,)}, "object 7 is none of the clip's"),
        ({"target_ids": (0,)}, "both actor and target"),
        ({"target_ids": ()}, "without a target"),
        ({"actor_ids": ()}, "with 0 objects"),
        ({"text": "a puppy chasing a cat"}, "does not name the class 'dog'"),
        ({"text": "a cat being chased by a dog"}, "not its subject, first"),
        ({"caption_type": "single"}, "single with a target"),
        ({"caption_type": "multi", "target_ids": ()}, "multi with 1 objects"),
        ({"twin": "nobody"}, "twin nobody is missing"),
    ],
)
def test_each_rule_is_told(change, words):
    item = replace(ACTIVE, **{"twin": None, **change})
    (found,) = reasons(item).values()
    assert any(words in reason for reason in found), found


def test_an_object_that_is_never_visible():
    assert reasons(replace(ACTIVE, twin=None), visible=(0,)) == {
        "a": ["object 1 is visible on no frame"]
    }


def test_twins_exchange_roles_and_words():
    same_roles = replace(PASSIVE, actor_ids=(0,), target_ids=(1,), text="a dog after a cat")
    found = reasons(ACTIVE, same_roles)
    assert all("exchange the roles" in why[0] for why in found.values())
    same_words = replace(PASSIVE, text=ACTIVE.text)
    found = reasons(ACTIVE, same_words)
    assert all("its twin has the same words" in why for why in found.values())


def test_equal_words_are_kept_once_or_not_at_all():
    one = Candidate("1", "the dog moving left", "single", (0,), (), "referring")
    again = replace(one, exp_id="2", text="The dog moving left.")
    other = Candidate("3", "dog moving left", "single", (1,), (), "referring")
    assert reasons(one, again) == {"1": [], "2": ["it says the same as 1"]}
    found = reasons(one, again, other)
    assert all("the same words mean other objects too" in why for why in found.values())


@pytest.mark.parametrize(
    ("text", "category", "place"),
    [
        ("a dog", "dog", 2),
        ("two Dogs", "dog", 4),
        ("a hotdog stand", "dog", None),
        ("a woman", "adult", 2),
        ("a little boy", "child", 9),
        ("two ponies", "pony", 4),
        ("a sports ball", "ball/sports_ball", 2),
        ("a red seat", "baby_seat", 6),
        ("two crosses", "cross", 4),
        ("a white boat", "watercraft", 8),
        ("the ripe fruit", "fruits", 9),
        ("a man on a phone", "cellphone", 11),
    ],
)
def test_classes_are_found(text, category, place):
    assert class_place(text, category) == place


def test_words():
    assert class_name("ball/sports_ball") == "ball or sports ball"
    assert normalised('The "Dog",  running.') == "dog running"
    assert leak("a man wearing a mask") is None
    assert leak("the mask moves") == "mask"
    assert leak("frame 3 shows it") == "frame 3"
    assert leak("a cat in a frame") is None
    assert leak("a dog with a thin red line around it") == "red line around"
    assert leak("a dog with a red tint") == "red tint"
    assert leak("it walks throughout the frames") == "throughout the frames"
    assert leak("a man in a shirt with a red line, glasses with black frames") is None
    assert refusal("I can\u2019t describe it") is not None
    assert refusal("a dog that can run") is None
