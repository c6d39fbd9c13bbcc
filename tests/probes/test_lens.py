"""The wrapped copy against the model itself, and its readings against others worked out by hand."""

import torch
from pytest import approx, fixture, mark, raises

from probes.capture import capture
from probes.lens import Lens, conversations, measure, read_lines, summarise
from probes.lens.readout import Unembedding, attribute, logit_lens
from probes.lens.run import Site, fork_tokens, sites_of
from reviosa import ReviosaModel
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.errors import ConfigError, ReviosaError, RunError
from reviosa.inference import Segmenter
from reviosa.model import load, record_role_attention
from reviosa.model.lora import inject_lora
from tests.reviosa.conftest import tiny_config

ATTENTION = 1e-5
"""Largest difference of attention measured on nano, 57 expressions: 1.5e-6."""
SCORES = 1e-4
"""Of scores up to 30; measured 1.1e-5 on nano, between a whole pass and one from a KV cache."""


@fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lens") / "data"
    write_synthetic(folder, 2, 3, WorldConfig(frames=6, max_expressions=4))
    return InterRVOSDataset(folder)


@fixture(scope="module")
def nano():
    return load("nano", "cpu")


@fixture(scope="module")
def talks(nano, dataset):
    """Segmenter, features of the first video, and its conversations with what was answered."""
    segmenter = Segmenter(*nano)
    features = segmenter.encode(dataset.samples[0].video)
    texts = [x.text for x in dataset.samples[0].video.expressions]
    replies = segmenter.answer(features, texts)
    return segmenter, features, list(conversations(segmenter, features, replies))


@fixture(scope="module")
def lens(nano):
    return Lens(nano[0])


@fixture
def tiny_model():
    torch.manual_seed(0)
    return ReviosaModel(tiny_config()).eval()


def tiny_inputs(model, tokens=9):
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(20, 200, (1, tokens), generator=generator)
    with torch.no_grad():
        return ids, model.embed(ids), model(ids, use_cache=False).logits


def test_the_model_itself_is_left_as_it_was(tiny_model):
    ids, embeddings, before = tiny_inputs(tiny_model)
    keys, implementation = (
        list(tiny_model.state_dict()),
        tiny_model.language_model.config._attn_implementation,
    )
    lens = Lens(tiny_model)
    with torch.no_grad(), lens.hooks([("blocks.1.hook_mlp_out", lambda x, hook: 0 * x)]):
        changed = lens(embeddings)
    with torch.no_grad():
        assert torch.equal(tiny_model(ids, use_cache=False).logits, before)
        assert torch.allclose(lens(embeddings), before, atol=1e-5)
    assert (changed - before).abs().max() > 1e-3
    assert list(tiny_model.state_dict()) == keys
    assert tiny_model.language_model.config._attn_implementation == implementation
    own = {x.data_ptr() for x in tiny_model.parameters()}
    assert not own & {x.data_ptr() for x in lens.bridge.parameters()}, "the copy shares no weight"


def test_adapters_are_merged_into_the_copy_alone(tiny_model):
    inject_lora(tiny_model, rank=2, alpha=4)
    for name, parameter in tiny_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    tiny_model.eval()
    _, embeddings, wanted = tiny_inputs(tiny_model)
    lens = Lens(tiny_model)
    with torch.no_grad():
        assert torch.allclose(lens(embeddings), wanted, atol=1e-5)
    assert any("lora_B" in name for name in tiny_model.state_dict())
    assert not any("lora" in name for name, _ in lens.bridge.named_parameters())


def test_role_rows_of_hook_pattern_are_what_a_capture_records(talks, lens):
    segmenter, features, every = talks
    layers = range(segmenter.model.config.num_layers)
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in layers]
    assert {talk.target is None for talk in every} == {True, False}
    for talk in every:
        with record_role_attention(segmenter.model, cached_ids=features.opening.ids) as record:
            output = segmenter.read(features, [talk.ids])
        with torch.no_grad():
            found = lens.run_with_cache(talk, names)
            scores = lens(talk.embeddings, [len(talk.ids) - 1])[0]
        for role in range(len(talk.roles)):
            seen = torch.stack([found.cache[name][:, role] for name in names])
            assert torch.allclose(seen, record.attention[0, role], rtol=0, atol=ATTENTION)
            assert torch.allclose(seen.sum(-1), torch.ones(()), atol=ATTENTION)
        assert torch.allclose(scores, output.logits, rtol=0, atol=SCORES)


