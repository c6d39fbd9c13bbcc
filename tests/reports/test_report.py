import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import reports.content.capture
from probes.analysis import analyse
from probes.criteria import SCORED
from probes.report import ReportResults
from probes.results import ScatterPoint
from probes.store import CaptureStore, CaptureWriter, SampleRow
from reports import build_gallery, write_html
from reports.content import content
from reports.gallery import NO_DATA
from reports.html import render_html
from reports.markdown import render_markdown
from reports.outcome_figures import share_against_jf
from reviosa.run_record import open_run
from tests.fixtures_capture import HOSTILE
from tests.fixtures_report import html_of, markdown_of, report_of

VOID = {"meta", "col", "br", "img", "link", "hr", "input", "image", "path", "use", "rect"}


class Page(HTMLParser):
    """Collects tags and attributes, and checks that every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def gallery(planted_store, planted_results, planted_dataset):
    return build_gallery(planted_store, planted_results, planted_dataset, count=2)


@pytest.fixture
def no_figures(monkeypatch, planted_results):
    """One figure in place of all: for tests of the text, as drawing takes most of the time."""
    figure = reports.content.capture.correlation_by_layer(planted_results)
    for name in (
        "layer_profile", "head_map", "ranking_plot", "share_against_jf", "correlation_by_layer",
    ):  # fmt: skip
        monkeypatch.setattr(reports.content.capture, name, lambda *_: figure)


@pytest.fixture(scope="module")
def page(planted_results, gallery):
    return html_of(planted_results, pictures=gallery)


def test_one_file_that_needs_no_other_and_no_network(page):
    parsed = Page(page)
    for tag, name, value in parsed.attributes:
        if name in ("src", "href", "xlink:href", "data", "action"):
            assert value.startswith(("data:", "#")), (tag, value)
        assert not name.startswith("on"), (tag, name)
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    assert "@import" not in page and "url(http" not in page
    # Should a later change slip: the browser is told to refuse it.
    policy = next(v for _, _, v in parsed.attributes if v and v.startswith("default-src"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_every_id_is_unique_and_every_section_link_resolves(page):
    parsed = Page(page)
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    links = {v[1:] for tag, name, v in parsed.attributes if (tag, name) == ("a", "href")}
    assert links and links <= set(ids)


def test_holds_every_part(page, planted_results):
    for title in (
        "Question", "Methods", "the paper&#39;s equation 6", "Controls", "Make it again",
        "Scores", "Attention on vision and on text tokens", "Visual attention of every",
        "Mask share of every", "Lift over area of every", "Mask share against J&amp;F",
        "Actor, highest J&amp;F", "Target, lowest J&amp;F", "Notes and limits", "Provenance",
    ):  # fmt: skip
        assert title in page, title
    # Layers, maps, rankings, attention against J&F; six equations and that of the supervised pairs.
    assert page.count("<svg") == 1 + 3 + 3 + 2 + 7
    assert page.count("<figcaption>") == page.count("<figure ") == 9
    assert page.count("data:image/jpeg;base64,") == 2 * 2 * 2
    assert planted_results.run["data"]["identity"] in page
    assert "reviosa report RUN" in page
    for note in planted_results.notes:
        assert note.split("&")[0][:40] in page


def test_every_picture_has_words_for_those_who_do_not_see_it(page):
    parsed = Page(page)
    assert all(v for tag, name, v in parsed.attributes if (tag, name) == ("img", "alt"))
    assert parsed.tags.count("img") == len(
        [1 for tag, name, _ in parsed.attributes if (tag, name) == ("img", "alt")]
    )
    labels = [v for _, name, v in parsed.attributes if name == "aria-label"]
    assert len([label for label in labels if label and label != "Sections"]) == 9 + 7


def test_text_of_models_and_data_is_shown_and_never_run(planted_results, gallery, no_figures):
    card = replace(
        gallery[0].card, text=HOSTILE, expression=HOSTILE, sample_id=HOSTILE, caption_type=HOSTILE
    )
    item = replace(gallery[0], card=card, alt=f'"{HOSTILE}', caption=HOSTILE)
    results = replace(
        planted_results,
        name=HOSTILE,
        notes=(HOSTILE,),
        problems=(HOSTILE,),
        run={**planted_results.run, "model": {"name": HOSTILE}, "config": {HOSTILE: HOSTILE}},
    )
    text = html_of(results, pictures=(item,), command=HOSTILE)
    assert "<img src=x" not in text and "</script>" not in text
    assert text.count("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;") >= 10
    Page(text)
    page = markdown_of(results, pictures=(item,), command=HOSTILE)
    # A command stands in a block of code, where nothing is markup.
    words = page.text.replace(f"```\n{HOSTILE}\n```", "")
    assert words != page.text
    assert "<img" not in words and "<script" not in words and "</script" not in words
    assert "](http://example.org" not in words.replace("\\[](http", "")
    assert words.count("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;") >= 10
    assert all(re.fullmatch(r"[\w.-]+", name) for name in page.files)


def test_a_run_of_any_name_makes_files_and_links_of_plain_letters(planted_results, no_figures):
    """A folder may be called nearly anything; two of them may also be called alike."""
    name = "<img src=x onerror=alert(1)>"
    runs = [replace(planted_results, name=name), replace(planted_results, name=name)]
    document = content(report_of(*runs))
    names = [figure.name for figure in document.figures()]
    assert len(names) == len(set(names)) and all(re.fullmatch(r"[\w-]+", n) for n in names)
    text = html_of(*runs)
    assert "<img" not in text and "Run &lt;img src=x onerror=alert(1)&gt;" in text
    ids = [value for _, key, value in Page(text).attributes if key == "id"]
    assert len(ids) == len(set(ids))


def test_same_input_same_bytes(page, planted_results, gallery, tmp_path):
    report = report_of(planted_results, pictures=gallery)
    path = write_html(content(report), tmp_path / "deep" / "r.html")
    assert path.read_text(encoding="utf-8") == page
    assert [entry.name for entry in path.parent.iterdir()] == ["r.html"]
    # Rebuilt from the record alone: the same document, page and record.
    report.save(tmp_path / "r.json")
    again = ReportResults.load(tmp_path / "r.json")
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "r.json").read_bytes()
    assert render_html(content(again)) == page
    assert render_markdown(content(again), "p") == render_markdown(content(report), "p")
    assert str(tmp_path) not in page


def test_no_undefined_number_leaks(page):
    words = re.sub(r"<[^>]*>", " ", re.sub(r"<style.*?</style>", "", page, flags=re.S))
    assert not re.search(r"\b(nan|None|inf|Estimate)\b", words)


def test_gallery_shows_worst_and_best_with_the_planted_pairs(gallery, planted_results):
    assert [(item.card.role, item.kind) for item in gallery] == [
        ("actor", "best"), ("actor", "best"), ("actor", "worst"), ("actor", "worst"),
        ("target", "best"), ("target", "best"), ("target", "worst"), ("target", "worst"),
    ]  # fmt: skip
    assert gallery[0].card == planted_results.best["actor"][0]
    # Most visual attention first, then the highest lift.
    assert gallery[0].pairs == ((1, 0), (2, 1))
    assert gallery[0].image.startswith(b"\xff\xd8")


def test_a_role_without_token_is_shown_without_attention(
    planted_store, planted_results, planted_dataset, no_figures
):
    missing = next(c for c in planted_results.worst["target"] if not c.emitted)
    results = replace(planted_results, worst={"actor": (), "target": (missing,)})
    item = build_gallery(planted_store, results, planted_dataset, count=1)[-1]
    assert item.pairs == () and item.image is not None
    assert "Predicted: actor." in item.caption and "No attention map" in item.caption
    assert "no [SEG_TAR] given" in html_of(results, pictures=(item,))


def test_gallery_without_the_data_says_so(planted_store, planted_results, no_figures):
    items = build_gallery(planted_store, planted_results, None, count=1)
    assert len(items) == 4
    assert {item.reason for item in items} == {NO_DATA}
    assert all(item.image is None for item in items)
    assert NO_DATA in html_of(planted_results, pictures=items)


def test_gallery_with_other_data_says_which_sample_is_missing(
    planted_store, planted_results, planted_dataset
):
    gone = replace(planted_results.best["actor"][0], sample_id="other/1")
    results = replace(planted_results, best={"actor": (gone,), "target": ()})
    item = build_gallery(planted_store, results, planted_dataset, count=1)[0]
    assert item.image is None and "other/1" in item.reason
    far = replace(planted_results.best["actor"][0], frame_indices=(0, 999))
    results = replace(planted_results, best={"actor": (far,), "target": ()})
    item = build_gallery(planted_store, results, planted_dataset, count=1)[0]
    assert item.image is None and "frame 999" in item.reason


def test_an_empty_run_gives_a_report_that_says_so(tmp_path):
    with open_run(tmp_path / "empty", "capture", {}, 0):
        CaptureWriter(tmp_path / "empty")
    results = analyse(CaptureStore(tmp_path / "empty"), resamples=10)
    text = html_of(results)
    assert "holds no sample" in text
    assert "<figure" not in text
    Page(text)


def test_an_unfinished_run_is_marked(planted_results, no_figures):
    results = replace(planted_results, run={**planted_results.run, "status": "failed"})
    assert "The run is not complete (status: failed)" in html_of(results)
    assert "The run is not complete" not in html_of(planted_results)


def test_a_model_that_names_no_role_has_scores_and_no_figures(tmp_path):
    rows = [
        SampleRow(
            "v/0",
            "v",
            "0",
            "actor",
            "the dog",
            "single",
            False,
            False,
            0.0,
            0.0,
            0.0,
            0.1,
            2,
            0.5,
            0.2,
            8,
            -1,
            "",
            (0,),
        )
    ]
    with open_run(tmp_path / "silent", "capture", {}, 0):
        nothing = {name: np.full((1, 2, 2), np.nan, np.float32) for name in SCORED}
        CaptureWriter(tmp_path / "silent").write_chunk(0, rows, nothing)
    results = analyse(CaptureStore(tmp_path / "silent"), resamples=10)
    text = html_of(results)
    assert "The model gave no role token at all" in text and "<figure" not in text
    assert 'href="#layers"' not in text and 'href="#scores"' in text
    Page(text)


def test_a_page_of_five_thousand_expressions_is_at_most_ten_megabytes(
    planted_results, gallery, no_figures, monkeypatch
):
    """Ten thousand points: as circles of SVG they alone would take some two megabytes."""
    monkeypatch.setattr(reports.content.capture, "share_against_jf", share_against_jf)
    rng = np.random.default_rng(0)
    scatter = {
        role: tuple(
            ScatterPoint(f"video-{i // 5}/{i % 5}", f"video-{i // 5}", role, x, x, x, y)
            for i, (x, y) in enumerate(rng.uniform(0, 1, (5000, 2)).tolist())
        )
        for role in ("actor", "target")
    }
    text = html_of(replace(planted_results, scatter=scatter), pictures=gallery)
    assert len(text.encode()) < 10e6
    svg = text[text.index('<figure id="share-against-jf">') :]
    svg = svg[: svg.index("</svg>")]
    assert svg.count("<use") < 500 and "data:image/png" in svg and len(svg) < 1e6


def test_missing_numbers_are_marked(planted_results, no_figures):
    """The area given the area is no number; nor is what was never measured."""
    page = html_of(planted_results)
    row = page[page.index("mask area alone (knows nothing of attention)") :]
    row = row[: row.index("</tr>")]
    row = re.sub(r"</?span[^>]*>", "", row)
    cells = [cell.strip() for cell in re.sub(r"<[^>]*>", "\n", row).splitlines() if cell.strip()]
    # Spearman and p; given area, all held fixed and p are undefined; Pearson.
    assert cells[3:6] == ["n/a"] * 3 and "n/a" not in cells[1:3]
