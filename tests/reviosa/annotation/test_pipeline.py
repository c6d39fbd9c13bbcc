import json

import pytest

from reviosa.annotation.pipeline import annotate
from reviosa.annotation.settings import AnnotationConfig
from reviosa.data import InterRVOSDataset
from tests.fixtures_annotation import settings
from tests.fixtures_llm import fake_llm


def run(videos, out, url, **options):
    return annotate(videos.folder, out, AnnotationConfig.model_validate(settings(url)), **options)


@pytest.fixture(scope="module")
def finished(few_videos, few_truth, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    with fake_llm(few_truth) as server:
        summary = run(few_videos, out, server.url)
    return out, summary, server


def test_the_set_holds_every_interaction_of_the_world(finished, few_videos):
    out, summary, _ = finished
    dataset = InterRVOSDataset(out / "set")
    dataset.check_frames()
    assert summary["set"]["videos"] == len(few_videos.world) == len(dataset.videos)
    for name, world in few_videos.world.items():
        video = next(v for v in dataset.videos if v.video_id == f"{name}_clip000")
        said = json.loads((out / "set" / "meta_expressions.json").read_text())["videos"]
        entries = said[video.video_id]["expressions"].values()
        roles = {
            (*x["subject/object"]["obj_id"]["subject"], *x["subject/object"]["obj_id"]["object"])
            for x in entries
            if x["caption_type"] == "unidirectional"
        }
        pairs = {(x["actor"], x["target"]) for x in world["interactions"]}
        assert roles == pairs | {(two, one) for one, two in pairs}
