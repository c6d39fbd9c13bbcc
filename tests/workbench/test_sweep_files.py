"""What a sweep file gets wrong is refused before anything runs, with the line that is wrong."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from reviosa.errors import ConfigError
from reviosa.heads import HeadSelection
from workbench.sweeps.axes import Axes
from workbench.sweeps.grid import expand
from workbench.sweeps.load import load_sweep
from workbench.sweeps.plan import plan_trials, ranked_capture
from workbench.sweeps.schema import sweep_schema

SWEEPS = Path(__file__).parents[2] / "configs" / "sweeps"
READY = sorted(SWEEPS.glob("*.yaml"))
# The tiny checkpoint has 3 layers of 4 heads.
GOOD = """\
axes:
  strategy: [none, top-pairs]
  k: [1, 2]
"""


@pytest.fixture
def write(tmp_path, dataset, checkpoint):
    """A sweep file of seven lines of head and what is given, from line 8 on."""
    (tmp_path / "train.yaml").write_text(f"model: {checkpoint}\nsteps: 4\n")

    def make(tail: str, baseline: str = "none", name: str = "sweep.yaml") -> Path:
        head = f"""\
name: small
train: train.yaml
data: {dataset.root}
selection: {dataset.root}
report: {dataset.root}
seeds: [0]
baseline: {baseline}
"""
        path = tmp_path / name
        path.write_text(head + tail)
        return path

    return make


@pytest.mark.parametrize(
    ("tail", "line", "words"),
    [
        # Axes: a name, a value, a type.
        ("axes:\n  strategy: [none]\n  criterium: [lift]\n", 10,
         "axes.criterium: unknown axis; did you mean 'criterion'?"),
        ("axes:\n  strategy: [none]\n  loss.aml: [1.0]\n", 10, "this axis is called aml"),
        ("axes:\n  strategy: [none]\n  seed: [1]\n", 10, "unknown axis"),
        ("axes:\n  strategy:\n  - none\n  - top-layer\n  - top-layerz\n", 12,
         "axes.strategy.2: got 'top-layerz', expected one of none, top-layer, "),
        ("axes:\n  strategy: [top-pairs]\n  criterion:\n    - lift\n\n    - lfit\n", 13,
         "axes.criterion.1: got 'lfit', expected one of visual_mass"),
        ("axes:\n  strategy: [top-pairs]\n  k: [1, two]\n", 10,
         "axes.k.1: got 'two', expected a whole number from 1, or all"),
        ("axes:\n  strategy: [top-pairs]\n  k: [true]\n", 10, "axes.k.0: got True"),
        ("axes:\n  strategy: top-pairs\n", 9, "axes.strategy: got 'top-pairs', "),
        ("axes:\n  strategy: [none, top-pairs]\n  aml: [high]\n", 10, "axes.aml.0: got 'high'"),
        ("axes:\n  strategy: [none]\n  data_fraction: [0.5, 1.5]\n", 10, "axes.data_fraction.1"),
        ("axes:\n  strategy: [none]\n  learning_rate: [fast]\n", 10,
         "axes.learning_rate.0: got 'fast', expected a valid number"),
        ("axes:\n  strategy: [none]\n  lora.rank: [0]\n", 10, "axes.lora.rank.0: got 0"),
        # An empty grid.
        ("axes: {}\n", 8, "axes: got no axis"),
        ("axes:\n  strategy: []\n", 9, "axes.strategy: got [], expected at least 1"),
        ("axes:\n  strategy: [none, top-pairs]\n  k: []\n", 10, "axes.k"),
        ("axes:\n  strategy: [none]\nexclude:\n  - {strategy: none}\n", 10,
         "every point of the grid is excluded"),
        # Axes that do not go together.
        ("axes:\n  strategy: [none, random]\n  criterion: [lift]\n", 10, "none of the strategies"),
        ("axes:\n  strategy: [none, layer]\n", 9, "axes.strategy.1: layer needs the axis layer"),
        ("axes:\n  strategy: [none, matched-random]\n  like: [top-pairs]\n", 10,
         "axes.like.0: got 'top-pairs', expected another strategy of this grid"),
        ("axes:\n  strategy: [none, top-pairs]\n  k: [1, 2, 1]\n", 10, "axes.k.2: 1 stands twice"),
        # What the model does not have.
        ("axes:\n  strategy: [none, layer]\n  layer: [0, 2, 3]\n", 10,
         "axes.layer.2: layer 3 does not exist: the model has layers 0 to 2"),
        ("axes:\n  strategy: [none, layer]\n  layer: all\n  k: [4, 5]\n", 11,
         "axes.k.1: got 5, but the model has only 4 heads in a layer"),
        ("axes:\n  strategy: [none, random]\n  k: [12, 13]\n", 10, "has only 12 pairs"),
        ("axes:\n  strategy: [none, top-layers]\n  layers: [4]\n  k: [1]\n", 10, "only 3 layers"),
        ("axes:\n  strategy: [none, top-pairs]\n  k: [1, all]\n", 10,
         "axes.k.1: got all, expected a number of pairs for top-pairs"),
        ("axes:\n  strategy: [none, top-layer, matched-random]\n  like: [top-layer]\n  k: [3]\n",
         10,
         "axes.like.0: it has 3 heads of one layer, which leaves 1 of 4"),
        ("axes:\n  strategy: [none, published]\n  preset: [1b]\n", 10,
         "axes.preset.0: layer 22 does not exist"),
        ("axes:\n  strategy: [none, published]\n  preset: [7b]\n", 10, "expected one of 1b, 4b"),
        ("axes:\n  strategy: [none, file]\n  heads: [gone.json]\n", 10,
         "cannot read the heads file"),
        ("axes:\n  strategy: [none, file]\n  heads: [out.json]\n", 10, "head 4 does not exist"),
        # Excludes.
        (GOOD + "exclude:\n- {k: 1}\n- {strategy: none, k: 1}\n", 13,
         "exclude.1: matches no point of the grid"),
        (GOOD + "exclude:\n- strategy: none\n  kk: 1\n", 13,
         "exclude.0.kk: the grid has no such axis"),
        (GOOD + "exclude:\n- {k: [1, 3]}\n", 12, "got 3, which is no value of axes.k"),
        ("arms: {none: {title: a}}\nexclude: [{k: 1}]\n", 9, "no grid to exclude from"),
        ("axes:\n  strategy: [none, top-pairs, matched-random]\n  like: [top-pairs]\n  k: [1, 2]\n"
         "exclude:\n- {strategy: top-pairs, k: 2}\n", 10,
         "matched-random-k2 is a control of top-pairs-k2, which is excluded"),
        # The same trial twice.
        (GOOD + "arms:\n  again:\n    title: a\n    heads: {strategy: top-pairs, k: 2}\n", 12,
         "arms top-pairs-k2 and again are the same trial"),
        ("arms:\n  none: {title: a}\n  other:\n    title: b\n    set: {roles: both}\n", 10,
         "arms none and other are the same trial"),
        ("arms:\n  none: {title: a}\n  x: {title: b, heads: {strategy: random, criterion: lift}}\n"
         "  y: {title: b, heads: {strategy: random}}\n", 11, "arms x and y are the same trial"),
        ("arms:\n  none: {title: a}\n  x: {title: b, heads: {strategy: file, heads: one.json}}\n"
         "  y: {title: b, heads: {strategy: file, heads: same.json}}\n", 11,
         "arms x and y are the same trial"),
        (GOOD + "arms:\n  top-pairs-k1: {title: a, set: {roles: actor}}\n", 12,
         "a point of the grid has this name"),
        # Arms.
        ("arms:\n  none: {title: a}\n  b:\n    title: b\n    heads:\n      strategy: layer\n"
         "      layer: 7\n", 14, "arms.b.heads.layer: layer 7 does not exist"),
        ("arms:\n  none: {title: a}\n  b: {title: b, heads: {strategy: layer}}\n", 10,
         "layer needs layer"),
        ("arms:\n  none: {title: a}\n  b: {title: b, heads: {strategy: random, layer: 1}}\n", 10,
         "arms.b.heads.layer: layer is for the strategy layer"),
        ("arms:\n  none:\n    title: a\n    set:\n      steps: 4\n      stepz: 4\n", 13,
         "unknown key 'arms.none.set.stepz'; did you mean 'steps'?"),
        ("arms:\n  none:\n    title: a\n    set:\n      lora: {rank: 4,\n        alpha: -1}\n", 13,
         "arms.none.set.lora.alpha: got -1"),
        ("arms:\n  none:\n    titel: a\n", 10, "unknown key 'arms.none.titel'; did you mean "
         "'arms.none.title'?"),
        ("arms:\n  none:\n    set: {}\n", 9, "lacks the key 'arms.none.title'"),
        # The rest.
        ("arms: {none: {title: a}}\nmetrics: [rvos, iou]\n", 9, "metrics.1: got 'iou'"),
        ("arms: {none: {title: a}}\nmetrics: [target_by_prompt]\n", 9, "no arm is scored by"),
        ("arms: {none: {title: a}}\nchoose: target_by_prompt\n", 9, "choose: got"),
        ("arms: {none: {title: a, set: {roles: actor}}}\nchoose: target\n", 9, "names no targets"),
        ("arms: {none: {title: a}}\nhalving: {rungs: [2, 1]}\n", 9,
         "halving.rungs.1: got 1 after 2"),
        ("arms: {none: {title: a}}\nhalving:\n  rungs:\n  - 1\n  - 4\n", 12,
         "halving.rungs.1: got step 4, expected one before the last of arm none, 4"),
        ("arms: {none: {title: a}}\nhalving: {rungs: [1], keep: 1.0}\n", 9,
         "halving.keep: got 1.0"),
        ("arms: {none: {title: a}}\nlimits: {minutes: 0}\n", 9, "limits.minutes: got 0"),
        ("arms: {none: {title: a}}\nlimits: {gpu: 1}\n", 9, "did you mean 'limits.gpus'?"),
        ("arms: {none: {title: a}}\nclaims:\n- {says: a, source: b, better: none/rvos,\n"
         "   than: gone/rvos, least: 1.0}\n", 11, "claims.0.than: a claim is about 'gone/rvos'"),
        ("arms: {other: {title: a}}\n", 7, "baseline is 'none'; choose one of other"),
        ("axes:\n  strategy: [top-pairs]\n", 7, "baseline is 'none'; choose one of top-pairs"),
        ("arms: {none: {title: a}}\nsweeps: 3\n", 9, "unknown key 'sweeps'"),
    ],
)  # fmt: skip
def test_the_line_that_is_wrong_is_named(tmp_path, write, tail, line, words):
    HeadSelection(((0, 0),)).save(tmp_path / "one.json")
    HeadSelection(((0, 0),), "other").save(tmp_path / "same.json")
    HeadSelection(((0, 4),)).save(tmp_path / "out.json")
    path = write(tail)
    with pytest.raises(ConfigError) as error:
        load_sweep(path)
    message = str(error.value)
    assert message.startswith(f"{path}:{line}: ") and "\n" not in message
    assert words in message


def test_a_base_that_is_wrong_is_named_where_it_stands(tmp_path, write):
    path = write(GOOD)
    (tmp_path / "train.yaml").write_text("model: nano\n\nsteps: none\n")
    with pytest.raises(ConfigError, match=r"train\.yaml:3: steps: got 'none', expected"):
        load_sweep(path)
    (tmp_path / "train.yaml").unlink()
    with pytest.raises(ConfigError, match=r"sweep\.yaml:2: train: cannot read"):
        load_sweep(path)
    (tmp_path / "train.yaml").write_text("model: gone\n")
    with pytest.raises(ConfigError, match="gone: got no such folder, expected a checkpoint"):
        load_sweep(path)


def test_a_file_that_is_extended_and_an_override_are_named(tmp_path, write):
    base = write("axes:\n  strategy: [none, top-pairs]\n  k: [99]\n", name="base.yaml")
    path = tmp_path / "above.yaml"
    path.write_text("extends: base.yaml\nseeds: [1]\n")
    with pytest.raises(ConfigError, match=r"base\.yaml:10: axes\.k\.0: got 99"):
        load_sweep(path)
    assert len(load_sweep(path, ["axes.k=[1, 2]"]).arms) == 3
    with pytest.raises(ConfigError, match=r"^--set: axes\.k\.1: got 13, but the model has only 12"):
        load_sweep(base, ["axes.k=[1, 13]"])
    with pytest.raises(ConfigError, match="^--set: halving.keep: got 2"):
        load_sweep(write(GOOD), ["halving.rungs=[1]", "halving.keep=2"])


def test_nothing_is_written_where_a_file_is_refused(cli, tmp_path, write):
    for flags in ((), ("--list",)):
        result = cli(
            "sweep", write("axes: {strategy: [best]}\n"), "--out", tmp_path / "runs", *flags
        )
        assert result.code == 2 and result.err.count("\n") == 1
        assert "sweep.yaml:8: axes.strategy.0: got 'best'" in result.err
        assert not (tmp_path / "runs").exists()


def test_layers_one_by_one_are_those_of_the_model(write):
    sweep = load_sweep(write("axes:\n  strategy: [none, layer]\n  layer: all\n  k: [all]\n"))
    assert list(sweep.arms) == ["none", "layer0", "layer1", "layer2"]


def test_a_file_of_heads_lies_beside_the_sweep_file(tmp_path, write):
    for name, head in (("a", 0), ("b", 1)):
        HeadSelection(((0, head),)).save(tmp_path / f"{name}.json")
    axes = "axes:\n  strategy: [none, file]\n  heads: [a.json, b.json]\n"
    sweep = load_sweep(write(axes + "exclude: [{heads: b.json}]\n"))
    assert list(sweep.arms) == ["none", "file-a"]
    assert sweep.arms["file-a"].heads.heads == tmp_path / "a.json"
    assert ranked_capture(sweep) is None, "nothing is ranked"


def test_a_model_that_is_a_folder_lies_beside_the_sweep_file(tmp_path, write, checkpoint):
    (tmp_path / "mine").symlink_to(checkpoint)
    axes = "axes: {strategy: [none], model: [nano, ./mine]}\n"
    arms = load_sweep(write(axes, "none-model-nano")).arms
    assert {name: arm.set["model"] for name, arm in arms.items()} == {
        "none-model-nano": "nano", "none-model-mine": str(tmp_path / "mine"),
    }  # fmt: skip
    # Pairs are chosen on the baseline's model, and must be pairs of the others too.
    other = write(axes.replace("none]", "none, random]"), "none-model-nano")
    with pytest.raises(ConfigError, match=r"yaml:8: axes\.model\.1: got a model of 3 layers of 4"):
        load_sweep(other)


def test_the_grid_of_the_document_has_as_many_arms_as_it_says():
    page = (SWEEPS.parents[1] / "docs" / "sweeps.md").read_text()
    (block,) = (x for x in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "axes:" in x)
    value = yaml.safe_load(block)
    arms = expand(Axes.model_validate(value["axes"]), value["exclude"], 8).arms
    (said,) = re.findall(r"= (\d+) arms", page)
    assert len(arms) == int(said)


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_the_ready_files_fit_the_nano_model_and_the_schema(path):
    sweep = load_sweep(path)
    arms = {"table-3": 4, "figure-6c": 5, "beyond": 53}[path.stem]
    assert len(sweep.arms) == arms and len(sweep.seeds) == 3
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    jsonschema.validate(yaml.safe_load(text), sweep_schema())


@pytest.mark.parametrize(
    "change",
    [
        {"axes": {"strategy": ["best"]}},
        {"axes": {"k": [0]}},
        {"axes": {"k": []}},
        {"axes": {"criterium": ["lift"]}},
        {"axes": {"learning_rate": [0]}},
        {"seeds": "0"},
        {"baseline": None},
        {"limits": {"hours": 1}},
        {"halving": {"keep": 0.5}},
    ],
)
def test_the_schema_refuses_what_the_program_refuses(write, change):
    value = yaml.safe_load(write(GOOD).read_text())
    jsonschema.validate(value, sweep_schema())
    axes = {**value["axes"], **change.get("axes", {})}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, **change, "axes": axes}, sweep_schema())


def test_the_kept_schema_is_the_one_of_the_program(cli):
    result = cli("sweep", "--schema")
    assert result.code == 0
    assert result.out == (SWEEPS / "schema.json").read_text(), (
        "write it again: reviosa sweep --schema > configs/sweeps/schema.json"
    )


def test_every_axis_is_described():
    axes = sweep_schema()["$defs"]["Axes"]["properties"]
    assert "lora.rank" in axes and "loss.aml" not in axes and "seed" not in axes
    undescribed = {name for name, value in axes.items() if not value.get("description")}
    # Their names say it.
    assert undescribed == {"lora.rank", "lora.alpha", "lora.dropout"}


def test_a_sweep_without_a_file_is_refused(cli):
    result = cli("sweep")
    assert result.code == 2 and "got no FILE" in result.err


def test_ids_hold_what_decides_the_result_and_nothing_else(tmp_path, write, checkpoint):
    def ids(tail=GOOD, *overrides):
        return {t.arm: t.id for t in plan_trials(load_sweep(write(tail), overrides))}

    found = ids()
    assert list(found) == ["none", "top-pairs-k1", "top-pairs-k2"]
    for change in (
        "name=another", "metrics=[actor]", "choose=actor", "limits.minutes=3", "limits.gpus=0",
        "halving.rungs=[1]", "note=x", "axes.k=[2, 1]", "axes.strategy=[top-pairs, none]",
    ):  # fmt: skip
        assert ids(GOOD, change) == found, change
    # Names and titles: the same pairs and training under explicit arms.
    arms = ("arms:\n  x: {title: t, heads: {strategy: top-pairs, k: 2, role: both}}\n"
            "  none: {title: u, set: {data_fraction: 1.0, loss.aml: 1.0}}\n")  # fmt: skip
    assert ids(arms) == {"x": found["top-pairs-k2"], "none": found["none"]}
    for change in (
        "axes.learning_rate=[1e-3]", "axes.data_fraction=[0.5]", "axes.roles=[actor]",
        "selection_videos=1", "report_videos=1", "seeds=[1]",
    ):  # fmt: skip
        assert not set(ids(GOOD, change).values()) & set(found.values()), change
    for change in ("axes.criterion=[lift]", "axes.role=[act]", "axes.aml=[0.5]"):
        other = ids(GOOD, change)
        assert other["none"] == found["none"]
        assert not {other["top-pairs-k1"], other["top-pairs-k2"]} & set(found.values()), change
    # Other weights.
    (tmp_path / "train.yaml").write_text("model: nano\nsteps: 4\n")
    assert not set(ids().values()) & set(found.values())
    (tmp_path / "train.yaml").write_text(f"model: {checkpoint}\nsteps: 4\n")
    assert ids() == found


def test_given_pairs_decide_whatever_file_they_stand_in(tmp_path, write):
    def file_id(name, pairs):
        HeadSelection(pairs).save(tmp_path / name)
        sweep = load_sweep(write(f"axes:\n  strategy: [none, file]\n  heads: [{name}]\n"))
        return plan_trials(sweep)[1].id

    first = file_id("a.json", ((0, 1), (1, 0)))
    assert file_id("b.json", ((1, 0), (0, 1))) == first
    assert file_id("a.json", ((0, 1), (1, 1))) != first


def test_a_control_is_known_by_what_it_is_a_control_of(write):
    text = """\
