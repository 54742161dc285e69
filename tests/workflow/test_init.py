import ast
import json
import re
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from capplan.errors import SetupError, UsageError
from capplan.plan import json_schema
from capplan.plan.load import load_plan
from capplan.workflow.init import init, next_friday_noon

TODAY = date(2026, 11, 13)
WRITTEN = [
    "sale.yaml",
    "locustfile.py",
    ".github/workflows/capplan.yml",
    "sale.capplan/plan.schema.json",
]


def files_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_init_writes_a_plan_a_locustfile_a_workflow_and_the_schema(tmp_path):
    assert init(tmp_path / "new" / "shop", TODAY) == [tmp_path / "new/shop" / f for f in WRITTEN]
    assert files_in(tmp_path / "new" / "shop") == sorted(WRITTEN)


def test_the_plan_loads_and_has_what_a_recommendation_needs(tmp_path):
    plan = load_plan(init(tmp_path, TODAY)[0]).plan
    assert plan.sale.start == datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert plan.audience
    assert plan.usual is not None
    assert plan.servers.capacity is not None
    assert plan.servers.planned is not None
    assert plan.servers.usd_per_h > 0


def test_the_schema_that_the_first_line_names_accepts_the_plan(tmp_path):
    text = init(tmp_path, TODAY)[0].read_text("utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    schema = (tmp_path / named[1]).read_text("utf-8")
    assert schema == json_schema.shipped()
    jsonschema.validate(yaml.load(text, yaml.BaseLoader), json.loads(schema))


def test_the_plan_still_loads_with_every_commented_key_switched_on(tmp_path):
    path = init(tmp_path, TODAY)[0]
    before = load_plan(path).plan
    _, body = path.read_text("utf-8").split("\nsale:\n")
    path.write_text("sale:\n" + re.sub(r"(?m)^( {0,2})# ", r"\1", body), "utf-8")
    plan = load_plan(path).plan
    assert len(plan.audience) > len(before.audience)
    assert plan.servers.ceilings
    assert plan.service.endpoints
    assert plan.visit.first_page
    assert plan.history
    assert plan.policy.budget


def test_every_uncertain_share_of_the_plan_names_its_source_and_year(tmp_path):
    for line in init(tmp_path, TODAY)[0].read_text("utf-8").splitlines():
        key, _, rest = line.partition(": ")
        if key.strip(" #-") in ("visits", "conversion") and "100%" not in rest:
            assert re.search(r"# .*\(\w+ 20\d\d\)", rest), line


def test_every_channel_to_switch_on_names_its_source_and_year(tmp_path):
    text = init(tmp_path, TODAY)[0].read_text("utf-8")
    channels = re.findall(r"# - \{channel: .*visits: (.*?),.*\n((?:  # {4,}# .*\n)+)", text)
    assert len(channels) >= 4
    for visits, said in channels:
        assert "100%" in visits or re.search(r"\(\w+ 20\d\d\)", said), said


def test_the_plan_fits_on_two_screens(tmp_path):
    lines = init(tmp_path, TODAY)[0].read_text("utf-8").splitlines()
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 100


def test_the_locustfile_needs_nothing_but_locust(tmp_path):
    source = init(tmp_path, TODAY)[1].read_text("utf-8")
    tree = ast.parse(source)
    froms = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert froms == ["locust"]
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
    assert any(isinstance(node, ast.ClassDef) for node in tree.body)


def test_the_workflow_judges_the_plan_with_the_gate(tmp_path):
    workflow = yaml.safe_load(init(tmp_path, TODAY)[2].read_text("utf-8"))
    steps = workflow["jobs"]["gate"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert runs == [
        "pip install capplan",
        "capplan estimate sale.yaml",
        "capplan gate sale.yaml --junit capplan-junit.xml",
    ]


@pytest.mark.parametrize("taken", WRITTEN[:3])
def test_a_file_that_is_already_there_is_kept_and_nothing_is_written(tmp_path, taken):
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).write_text("mine")
    with pytest.raises(UsageError) as caught:
        init(tmp_path, TODAY)
    assert caught.value.message == f"{tmp_path / taken} already exists, and nothing was written"
    assert caught.value.hint == "name another folder: capplan init DIR"
    assert files_in(tmp_path) == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_all_files_that_are_in_the_way_are_named(tmp_path):
    init(tmp_path, TODAY)
    with pytest.raises(
        UsageError, match=r"sale\.yaml and .*locustfile\.py and .* already exist, and"
    ):
        init(tmp_path, TODAY)


def test_a_link_to_nowhere_is_in_the_way_as_well(tmp_path):
    (tmp_path / "sale.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(UsageError, match="already exists"):
        init(tmp_path, TODAY)
    assert files_in(tmp_path) == []


def test_an_older_schema_is_replaced(tmp_path):
    (tmp_path / "sale.capplan").mkdir()
    (tmp_path / "sale.capplan" / "plan.schema.json").write_text("{}")
    init(tmp_path, TODAY)
    assert (tmp_path / "sale.capplan/plan.schema.json").read_text() == json_schema.shipped()


def test_a_write_that_fails_half_way_takes_back_what_was_written(tmp_path):
    (tmp_path / ".github").write_text("a file where a folder is needed")
    with pytest.raises(SetupError) as caught:
        init(tmp_path, TODAY)
    assert caught.value.message.startswith(f"{tmp_path / WRITTEN[2]} cannot be written: ")
    assert files_in(tmp_path) == [".github"]


def test_a_schema_that_cannot_be_written_takes_back_the_rest(tmp_path):
    (tmp_path / "sale.capplan").write_text("a file where a folder is needed")
    with pytest.raises(SetupError) as caught:
        init(tmp_path, TODAY)
    assert caught.value.message.startswith(f"{tmp_path / WRITTEN[3]} cannot be written: ")
    assert files_in(tmp_path) == ["sale.capplan"]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "shop").write_text("")
    with pytest.raises(SetupError, match=r"shop/.* cannot be written: "):
        init(tmp_path / "shop", TODAY)


@pytest.mark.parametrize("offset", range(7))
def test_the_sale_starts_on_the_first_friday_after_two_weeks(tmp_path, offset):
    today = TODAY + timedelta(days=offset)
    start = load_plan(init(tmp_path, today)[0]).plan.sale.start
    assert start.weekday() == 4
    assert start.hour == 12
    assert timedelta(days=14) <= start.date() - today < timedelta(days=21)
    assert start == next_friday_noon(today + timedelta(days=14))


def test_without_a_date_the_sale_lies_in_the_future(tmp_path):
    assert load_plan(init(tmp_path)[0]).plan.sale.start > datetime.now(UTC)


def test_the_starter_files_are_part_of_the_package():
    names = {entry.name for entry in resources.files("capplan.starter").iterdir()}
    assert {"sale.yaml", "locustfile.py", "workflow.yml"} <= names
