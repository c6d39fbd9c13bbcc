"""The JSON schema of a sweep file, by which editors complete keys and mark mistakes."""

from typing import Any

from reviosa.training.config import TrainConfig
from workbench.sweeps.axes import training_keys
from workbench.sweeps.config import SweepConfig

__all__ = ["sweep_schema"]


def sweep_schema() -> dict[str, Any]:
    """Made of the models that check the file; ``reviosa sweep --schema`` prints it."""
    schema = SweepConfig.model_json_schema()
    axes = schema["$defs"]["Axes"]
    axes["additionalProperties"] = False
    for own in axes["properties"].values():
        own.pop("default")  # an axis that is not given is no empty list
    axes["properties"] |= {key: _axis(value) for key, value in _training_values().items()}
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "Another sweep file, whose values hold where this one gives none.",
    }
    # What the file it extends gives need not stand here.
    needed = schema.pop("required")
    schema["anyOf"] = [{"required": needed}, {"required": ["extends"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _axis(value: dict[str, Any]) -> dict[str, Any]:
    about = {"description": value["description"]} if "description" in value else {}
    item = {key: x for key, x in value.items() if key not in ("description", "default", "title")}
    return {**about, "type": "array", "items": item, "minItems": 1}


def _training_values() -> dict[str, Any]:
    """Training keys that may be an axis -> the schema of one value."""
    whole = TrainConfig.model_json_schema()
    found = dict(whole["properties"])
    for name, model in (("loss", "LossConfig"), ("lora", "LoraSettings")):
        inner = whole["$defs"][model]["properties"]
        found |= {f"{name}.{key}": value for key, value in inner.items()}
    return {key: found[key] for key in training_keys()}
