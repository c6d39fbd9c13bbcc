"""YAML, extends, overrides, and errors that name the key."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reviosa.errors import ConfigError
from reviosa.training.config import LOSS_PRESETS, LossConfig, TrainConfig
from workbench.config import load_config, preset_path, read_yaml

BASE = "model: nano\ndata: sets/train\nout: run\n"


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "train.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def load(path, *overrides, **values) -> TrainConfig:
    return load_config(TrainConfig, path, overrides, values)


def message(path, *overrides, **values) -> str:
    with pytest.raises(ConfigError) as error:
        load(path, *overrides, **values)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_file_then_options_then_overrides(file):
    path = file(BASE + "steps: 10\nseed: 1\nbatch_size: 2\n")
    config = load(path, "seed=3", steps=20, seed=2, heads=None)
    assert (config.batch_size, config.steps, config.seed) == (2, 20, 3)


def test_paths_of_a_file_are_relative_to_it_and_others_are_not(file, tmp_path):
    path = file(BASE + "heads: ../heads.json\n", "configs/train.yaml")
    config = load(path, "out=elsewhere")
    assert config.data == tmp_path / "configs/sets/train"
    assert config.heads == tmp_path / "configs/../heads.json"
    assert config.out == Path("elsewhere")
    assert config.model == "nano"
    assert load(path, data=Path("here")).data == Path("here")


def test_a_model_written_as_a_folder_is_relative_to_the_file(file, tmp_path):
    path = file(BASE.replace("nano", "./checkpoint"))
    assert load(path).model == str(tmp_path / "checkpoint")


def test_extends_is_merged_key_by_key(file):
    file(BASE + "loss: {aml: 0.5, text: 2.0}\nlora: {rank: 4}\n", "base.yaml")
    config = load(file("extends: base.yaml\nloss: {aml: 0.25}\n"))
    assert (config.loss.aml, config.loss.text) == (0.25, 2.0)
    assert config.lora is not None and config.lora.rank == 4


def test_extends_in_a_circle_is_refused(file):
    file("extends: b.yaml\n", "a.yaml")
    path = file("extends: a.yaml\n", "b.yaml")
    assert "circle: b.yaml -> a.yaml -> b.yaml" in message(path)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("learning_rate=1e-4", 1e-4),
        ("learning_rate=1", 1.0),
        ("learning_rate=.5", 0.5),
        ("learning_rate=2.5E-3", 2.5e-3),
    ],
)
def test_numbers_are_numbers(file, override, value):
    got = load(file(BASE), override).learning_rate
    assert got == value and isinstance(got, float)


def test_null_takes_a_value_away(file):
    assert load(file(BASE + "lora: {rank: 4}\n"), "lora=null").lora is None


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("los.text=1", "unknown key 'los'"),
        ("los.text=1", "did you mean 'loss'?"),
        ("loss.txt=1", "unknown key 'loss.txt'"),
        ("loss.txt=1", "did you mean 'loss.text'?"),
        ("lora.rnk=1", "did you mean 'lora.rank'?"),
        ("zzzzzz=1", "known keys: model, data, out"),
        ("learning_rate=true", "learning_rate"),
        ("learning_rate=true", "got True, expected a valid number"),
        ("learning_rate=off", "got 'off', expected a valid number"),
        ("learning_rate=.inf", "finite"),
        ("learning_rate=0", "greater than 0"),
        ("steps=1.5", "got 1.5, expected a valid integer"),
        ("steps=0", "greater than or equal to 1"),
        ("warmup_ratio=1.0", "less than 1"),
        ("precision=fp16", "'fp32' or 'bf16'"),
        ("gradient_checkpointing=off", "got 'off'"),
        ("loss.preset=mine", "got 'mine', expected 'paper' or 'release'"),
        ("loss=3", "loss"),
        ("data=null", "data"),
        ("steps", "cannot read --set 'steps'"),
        (".steps=1", "cannot read --set"),
        ("loss=[1", "is not YAML"),
    ],
)
def test_a_bad_value_names_its_key(file, override, words):
    assert words in message(file(BASE), override)


def test_a_missing_key_is_asked_for(file):
    assert "lacks the key 'data'" in message(file("model: nano\nout: x\n"))
    # The misspelt key is the cause, the missing one the effect.
    assert "did you mean 'data'?" in message(file("model: nano\nout: x\ndate: y\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: [", "line 1: "),
        ("seed: 1\nseed: 2\n", "line 2: key 'seed' stands twice"),
        ("- model\n", "holds a list"),
        ("extends: [a, b]\n", "one file name"),
        ("extends: nowhere.yaml\n", "cannot read the configuration"),
        ("model: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_a_broken_file_is_one_line(file, text, words):
    assert words in message(file(text))


def test_an_unreadable_file_is_one_line(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"model: caf\xe9\n")
    assert "not valid YAML" in message(tmp_path / "latin.yaml")
    assert "cannot read" in message(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("above", "overrides", "place"),
    [
        ("steps: none\n", (), "train.yaml:4: steps: got 'none'"),
        ("# a remark\n\nlora:\n  rank: 0\n", (), "train.yaml:7: lora.rank: got 0"),
        ("loss: {dice: 1.0,\n  bce: -1}\n", (), "train.yaml:5: loss.bce: got -1"),
        ("stepz: 3\n", (), "train.yaml:4: unknown key 'stepz'; did you mean 'steps'?"),
        ("lora: {rank: 4}\n", ("lora.rank=0",), "--set: lora.rank: got 0"),
        ("lora: {rank: 0}\n", ("lora.alpha=1",), "train.yaml:4: lora.rank: got 0"),
        ("lora: {rank: 0}\n", ("lora={rank: -1}",), "--set: lora.rank: got -1"),
        ("lora: 3\n", ("lora={rank: -1}",), "--set: lora.rank: got -1"),
    ],
)  # fmt: skip
def test_a_bad_value_names_its_line(file, above, overrides, place):
    path = file(BASE + above)
    found = message(path, *overrides)
    expected = place if place.startswith("--set") else f"{path.parent}/{place}"
    assert found.startswith(expected)


def test_a_bad_value_names_the_file_it_stands_in(file):
    base = file(BASE + "seed: -1\nlora:\n  rank: 0\n", "sub/base.yaml")
    path = file("extends: sub/base.yaml\n\nseed: 1\n")
    # The seed below is replaced; the rank is not.
    assert message(path).startswith(f"{base}:6: lora.rank: got 0, expected")
    assert message(path, "lora=null", "steps=0").startswith("--set: steps: got 0")
    path.write_text("extends: sub/base.yaml\nlora: null\nseed: -2\n")
    assert message(path).startswith(f"{path}:3: seed: got -2")


def test_an_alias_that_holds_itself_is_no_endless_walk(file):
    assert "unknown key 'x'" in message(file(BASE + "x: &x [*x]\n"))


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="no train preset is called 'huge'"):
        preset_path("train", "huge")


@pytest.mark.parametrize("path", sorted(preset_path("train", "nano").parent.glob("*.yaml")))
def test_every_shipped_preset_is_whole(path):
    config = load_config(TrainConfig, path, (), {"data": Path("data"), "out": Path("run")})
    assert config.loss.preset in LOSS_PRESETS


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_yaml(value):
    # repr() writes 1e-05 and 1e+16, which YAML 1.1 takes for text.
    assert read_yaml(f"x: {value!r}") == {"x": value}


@given(st.integers())
def test_every_integer_survives_yaml(value):
    got = read_yaml(str(value))
    assert got == value and isinstance(got, int)


@pytest.mark.parametrize("text", ["off", "on", "yes", "no", "y", "n", "1e", "e5", ".", "-"])
def test_words_stay_words(text):
    try:
        assert read_yaml(f"x: {text}") == {"x": text}
    except yaml.YAMLError:
        assert text == "-"  # begins a list


@pytest.mark.parametrize("name", LOSS_PRESETS)
def test_a_loss_preset_fills_what_is_not_given(name):
    loss = LossConfig.model_validate({"preset": name, "dice": 0.125})
    expected = {**LOSS_PRESETS[name], "preset": name, "dice": 0.125}
    assert loss.model_dump() == expected


def test_a_written_configuration_reads_back_the_same(file):
    config = load(file(BASE + "lora: {rank: 4}\nheads: h.json\n"), "loss.preset=release")
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


def test_a_configuration_cannot_be_changed(file):
    with pytest.raises(ValidationError, match="frozen"):
        load(file(BASE)).steps = 5
