"""The page of reviews: decisions are kept, edits checked, faults told, and the set written anew."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from reviosa.annotation.candidates import candidates_path, read_candidates
from reviosa.annotation.clip_record import clips_path, tracks_path
from reviosa.annotation.review import Decision, decide, read_review, review_path
from reviosa.data import InterRVOSDataset
from reviosa.process import locked_directory
from tests.fixtures_capture import make_dataset, set_status
from tests.fixtures_review import REASON, make_annotation
from tests.workbench.test_pages import words
from workbench.pages import _reviews

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("annotated")
    make_annotation(folder / "runs" / "first", make_dataset(folder / "data", videos=2))
    return folder


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A run that may be changed; its frames are those of the data set beside it."""
    return shutil.copytree(made / "runs" / "first", tmp_path / "runs" / "first")


def open_page(monkeypatch, folder: Path, **address: str) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(APP), str(folder)])
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page("workbench/pages/review.py")
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, [item.message for item in app.exception]
    return app


def samples(run: Path) -> list[str]:
    videos = read_candidates(run)["videos"]
    return [f"{clip}/{exp}" for clip, video in videos.items() for exp in video["expressions"]]


def click(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, [item.message for item in app.exception]
    return app


def opened(app: AppTest) -> str:
    return app.text_input(key="expression").value


def progress(app: AppTest) -> str:
    return app.get("progress")[0].proto.text


def pictures(app: AppTest) -> int:
    return len(app.get("image"))


def field(app: AppTest, kind: str, name: str):
    (found,) = [x for x in app.get(kind) if x.key and x.key.startswith(f"edit_{name}|")]
    return found


def test_a_run_is_shown(monkeypatch, run):
    names = samples(run)
    app = open_page(monkeypatch, run.parent)
    assert app.title[0].value == "Review" and not app.error and not app.info
    assert opened(app) == names[0]
    table = app.dataframe[0].value
    assert table["sample"].tolist() == names and set(table.state) == {"undecided"}
    assert (table.verdict == "failed").sum() == 2
    assert progress(app) == f"0 of {len(names)} decided; {len(names) - 2} would go into the set"
    assert pictures(app) == 10, "the frame twice, and the strip of eight"
    assert not review_path(run).exists(), "looking writes nothing"


def test_each_decision_is_kept_and_the_next_is_opened(monkeypatch, run):
    names = samples(run)
    app = open_page(monkeypatch, run.parent)
    click(app, "accept")
    assert opened(app) == names[1]
    click(app, "reject")
    assert opened(app) == names[2]
    assert {k: d.decision for k, d in read_review(run).items()} == {
        names[0]: "accept", names[1]: "reject",
    }  # fmt: skip
    assert progress(app).startswith(f"2 of {len(names)} decided; {len(names) - 3} would")
    # Undecided first, then those that were decided.
    assert app.dataframe[0].value["sample"].tolist() == [*names[2:], *names[:2]]
    click(app, "next")
    assert opened(app) == names[3] and len(read_review(run)) == 2
    # From the last one on it goes on with those that were passed over.
    app.text_input(key="expression").set_value(names[-1]).run()
    click(app, "accept")
    assert opened(app) == names[2]
    # The address opens the same again, and a decision can be taken back.
    again = open_page(monkeypatch, run.parent, expression=names[1])
    assert opened(again) == names[1] and "**rejected**" in words(again)
    click(again, "take_back")
    assert names[1] not in read_review(run) and again.button(key="take_back").disabled


def test_all_decided(monkeypatch, run):
    candidates, names = read_candidates(run), samples(run)
    for name in names[1:]:
        decide(run, candidates, name, Decision.now("reject"))
    app = open_page(monkeypatch, run.parent)
    click(app, "accept")
    assert opened(app) == names[0] and app.button(key="next").disabled
    assert progress(app) == f"{len(names)} of {len(names)} decided; 1 would go into the set"


def test_an_edit_is_checked_and_kept(monkeypatch, run):
    candidates = read_candidates(run)
    name = next(
        f"{clip}/{exp}" for clip, video in candidates["videos"].items()
        for exp, e in video["expressions"].items() if e["caption_type"] == "unidirectional"
    )  # fmt: skip
    clip, _, exp = name.partition("/")
    entry = candidates["videos"][clip]["expressions"][exp]
    app = open_page(monkeypatch, run.parent, expression=name)
    assert field(app, "text_area", "exp").value == entry["exp"]
    assert field(app, "multiselect", "actor_ids").value == entry["actor_ids"]
    field(app, "multiselect", "target_ids").set_value(entry["actor_ids"])
    (save,) = [button for button in app.button if button.label == "Save the edit"]
    save.click().run()
    assert app.error[0].value == "The decision was not kept."
    assert "as actor and as target" in app.code[0].value
    assert opened(app) == name and not review_path(run).exists()
    # The fields still hold what was typed; with roles exchanged it can be kept.
    field(app, "multiselect", "actor_ids").set_value(entry["target_ids"])
    field(app, "text_area", "exp").set_value("the  ring\nis pushed")
    (save,) = [button for button in app.button if button.label == "Save the edit"]
    save.click().run()
    assert not app.exception and not app.error, words(app)
    assert opened(app) != name
    assert read_review(run)[name].content == {
        "exp": "the ring is pushed", "caption_type": "unidirectional",
        "actor_ids": entry["target_ids"], "target_ids": entry["actor_ids"],
    }  # fmt: skip
    again = open_page(monkeypatch, run.parent, expression=name)
    assert again.subheader[0].value == "the ring is pushed"
    assert f"As it was made: {entry['exp']}" in words(again)


def test_verdict_and_twin(monkeypatch, run):
    candidates, names = read_candidates(run), samples(run)
    failed = open_page(monkeypatch, run.parent, verdict="failed")
    assert len(failed.dataframe[0].value) == 2
    assert REASON in [item.value for item in failed.code]
    name = next(
        f"{clip}/{exp}" for clip, video in candidates["videos"].items()
        for exp, e in video["expressions"].items() if e["twin"]
    )  # fmt: skip
    clip, _, exp = name.partition("/")
    twin = candidates["videos"][clip]["expressions"][exp]["twin"]
    app = open_page(monkeypatch, run.parent, expression=name)
    assert "Its twin (undecided)" in words(app) and name in names
    click(app, "open_twin")
    assert opened(app) == f"{clip}/{twin}"


def test_filters(monkeypatch, run):
    candidates, names = read_candidates(run), samples(run)
    decide(run, candidates, names[0], Decision.now("accept"))
    clip = names[-1].split("/")[0]
    app = open_page(monkeypatch, run.parent, clip=clip)
    assert set(app.dataframe[0].value["sample"]) == {n for n in names if n.startswith(clip)}
    app = open_page(monkeypatch, run.parent, state="accepted")
    assert app.dataframe[0].value["sample"].tolist() == names[:1]
    app.multiselect(key="type").set_value(["bidirectional", "single"]).run()
    app.text_input(key="said").set_value("no such ( words").run()
    assert not app.exception and app.info[0].value == "No expression fits."


def test_first_frame_has_both_roles(made):
    run = made / "runs" / "first"
    dataset = InterRVOSDataset(made / "data")
    acting = dataset.interactions[0]
    roles = (acting.expression.actor_ids, acting.expression.target_ids)
    mark = _reviews.candidates_mark(run)
    seen = _reviews.seen_of(run, mark, acting.video.video_id, roles)
    masks = [acting.masks(role).sum(axis=(1, 2)) for role in (0, 1)]
    assert seen.frames == acting.video.num_frames
    assert all(areas[seen.first] > 0 for areas in masks)
    assert sum(masks)[seen.first] == sum(masks).max()
    left, right = _reviews.pictures_of(run, mark, acting.video.video_id, roles, seen.first)
    assert left.shape == right.shape and left.shape[0] == 400 and (left != right).any()


def test_the_set_is_written_anew(monkeypatch, run):
    candidates, names = read_candidates(run), samples(run)
    clip = names[0].split("/")[0]
    for name in names:
        if name.startswith(clip) and name != names[1]:
            decide(run, candidates, name, Decision.now("reject"))
    app = click(open_page(monkeypatch, run.parent), "write_set")
    assert "Written: 2 videos" in app.success[-1].value
    found = InterRVOSDataset(run / "set")
    assert len(found.videos[0].expressions) == 1
    assert set(path.name for path in run.iterdir()) - {"set", "review.json"} == {
        "run.json", ".lock", "tracks", "clips.json", "candidates.json",
    }  # fmt: skip


def test_a_set_of_nothing_is_told(monkeypatch, run):
    candidates = read_candidates(run)
    for name in samples(run):
        decide(run, candidates, name, Decision.now("reject"))
    app = click(open_page(monkeypatch, run.parent), "write_set")
    assert app.error[0].value.startswith("The set was not written")
    assert "got no expression that passed" in words(app) and not (run / "set").exists()


def test_folder_without_such_runs(monkeypatch, tmp_path):
    app = open_page(monkeypatch, tmp_path)
    assert "No annotation run lies in this folder" in app.info[0].value
    assert "reviosa annotate" in words(app)
    assert "no such folder" in open_page(monkeypatch, tmp_path / "gone").info[0].value


def test_a_running_run(monkeypatch, run):
    set_status(run, "running")
    with locked_directory(run):
        app = open_page(monkeypatch, run.parent)
        assert "This run goes on" in app.info[0].value and app.button(key="write_set").disabled
        click(app, "accept")
        assert len(read_review(run)) == 1
        candidates_path(run).unlink()
        app = open_page(monkeypatch, run.parent)
        assert "no candidates yet" in app.info[1].value and not app.dataframe


def test_a_failed_run_says_why(monkeypatch, run):
    set_status(run, "failed", "BudgetError: *over*")
    app = open_page(monkeypatch, run.parent)
    assert "not complete (status: failed)" in app.warning[0].value
    assert app.code[0].value == "BudgetError: *over*" and app.dataframe


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda run: cut(candidates_path(run)), "got no candidates"),
        (lambda run: cut(review_path(run)), "expected decisions as JSON"),
        (lambda run: candidates_path(run).write_text('{"schema": 1, "videos": {"c": {}}}'),
         "got a damaged record"),
        (lambda run: candidates_path(run).write_text('{"schema": 1, "videos": []}'),
         "got a damaged record"),
        (lambda run: candidates_path(run).write_text('{"schema": 9, "videos": {}}'), "schema 9"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_in_one_line(monkeypatch, run, damage, said):
    decide(run, read_candidates(run), samples(run)[0], Decision.now("accept"))
    damage(run)
    app = open_page(monkeypatch, run.parent)
    assert app.error[0].value == "This run cannot be shown."
    assert said in app.code[-1].value


def change(path: Path, edit) -> None:
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def first_clip(run: Path) -> str:
    return samples(run)[0].split("/")[0]


def other_files(names):
    def edit(value):
        for clip in value["clips"].values():
            clip["files"] = names

    return edit


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda run: clips_path(run).unlink(), "got no list of clips"),
        (lambda run: cut(tracks_path(run, first_clip(run))), "tracks"),
        (lambda run: tracks_path(run, first_clip(run)).unlink(), "tracks"),
        (lambda run: change(clips_path(run), lambda v: v["clips"].clear()), "got no clip"),
        (lambda run: change(clips_path(run), other_files(["../../secret.jpg"])), "got '"),
        (lambda run: change(clips_path(run), other_files(["gone.jpg"] * 8)), "gone.jpg"),
        (lambda run: change(tracks_path(run, first_clip(run)),
                            lambda v: [x["mask"].clear() for x in v.values()]), "damaged masks"),
    ],
)  # fmt: skip
def test_without_pictures_it_can_still_be_decided(monkeypatch, run, damage, said):
    damage(run)
    app = open_page(monkeypatch, run.parent)
    assert app.info[0].value == "There are no pictures of this clip."
    assert said in app.code[0].value and not app.error
    click(app, "accept")
    assert len(read_review(run)) == 1


def test_frames_of_the_set_where_the_source_has_gone(monkeypatch, run):
    app = click(open_page(monkeypatch, run.parent), "write_set")
    assert not app.error

    def moved(value):
        for clip in value["clips"].values():
            clip["folder"] = "/nowhere/" + clip["folder"]

    change(clips_path(run), moved)
    app = open_page(monkeypatch, run.parent)
    assert not app.info and pictures(app) == 10


def test_an_address_of_another_run(monkeypatch, run):
    app = open_page(monkeypatch, run.parent, expression="none/0", annotation="../x")
    assert "No annotation run" in app.warning[0].value
    assert app.info[0].value == "This run has no such expression."
