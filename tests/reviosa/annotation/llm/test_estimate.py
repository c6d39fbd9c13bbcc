import io
import json
import math

import pytest
from PIL import Image

from reviosa.annotation.llm import Estimate
from reviosa.annotation.llm.estimate import picture_tokens, tokens_of
from reviosa.annotation.llm.messages import strict_schema
from tests.fixtures_llm import fake_llm


@pytest.mark.parametrize(
    ("width", "height", "tiles"),
    [
        (1, 1, 1),
        (512, 512, 1),
        (513, 512, 2),
        (640, 360, 2),
        (640, 640, 4),
        (768, 768, 4),
        (1024, 1024, 4),  # to 768 x 768
        (1280, 720, 6),  # 3 x 2
        (1920, 1080, 6),  # to 1365 x 768: 3 x 2
        (2048, 4096, 6),  # to 1024 x 2048, then 768 x 1536: 2 x 3
        (4096, 512, 4),  # to 2048 x 256
        (4096, 1, 4),
    ],
)
def test_a_picture_takes_85_tokens_and_170_a_tile(width, height, tiles):
    assert picture_tokens(width, height) == 85 + 170 * tiles
    assert picture_tokens(height, width) == 85 + 170 * tiles


def jpeg(width, height) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG")
    return file.getvalue()


def test_an_estimate_is_the_sum_of_its_rule(desk, asks, answer):
    with_pictures = asks(1, parts=("x" * 100, jpeg(640, 360), jpeg(512, 512), "y" * 21))
    schema = len(json.dumps(strict_schema(with_pictures.answer)))
    # "Repeat." has 7 characters; two tiles and one.
    tokens = math.ceil((7 + 100 + 21 + schema) / 4) + (85 + 340) + (85 + 170)
    assert tokens_of(with_pictures) == tokens

    one = desk("http://localhost:1/v1", max_tokens=1000, price_in=2.5, price_out=10.0)
    again = asks(2, parts=with_pictures.parts)
    text = asks(3, parts=("z" * 40,))
    words = math.ceil((7 + 40 + schema) / 4)
    estimate = one.estimate([with_pictures, again, text])
    assert (estimate.requests, estimate.cached) == (2, 1)
    assert estimate.tokens_in == tokens + words
    assert (estimate.tokens_out, estimate.tokens_out_most) == (500, 2000)
    given = (tokens + words) * 2.5e-6
    assert estimate.dollars == pytest.approx(given + 500 * 10e-6)
    assert estimate.dollars_most == pytest.approx(given + 2000 * 10e-6)


def test_estimates_learn_from_the_answers_of_their_stage(desk, asks, answer):
    with fake_llm(answer, tokens=(100, 33)) as server:
        one = desk(server.url)
        assert one.estimate([asks(1), asks(2)]).tokens_out == 2 * 25
        one.ask([asks(1)])
        estimate = one.estimate([asks(1), asks(2)])
        assert (estimate.requests, estimate.cached, estimate.tokens_out) == (1, 1, 33)
        assert len(server.seen) == 1


def test_estimates_of_stages_add_up():
    one = Estimate(1, 2, 3, 4, 5, 0.5, 1.5)
    assert one + one == Estimate(2, 4, 6, 8, 10, 1.0, 3.0)
    assert sum([one, one], Estimate()) == one + one
