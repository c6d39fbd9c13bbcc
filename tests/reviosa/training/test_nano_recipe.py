"""The recipe file: the shipped one is whole, broken ones are refused, done stages are skipped."""

from pathlib import Path

import pytest

from reviosa.errors import ConfigError
from reviosa.training.nano import STAGES, recipe
from reviosa.training.nano.recipe import Recipe, run_recipe

ROOT = Path(__file__).parents[3]


def test_the_shipped_recipe_runs_every_stage():
    shipped = Recipe.load(ROOT / "configs" / "nano" / "recipe.yaml")
    assert [stage.stage for stage in shipped.stages] == list(STAGES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: []", "stages"),
        ("stages: [{stage: dream, steps: 1}]", "no stage 'dream'; choose one of see, segment"),
        ("stages: [{stage: read, steps: 1, start_from: [see]}]", "starts from see"),
        ("stages: [{stage: see, steps: 0}]", "steps"),
        ("stages: [{stage: see, steps: 1, rate: 1}]", "rate"),
        ("stages: [{stage: see, steps: 1}, {stage: see, steps: 1}]", "stands twice"),
        ("stages: [", "cannot read the recipe"),
    ],
)
def test_a_broken_recipe_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        Recipe.load(path)
    assert "\n" not in str(error.value)


def test_a_stage_that_is_done_is_not_run_again(tmp_path, monkeypatch):
    run = []
    monkeypatch.setattr(
        recipe, "run_stage", lambda name, data, out, steps, **more: run.append((name, steps, more))
    )
    (tmp_path / "see").mkdir()
    (tmp_path / "see" / "scores.json").write_text('{"steps": 3}')
    stages = [
        {"stage": "see", "steps": 3},
        {"stage": "watch", "steps": 4, "start_from": ["see"]},
    ]
    lines = []
    last = run_recipe(
        Recipe.model_validate({"seed": 7, "stages": stages}), Path("data"), tmp_path, lines.append
    )
    assert last == tmp_path / "watch"
    ((name, steps, more),) = run
    assert (name, steps, more["seed"]) == ("watch", 4, 7)
    assert more["start_from"] == (tmp_path / "see",)
    assert lines == ["see: done already"]