def test_what_is_kept_is_a_copy_of_the_chosen_rows(talks, lens):
    talk = talks[2][0]
    wanted = {}
    names = ("blocks.2.attn.hook_pattern", "blocks.2.attn.hook_z", "unembed.hook_out")

    def keep(name):
        return lambda x, hook: wanted.update({name: x})

    with torch.no_grad(), lens.hooks([(name, keep(name)) for name in names]):
        lens(talk.embeddings)
    rows = [5, talk.actor]
    with torch.no_grad():
        found = lens.run_with_cache(talk, names, rows)
    pattern, z, scores = (found.cache[name] for name in names)
    assert torch.equal(pattern, wanted[names[0]][0, :, rows])
    assert torch.equal(z, wanted[names[1]][0, rows])
    assert torch.allclose(scores, wanted[names[2]][0, rows], atol=1e-5)
    assert torch.equal(scores, found.logits)
    for kept in found.cache.values():
        assert kept.untyped_storage().nbytes() == kept.numel() * kept.element_size()


def test_hooks_that_change_come_before_those_that_keep(talks, lens):
    talk, name = talks[2][0], "blocks.3.attn.hook_z"
    with torch.no_grad():
        found = lens.run_with_cache(talk, [name], fwd_hooks=[(name, lambda z, hook: 0 * z)])
        plain = lens.run_with_cache(talk, [name])
    assert not found.cache[name].any() and plain.cache[name].any()
    assert not torch.allclose(found.logits, plain.logits, atol=1e-3)


def test_gradients_of_activations_flow(talks, lens):
    """What attribution patching needs; the score of the actor's token over a layer's attention."""
    segmenter, _, every = talks
    kept = []

    def keep(pattern, hook):
        kept.append(pattern)
        pattern.retain_grad()

    embeddings = every[0].embeddings.clone().requires_grad_()
    with lens.hooks([("blocks.4.attn.hook_pattern", keep)]):
        scores = lens(embeddings, [every[0].actor - 1])
    scores[0, 0, segmenter.model.config.actor_token_id].backward()
    assert kept[0].grad.abs().max() > 0


@mark.parametrize(
    ("name", "error", "words"),
    [
        ("blocks.99.hook_z", ConfigError, "got the hook 'blocks.99.hook_z', expected a Trans"),
        ("embed.hook_out", ReviosaError, "embed.hook_out did not fire .*hook_resid_pre"),
    ],
)
def test_hooks_that_are_not_there_are_told(talks, lens, name, error, words):
    with raises(error, match=words), torch.no_grad():
        lens.run_with_cache(talks[2][0], [name])


def test_the_fork_is_where_the_answers_part(talks):
    segmenter, _, every = talks
    tokenizer = segmenter.processor.tokenizer
    goes_on, end = fork_tokens(segmenter)
    assert tokenizer.decode([goes_on]).strip() == "and" and tokenizer.decode([end]) == "."
    for talk in every:
        followed = talk.ids[talk.actor + 1]
        assert followed == (end if talk.target is None else goes_on)
        sites = {site.name: site for site in sites_of(talk, 7, 8, goes_on)}
        assert sites["actor"] == Site("actor", talk.actor - 1, 7)
        assert sites["fork"] == Site("fork", talk.actor, goes_on)
        if talk.target is None:
            assert "target" not in sites
        else:
            assert sites["target"] == Site("target", talk.target - 1, 8)


def test_the_lens_by_hand():
    """Norm of (3, 4): sqrt(25 / 2); weight (1, 2) makes (3, 8) / 3.5355 of it.

    W_U rows (1, 0), (0, 1), (1, 1) give 3, 8 and 11 over 3.5355: token 1 is second, 3 / 3.5355
    below token 2. Of (4, 0) the norm is sqrt(8): 4, 0, 4 over 2.8284: token 1 is last; as two share
    the first place, its rank is 3.
    """
    unembedding = Unembedding(
        torch.tensor([1.0, 2.0]), 0.0, torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    )
    states = torch.tensor([[[4.0, 0.0]], [[3.0, 4.0]]])
    rows, rival = logit_lens(states, unembedding, torch.tensor([1]), torch.tensor([0]))
    assert rival.tolist() == [2]
    assert rows.rank[:, 0].tolist() == [3, 2]
    assert rows.over_rival[:, 0].tolist() == approx([-4 / 8**0.5, -3 / 12.5**0.5])
    assert rows.over_end[:, 0].tolist() == approx([-4 / 8**0.5, 5 / 12.5**0.5])
    scores = torch.tensor([3.0, 8.0, 11.0]) / 12.5**0.5
    assert float(rows.probability[1, 0]) == approx(float(scores.softmax(0)[1]))


