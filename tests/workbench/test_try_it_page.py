"""The page Try it as Streamlit runs it: sentences, uploads, links, and runs that are not whole."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.fixtures_capture import set_status
from tests.workbench.test_pages import open_page
from workbench.pages._token_chips import word_chips

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"

ODD = "</script><img src=x onerror=alert(1)> ![](http://example.org/x.png)"

pytestmark = pytest.mark.usefixtures("fresh_caches")


def opened(monkeypatch, folder: Path, **address: str) -> AppTest:
    app = open_page(monkeypatch, folder, "try_it", **address)
    return app


def checked(app: AppTest) -> AppTest:
    assert not app.exception, [item.message for item in app.exception]
    return app


def press(app: AppTest, label: str) -> AppTest:
    (button,) = [item for item in app.button if item.label == label]
    return checked(button.click().run())


def captions(app: AppTest) -> str:
    return "\n".join(item.value for item in app.caption)


def one(app: AppTest, key: str) -> str:
    value = app.query_params[key]
    return value[0] if isinstance(value, list) else value


def test_a_sentence_is_tried_and_swapped(monkeypatch, planted_runs, planted_dataset):
    app = opened(monkeypatch, planted_runs)
    known = {
        s.expression.text for s in planted_dataset.samples
        if s.video.video_id == app.selectbox(key="video").value
    }  # fmt: skip
    assert app.text_input(key="expression").value in known
    assert not app.get("image")
    app = press(app, "Run")
    assert app.code[0].value.startswith("It is [SEG_ACT]")
    assert "attention lies on the video" in captions(app) and "White outline" in captions(app)
    # The big frame and the strip of what the language model saw.
    assert len(app.get("image")) == 5  # the frame, and the strip of four
    assert app.text_input(key="swapped").value != app.text_input(key="expression").value
    app = press(app, "Run both")
    assert len(app.get("image")) == 10
    files = [item.proto.label for item in app.get("download_button")]
    assert files.count("Download picture (PNG)") == files.count("Download tokens (CSV)") == 2
    table = app.dataframe[0].value
    assert list(table.columns[:2]) == ["first sentence", "second sentence"] and len(table)
    assert "8 frames of the video" in captions(app)


def test_its_address_opens_the_same(monkeypatch, planted_runs):
    app = press(press(opened(monkeypatch, planted_runs), "Run"), "Run both")
    address = {key: one(app, key) for key in ("run", "model", "video", "expression", "swapped")}
    again = opened(monkeypatch, planted_runs, **address, look_at="L02H01", try_frame="3")
    assert again.selectbox(key="look_at").value == "L02H01"
    assert again.select_slider(key="try_frame").value == "3"
    assert len(again.get("image")) == 10
    assert again.dataframe[0].value["mask J"].equals(app.dataframe[0].value["mask J"])


def test_another_sentence_asks_for_another_swap(monkeypatch, planted_runs):
    app = press(opened(monkeypatch, planted_runs), "Run")
    app.text_input(key="expression").set_value("the red star pushing the ring").run()
    app = press(app, "Run")
    assert app.text_input(key="swapped").value == "the ring being pushed by the red star"
    app = press(app, "Nouns exchanged: opposite event")
    assert app.text_input(key="swapped").value == "the ring pushing the red star"


@pytest.mark.parametrize("text", [ODD, "the $x$ & **star** :red[x]", "dog " * 60])
def test_any_words_are_tried_and_shown_as_text(monkeypatch, planted_runs, text):
    app = opened(monkeypatch, planted_runs)
    app.text_input(key="expression").set_value(text).run()
    app = press(app, "Run")
    assert "No verb was found" in captions(app)
    html = "".join(item.proto.body for item in app.get("html"))
    # The conversation's own marks, <|im_start|>, are words as well.
    assert "<img" not in html and "<script" not in html and "&lt;|im_start|&gt;" in html
    assert all(not item.allow_html for item in app.markdown)
    assert "onerror=alert" not in "".join(item.value for item in app.markdown)


def test_an_empty_sentence_is_one_line(monkeypatch, planted_runs):
    app = opened(monkeypatch, planted_runs)
    for text, said in (("   ", "empty expression"), ("[SEG_ACT]", "got the")):
        app.text_input(key="expression").set_value(text).run()
        app = press(app, "Run")
        assert app.error[0].value == "This could not be tried."
        assert said in app.code[0].value and "\n" not in app.code[0].value


def upload(app: AppTest, name: str, data: bytes) -> AppTest:
    app.segmented_control(key="from").set_value("file").run()
    return checked(app.file_uploader(key="try_file").set_value((name, data, "video/mp4")).run())


def gif(frames: int = 5) -> bytes:
    from PIL import Image

    rng, file = np.random.default_rng(0), io.BytesIO()
    pictures = [
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)) for _ in range(frames)
    ]
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=100)
    return file.getvalue()


def test_an_uploaded_video_is_tried(monkeypatch, planted_runs):
    pytest.importorskip("av")
    app = upload(opened(monkeypatch, planted_runs), "mine.gif", gif())
    assert not app.error
    app.text_input(key="expression").set_value("the red star pushing the ring").run()
    app = press(app, "Run")
    assert len(app.get("image")) == 5
    assert app.select_slider(key="try_frame").options[-1] == "4"
    assert "does not hold your file" in captions(app)


@pytest.mark.parametrize("data", [b"", b"no video at all"])
def test_what_is_no_video_is_one_line(monkeypatch, planted_runs, data):
    pytest.importorskip("av")
    app = upload(opened(monkeypatch, planted_runs), "<b>x</b>.mp4", data)
    assert app.error[0].value == "This file cannot be used."
    assert app.code[0].value.startswith("<b>x</b>.mp4: got ")
    assert "\n" not in app.code[0].value


@pytest.mark.parametrize("made", [True, False])
def test_without_runs_a_file_can_still_be_tried(monkeypatch, tmp_path, made):
    folder = tmp_path / "runs"
    if made:
        folder.mkdir()
    app = opened(monkeypatch, folder)
    assert app.info and "choose a file of yours" in captions(app)
    assert app.segmented_control(key="from").options == ["A file of yours"]
    assert app.selectbox(key="model").options == ["nano (shipped)"]


@pytest.mark.parametrize("status", ["running", "failed"])
def test_runs_that_are_not_whole(monkeypatch, planted_runs, tmp_path, status):
    shutil.copytree(planted_runs, tmp_path / "runs")
    set_status(tmp_path / "runs" / "planted", status, "RuntimeError: out of memory")
    shutil.rmtree(tmp_path / "runs" / "planted" / "samples")
    app = opened(monkeypatch, tmp_path / "runs")
    assert f"({status})" in app.selectbox(key="run").options[0]
    assert app.selectbox(key="video").options  # its data set is at hand


def test_trained_models_of_the_folder_are_offered(monkeypatch, planted_runs, tmp_path, checkpoint):
    import json

    shutil.copytree(planted_runs, tmp_path / "runs")
    shutil.copytree(checkpoint, tmp_path / "runs" / "mine" / "model")
    header = json.loads((planted_runs / "planted" / "run.json").read_text())
    (tmp_path / "runs" / "mine" / "run.json").write_text(json.dumps({**header, "kind": "train"}))
    app = opened(monkeypatch, tmp_path / "runs", model="mine")
    assert app.selectbox(key="model").value == "mine"
    app = press(app, "Run")
    # A model with random weights names nothing by itself.
    assert "named no role by itself" in app.warning[0].value
    weights = tmp_path / "runs" / "mine" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    app = press(app, "Run")
    assert app.error[0].value == "This could not be tried." and "\n" not in app.code[0].value


def test_words_are_coloured_by_their_attention():
    html = word_chips(["<b>", "frame 3", "cat"], [0.0, 0.84, 0.16])
    assert "&lt;b&gt;" in html and "<b>" not in html
    # The strongest word, not the frame, has the end of viridis; the first its beginning.
    assert "background:#440154" in html and "background:#fde725" in html
    assert "[frame 3, 84.0 %]" in html and 'title="16.00 % of its attention"' in html
    assert "background:#440154" in word_chips(["x"], [0.0])
