"""Hidden states of role tokens against transformers' own, their facts, a run that was stopped."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from probes.linear import states as module
from probes.linear.facts import TASKS, main_cell
from probes.linear.hooks import record_residuals, residual_names
from probes.linear.results import probe_tasks
from probes.linear.states import read_states, record_states
from reviosa import ReviosaModel, ReviosaProcessor
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.errors import DataError, RunError
from reviosa.inference import Segmenter, role_pairs
from reviosa.model import load
from reviosa.model.nano_tokenizer import nano_tokenizer
from reviosa.run_record import open_run
from tests.reviosa.conftest import tiny_config


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "data"
    write_synthetic(folder, 4, 3, WorldConfig(frames=6, max_expressions=4))
    return InterRVOSDataset(folder)


@pytest.fixture(scope="module")
def nano():
    return load("nano")


@pytest.fixture(scope="module")
def recorded(nano, dataset, tmp_path_factory):
    return record_states(*nano, dataset, tmp_path_factory.mktemp("run") / "probe")


@pytest.fixture
def tiny():
    """Random weights; asked for roles by the form that answers are put into."""
    torch.manual_seed(0)
    model = ReviosaModel(tiny_config()).eval()
    return model, ReviosaProcessor.for_config(model.config, nano_tokenizer())


def test_residuals_are_those_of_transformers(tiny):
    """Its ``hidden_states`` are the embedding and what leaves each layer, the last one normed; the
    very same numbers, so no tolerance."""
    model, _ = tiny
    ids = torch.randint(20, 200, (2, 9), generator=torch.Generator().manual_seed(3))
    places = torch.tensor([[2, 8], [4, 0]])
    language = model.language_model
    with torch.no_grad(), record_residuals(model, places) as found:
        output = language(
            inputs_embeds=model.get_input_embeddings()(ids), output_hidden_states=True
        )
    names = residual_names(model.config.num_layers)
    assert names == ("embedding", "L00", "L01", "L02", "norm") and len(found) == len(names)
    rows = torch.arange(2)[:, None]
    theirs = [states[rows, places] for states in output.hidden_states]
    for index, states in enumerate(theirs[:-1]):
        assert torch.equal(found[index], states), names[index]
    assert torch.equal(found[-1], theirs[-1])
    assert torch.equal(language.norm(found[-2]), found[-1])


def test_hooks_are_gone_afterwards(tiny):
    model, _ = tiny
    parts = [*model.language_model.layers, model.language_model.norm]

    def hooks():
        return sum(len(p._forward_hooks) + len(p._forward_pre_hooks) for p in parts)

    before = hooks()
    with pytest.raises(KeyError), record_residuals(model, torch.zeros(1, 1, dtype=torch.int64)):
        assert hooks() == before + model.config.num_layers + 2
        raise KeyError
    assert hooks() == before


def test_the_last_state_is_what_prompts_sam2(nano, dataset, recorded):
    """MLP_seg of the stored state gives the prompt. All rows of a video are read at once here and
    one by one there; largest difference measured: 2e-6."""
    model, processor = nano
    segmenter, found = Segmenter(model, processor), read_states(recorded)
    assert found.states.shape[1:] == (model.config.num_layers + 2, 192)
    stored = {(f.sample_id, f.role): s for f, s in zip(found.facts, found.states, strict=True)}
    for sample in dataset.videos[0].expressions:
        features = segmenter.encode(dataset.videos[0])
        (reply,) = segmenter.answer(features, [sample.text])
        ((actor, target),) = role_pairs(segmenter.read(features, [reply.ids]), 1)
        for role, prompt in (("actor", actor), ("target", target)):
            if role == "target" and not sample.is_interaction:
                continue
            assert prompt is not None
            with torch.no_grad():
                got = model.seg_projector(torch.from_numpy(stored[sample.sample_id, role][-1]))
            assert torch.allclose(got, prompt, atol=2e-5)


def test_the_embedding_of_a_role_is_one_vector(nano, recorded):
    """So nothing but the role can be read at index 0."""
    model, _ = nano
    found = read_states(recorded)
    table = model.get_input_embeddings().weight.detach().float().numpy()
    tokens = {"actor": model.config.actor_token_id, "target": model.config.target_token_id}
    for role, token in tokens.items():
        mine = found.states[[f.role == role for f in found.facts], 0]
        assert len(mine) > 1 and (mine == table[token]).all()
    assert (found.states[0, 1] != found.states[1, 1]).any()


def test_facts_are_those_of_the_world(dataset, recorded):
    found = read_states(recorded)
    assert found.n_unnamed == 0 and found.has_world
    wanted = len(dataset.samples) + len(dataset.interactions)
    assert len(found.facts) == len(found.states) == wanted
    samples = {s.expression.sample_id: s for s in dataset.samples}
    tasks = {task.name: task for task in TASKS}
    for fact in found.facts:
        sample = samples[fact.sample_id]
        expression = sample.expression
        ids = expression.actor_ids if fact.role == "actor" else expression.target_ids
        world = dataset.world["videos"][fact.video_id]
        objects = {item["anno_id"]: item for item in world["objects"]}
        colors = {objects[i]["color"] for i in ids}
        assert fact.color == (colors.pop() if len(colors) == 1 else None)
        if len(ids) == 1:
            assert fact.look == f"{objects[ids[0]]['color']} {objects[ids[0]]['shape']}"
        else:
            assert fact.cell is None
        pushes = [(x["actor"], x["target"], x["verb"]) for x in world["interactions"]]
        if expression.is_interaction:
            numbers = [objects[x[0]]["obj_id"] for x in (expression.actor_ids,
                                                         expression.target_ids)]  # fmt: skip
            assert (*sorted(numbers), fact.verb) in [(*sorted(p[:2]), p[2]) for p in pushes]
            assert tasks["role"].label(fact) == fact.role
        else:
            assert fact.verb is None and tasks["role"].label(fact) is None
        if fact.shape is not None:
            words = expression.text.split()
            said = fact.shape in words or any(w.startswith(fact.shape) for w in words)
            assert tasks["shape"].said(fact) == said
    assert {tasks["interaction"].label(f) for f in found.facts} == {"yes", "no", None}


def test_the_cell_holds_most_of_the_object():
    """A 6 x 9 frame: cells of 2 x 3 pixels. Frame one has 3 pixels in cell 0,2; frame two 2 in
    1,0; frame three 2 more in 1,0."""
    masks = np.zeros((3, 6, 9), dtype=bool)
    masks[0, 0, 6:9] = True
    masks[1, 2, 0:2] = True
    assert main_cell(masks) == "0,2"
    masks[2, 3, 1:3] = True
    assert main_cell(masks) == "1,0"
    assert main_cell(np.zeros((2, 4, 4), dtype=bool)) is None


def test_a_stopped_run_goes_on_and_is_the_same(tiny, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_VIDEOS_A_PART", 1)
    record_states(*tiny, dataset, tmp_path / "whole")

    class Stopped(Exception):
        pass

    count = len(dataset.videos[0].expressions) + 1

    def stop(done, total):
        if done > count:
            raise Stopped

    with pytest.raises(Stopped):
        record_states(*tiny, dataset, tmp_path / "run", progress=stop)
    with pytest.raises(RunError, match="go on with --resume"):
        read_states(tmp_path / "run")
    first = tmp_path / "run" / "states" / "part-00000.safetensors"
    written = first.stat().st_mtime_ns
    (tmp_path / "run" / "facts" / "part-00001.parquet").write_bytes(b"torn")
    told = []
    record_states(*tiny, dataset, tmp_path / "run", resume=True,
                  progress=lambda done, total: told.append((done, total)))  # fmt: skip
    assert first.stat().st_mtime_ns == written, "what was whole is kept"
    assert told[-1] == (len(dataset.samples),) * 2
    whole, again = read_states(tmp_path / "whole"), read_states(tmp_path / "run")
    assert whole.facts == again.facts and (whole.states == again.states).all()
    # Random weights name no role by themselves: put into form, mostly without a target.
    assert all(fact.put_into_form for fact in whole.facts)
    wanted = len(dataset.samples) + len(dataset.interactions)
    assert whole.n_unnamed == wanted - len(whole.facts) > 0


def test_data_without_a_world_are_asked_what_they_know(nano, dataset, tmp_path):
    plain = tmp_path / "data"
    plain.mkdir()
    for path in dataset.root.iterdir():
        if path.name != "world.json":
            (plain / path.name).symlink_to(path)
    record_states(*nano, InterRVOSDataset(plain), tmp_path / "run")
    found = read_states(tmp_path / "run")
    assert not found.has_world and all(fact.look in fact.expression for fact in found.facts)
    some = replace(found, states=found.states[:, [0, 5]], layers=("embedding", "L04"))
    results = probe_tasks(some, folds=2, draws=1, resamples=50)
    assert [task.task for task in results.tasks] == ["role", "interaction", "cell"]
    assert set(results.left_out) == {"color", "shape", "verb"}
    assert "world.json" in results.left_out["verb"]
    role = results.tasks[0]
    assert role.layers[0].accuracy.value == 1.0 and role.readable_from == 0


def test_states_that_are_not_finite_are_not_kept(tiny, dataset, tmp_path):
    model, processor = tiny
    with torch.no_grad():
        model.language_model.layers[-1].mlp.down_proj.weight.fill_(float("inf"))
    with pytest.raises(DataError, match="not finite"):
        record_states(model, processor, dataset, tmp_path / "run")


def test_another_run_is_refused(recorded, tmp_path):
    with open_run(tmp_path / "other", "evaluate", {}, 0):
        pass
    with pytest.raises(RunError, match="kind 'evaluate', expected a probe"):
        read_states(tmp_path / "other")
    assert load_file(recorded / "states" / "part-00000.safetensors")["states"].dtype == np.float32