arms:
  none: {title: a}
  top: {title: b, heads: {strategy: top-layer, k: 2}}
  control: {title: c, heads: {strategy: matched-random, like: top, k: 1}}
"""

    def last(text):
        return plan_trials(load_sweep(write(text)))[-1].id

    assert last(text.replace("top:", "best:").replace("like: top", "like: best")) == last(text)
    assert last(text.replace("k: 1", "k: 3")) == last(text), "it reads no k"
    assert last(text.replace("k: 2", "k: 1, criterion: lift")) != last(text)


@pytest.mark.parametrize(
    ("criterion", "gradients"),
    [("visual_mass", False), ("auroc", False), ("head_importance", True)],
)
def test_a_capture_takes_gradients_only_where_they_are_needed(write, criterion, gradients):
    wanted = ranked_capture(load_sweep(write(GOOD + f"  criterion: [{criterion}]\n")))
    assert wanted is not None and wanted.gradients is gradients
    assert wanted.folder.endswith("-no-gradients") is not gradients


def test_the_kept_results_read_as_they_did():
    """Old runs say nothing of data_fraction and gained none."""
    run = next((SWEEPS.parents[1] / "docs/results/runs/trials").glob("*/train/run.json"))
    assert "data_fraction" not in json.loads(run.read_text())["config"]
