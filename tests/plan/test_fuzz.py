"""Whatever a file contains, loading it gives a plan or a UsageError: nothing else is raised."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capplan.errors import UsageError
from capplan.plan import json_schema, yaml_source
from capplan.plan.load import PlanFile, load_plan

FULL = Path(__file__).with_name("full.yaml").read_text("utf-8")
SCHEMA = json.loads(json_schema.shipped())

HOSTILE = [
    "5% to 1%", "-1", "NaN", ".inf", "1e400", "1e-400", "0", "0%", "101%", "no", "~", "null", "",
    "12:30", "1_000", "0x10", "2026-11-27", "2026-11-27T12:00:00", "9999-12-31T23:59:59-14:00",
    "1 to 2 to 3", " to ", "within", "within -1 h", "at", "350 to", "$", "$-1/h", "/h", "\t", "٣",
    "\x85", "\u2028", "9" * 400, "1 " + "k" * 190, "http://[", "http://x:99999", "850 rps at at",
    "\ufffd" * 50, "{}", "[]", "*a", "&a", "!!str x", "<<", "# x", "'", '"', "a: b", "- a", "|",
    "%", "2000-01-01T00:00Z",
]  # fmt: skip
KEYS = sorted(
    {key for part in SCHEMA["$defs"].values() for key in part["properties"]}
    | set(SCHEMA["properties"])
    | {"<<", "", "vists", "0", "POST /buy", "é" * 20}
)
VALID = sorted(
    {
        str(example)
        for part in SCHEMA["$defs"].values()
        for about in part["properties"].values()
        for example in about.get("examples", [])
    }
)

scalars = st.sampled_from(HOSTILE) | st.sampled_from(VALID) | st.text(max_size=12)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=25,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "sale.yaml"


def load(path: Path, content: bytes) -> PlanFile | None:
    path.write_bytes(content)
    with contextlib.suppress(UsageError):
        return load_plan(path)
    return None


def shaped(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Trees of the plan's own shape: right keys, and mostly values of the right kind."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if "properties" in schema:
        keys = {key: shaped(about) for key, about in schema["properties"].items()}
        required = {key: keys.pop(key) for key in schema.get("required", [])}
        return st.fixed_dictionaries(required, optional=keys) | scalars
    if schema.get("type") == "array":
        return st.lists(shaped(schema["items"]), max_size=3)
    if "additionalProperties" in schema:
        return st.dictionaries(scalars, shaped(schema["additionalProperties"]), max_size=2)
    likely = schema.get("examples") or schema.get("enum") or VALID
    return st.sampled_from(list(map(str, likely))) | scalars


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes(path, content):
    load(path, content)


@given(st.text(st.sampled_from(list("a:-?[]{},#&*!|>'\"%@` \n\t\\0")), max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_of_the_characters_that_mean_something_in_yaml(path, content):
    load(path, content.encode())


@given(st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])), trees) | trees, st.booleans())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_tree_of_the_keys_of_the_plan(path, tree, flow):
    load(path, yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True).encode())


@given(shaped(SCHEMA))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_tree_of_the_shape_of_the_plan(path, tree):
    load(path, yaml.safe_dump(tree, allow_unicode=True).encode())


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml_source._LOADER])
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(FULL)),
            st.integers(0, 12),
            st.sampled_from(HOSTILE) | st.text(max_size=3),
        ),
        min_size=1,
        max_size=3,
    )
)
@settings(deadline=None, max_examples=150)
def test_any_damage_to_a_whole_plan(path, loader, cuts):
    text = FULL
    for start, length, replacement in cuts:
        text = text[:start] + replacement + text[start + length :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_source, "_LOADER", loader)
        load(path, text.encode("utf-8"))


@given(st.sampled_from(FULL.splitlines()), st.sampled_from(HOSTILE))
@settings(deadline=None, max_examples=200)
def test_any_value_of_a_whole_plan_replaced(path, line, value):
    key, _, _ = line.partition(": ")
    plan_file = load(path, FULL.replace(line, f"{key}: {value}").encode())
    if plan_file is not None:
        assert plan_file.sections("sale", "audience", "servers", "policy.window")


def test_the_whole_plan_itself_is_fine(path):
    # without it, the tests above could be passing on a plan that is refused for another reason
    assert load(path, FULL.encode()) is not None
