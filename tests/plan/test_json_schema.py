import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from capplan.plan import json_schema
from capplan.plan.schema import Plan

FULL = Path(__file__).with_name("full.yaml").read_text("utf-8")
SCHEMA = json.loads(json_schema.shipped())


# YAML as editors read it: like PyYAML, but a time is text
EditorLoader = type(
    "EditorLoader",
    (yaml.SafeLoader,),
    {
        "yaml_implicit_resolvers": {
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }
    },
)


def problems(text: str, loader: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [error.message for error in validator.iter_errors(yaml.load(text, loader))]


def test_the_shipped_schema_is_the_one_of_the_plan():
    # `python -m capplan.plan.json_schema` writes it anew
    assert json_schema.shipped() == json_schema.generate()


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("loader", [EditorLoader, yaml.BaseLoader])
def test_the_schema_accepts_the_plan_of_the_documentation(loader):
    assert problems(FULL, loader) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("visits: 1% to 3%,", "vists: 1% to 3%,", "'vists' was unexpected"),
        ("unit: task", "unit: tasks", "'tasks' is not one of ['task', 'visit']"),
        ("duration: 2 h", "duration: 2", "2 is not of type 'string'"),
        ("arrive: evenly", "arrive: even", "'even' does not match"),
        ("duration: 2 h", "duration:", "None is not of type 'string'"),
        ("visit:\n", "visits:\n", "'visit' is a required property"),
        ("target: http:", "target: ftp:", "does not match '^https?://'"),
        ("  budget: off", "  budget: on", "True is not valid"),
    ],
)
def test_the_schema_refuses_what_the_plan_refuses(old, new, problem):
    assert old in FULL
    assert any(problem in found for found in problems(FULL.replace(old, new, 1), EditorLoader))


def test_the_schema_accepts_a_list_where_the_plan_does():
    one = "locustfile: locustfiles/shop.py"
    assert one in FULL
    several = FULL.replace(one, "locustfile: [a.py, b.py]\n  arguments: [--tags, buy]")
    assert problems(several, EditorLoader) == []


def test_the_defaults_and_examples_are_shown_as_they_are_written():
    servers = SCHEMA["$defs"]["Servers"]["properties"]
    assert servers["boot"]["default"] == "5 min"
    assert servers["scaling_loss"]["default"] == "0% to 15%"
    assert servers["price"]["examples"] == ["$0.17/h"]
    assert "x-unit" not in json.dumps(SCHEMA)


def test_a_plan_that_writes_the_defaults_out_is_the_plan_without_them():
    short = yaml.load(FULL, yaml.BaseLoader)
    short = {key: short[key] for key in ("sale", "audience", "visit")}
    short["visit"] = {"requests": "20 to 60"}
    defaults = {
        section: {
            key: about["default"]
            for key, about in SCHEMA["$defs"][section.title()]["properties"].items()
            if "default" in about
        }
        for section in ("visit", "service", "servers", "policy", "gate")
    }
    assert all(defaults.values())
    defaults["visit"] |= short["visit"]
    assert Plan.model_validate(short | defaults) == Plan.model_validate(short)