def read_parts(lens, talk, rows, layers):
    states = ["blocks.0.hook_resid_pre", *(f"blocks.{i}.hook_resid_post" for i in layers)]
    z = [f"blocks.{i}.attn.hook_z" for i in layers]
    mlps = [f"blocks.{i}.hook_mlp_out" for i in layers]
    with torch.no_grad():
        logits, cache = lens.run_with_cache(talk, [*states, *z, *mlps], rows)
    stacks = [torch.stack([cache[name] for name in names]) for names in (states, z, mlps)]
    return logits, *stacks


def test_parts_sum_to_the_difference_of_the_models_own_scores(talks, lens):
    """Remainder of scores up to 30, measured on 57 expressions: 4e-6."""
    talk = next(talk for talk in talks[2] if talk.target is not None)
    rows = [talk.actor - 1, talk.actor, talk.target - 1]
    logits, states, z, mlps = read_parts(lens, talk, rows, range(8))
    tokens, rivals = torch.tensor([30, 31, 32]), torch.tensor([5, 6, 7])
    parts = attribute(states, z, mlps, lens.output_projections, lens.unembedding, tokens, rivals)
    site = torch.arange(3)
    wanted = logits[site, tokens] - logits[site, rivals]
    assert torch.allclose(parts.total, wanted, atol=SCORES)
    assert parts.remainder.abs().max() <= SCORES
    assert parts.heads.shape == (3, 8, 6) and parts.mlps.shape == (3, 8)
    rows_of_lens, _ = logit_lens(states[-1:], lens.unembedding, tokens, rivals)
    assert torch.allclose(rows_of_lens.over_end[0], wanted, atol=SCORES)


def test_a_heads_part_is_what_the_residual_loses_without_it(talks, lens):
    """Against TransformerLens: the residual behind the attention, less that with the head silenced,
    along the direction of the score difference. Six query heads share two keys."""
    talk = talks[2][0]
    rows, layer = [talk.actor], 2
    _, states, z, mlps = read_parts(lens, talk, rows, range(8))
    token, rival = torch.tensor([30]), torch.tensor([5])
    parts = attribute(states, z, mlps, lens.output_projections, lens.unembedding, token, rival)
    matrix, norm = lens.unembedding.matrix, lens.unembedding.norm
    direction = (matrix[30] - matrix[5]) * norm / lens.unembedding.scale(states[-1, 0])
    name = f"blocks.{layer}.hook_resid_mid"
    for head in range(6):

        def zero(x, hook, head=head):
            x = x.clone()
            x[:, :, head] = 0
            return x

        with torch.no_grad():
            whole = lens.run_with_cache(talk, [name], rows).cache[name][0]
            hooks = [(f"blocks.{layer}.attn.hook_z", zero)]
            without = lens.run_with_cache(talk, [name], rows, hooks).cache[name][0]
        wanted = float((whole - without) @ direction)
        assert float(parts.heads[0, layer, head]) == approx(wanted, abs=1e-5)


def test_a_run_is_measured_and_goes_on_where_it_was_stopped(nano, dataset, tmp_path):
    told = []
    measure(*nano, dataset, tmp_path / "run", progress=lambda done, total: told.append(done))
    lines = read_lines(tmp_path / "run")
    assert [x["sample_id"] for x in lines] == [s.expression.sample_id for s in dataset.samples]
    assert told == list(range(1, len(lines) + 1))
    for line, sample in zip(lines, dataset.samples, strict=True):
        assert line["interaction"] == sample.expression.is_interaction
        assert line["pattern_difference"] <= ATTENTION and line["logit_difference"] <= SCORES
        assert ("target" in line["sites"]) == line["names_target"]
        for site in line["sites"].values():
            assert site["total"] == approx(
                site["embedding"] + sum(map(sum, site["heads"])) + sum(site["mlps"]), abs=SCORES
            )
        # Greedy answers: what was said is first at the end.
        assert line["sites"]["actor"]["rank"][-1] == 1
        assert (line["sites"]["fork"]["over_end"][-1] > 0) == line["names_target"]
    path = tmp_path / "run" / "lens.jsonl"
    text = path.read_text()
    kept = text.splitlines(keepends=True)
    path.write_text("".join(kept[:3]) + kept[3][:100])  # torn when the process died
    measure(*nano, dataset, tmp_path / "run", resume=True)
    assert read_lines(tmp_path / "run") == lines
    results = summarise(tmp_path / "run", resamples=50)
    assert results.n == len(lines) and results.n_videos == 2
    assert results.series["actor"].points[-1].first.value == 1
    assert results.told_apart.value is not None
    with raises(RunError, match="not empty"):
        measure(*nano, dataset, tmp_path / "run")


def test_another_run_is_no_lens_run(nano, dataset, tmp_path):
    capture(*nano, dataset, tmp_path / "run", maps="none")
    with raises(RunError, match="kind 'capture', expected a lens run"):
        summarise(tmp_path / "run")
