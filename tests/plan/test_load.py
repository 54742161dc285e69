import os
from datetime import datetime
from pathlib import Path

import pytest

from capplan.errors import ExitCode, UsageError
from capplan.plan.load import load_plan
from capplan.units import Range

FULL = Path(__file__).with_name("full.yaml").read_text("utf-8")
SMALL = """\
sale:
  start: 2026-11-27T12:00:00+01:00
  duration: 2 h
audience:
  - {channel: email, reach: 400k, visits: 1% to 3%, arrive: within 1 h}
visit:
  requests: 20 to 60
"""


def mistakes(tmp_path, content: str | bytes) -> str:
    """Return the message that loading ``content`` as sale.yaml ends in."""
    path = tmp_path / "sale.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError) as caught:
        load_plan(path)
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value.message.replace(f"{tmp_path}/", "")


def load(folder: Path, content: str, name: str = "sale.yaml"):
    path = folder / name
    path.write_text(content, "utf-8")
    return load_plan(path)


def test_the_whole_plan_of_the_documentation_loads(tmp_path):
    plan = load(tmp_path, FULL).plan
    assert plan.sale.start == datetime.fromisoformat("2026-11-27T12:00:00+01:00")
    assert plan.sale.duration == 7200
    assert [channel.channel for channel in plan.audience] == [
        "email", "push", "social", "ads", "waiting",
    ]  # fmt: skip
    assert plan.audience[2].visits == Range(0.0005, 0.004)
    assert str(plan.audience[1].arrive) == "within 10 min"
    assert plan.usual is not None
    assert plan.usual.peak is not None
    assert (plan.usual.peak.rate, plan.usual.peak.cpu, plan.usual.peak.servers) == (850, 0.35, 6)
    assert plan.history[0].actual == 1450
    assert plan.service.max.memory == pytest.approx(0.9)
    assert plan.service.metrics is not None
    assert list(plan.service.metrics.queries) == ["db_connections"]
    assert str(plan.service.endpoints["POST /checkout"]) == "p99<800ms, failures<0.1%"
    assert plan.service.endpoints["POST /checkout"].priority == "critical"
    assert plan.servers.ceilings[1].per == "order"
    assert plan.servers.capacity == Range(350, 420)
    assert plan.policy.value_per_visit == pytest.approx(0.4)
    gate = plan.gate
    assert (gate.overload_risk, gate.zone_loss_risk, gate.budget) == (0.02, "off", "off")
    assert (gate.sla, gate.ceilings, gate.capacity_drop) == (True, False, 0.1)


def test_words_and_numbers_stay_the_text_they_are(tmp_path):
    text = SMALL.replace("sale:\n", "sale:\n  name: no\n").replace("email", "1e3")
    plan = load(tmp_path, text).plan
    assert (plan.sale.name, plan.audience[0].channel) == ("no", "1e3")


def test_a_byte_order_mark_is_passed_over(tmp_path):
    assert load(tmp_path, "\ufeff" + SMALL).plan == load(tmp_path, SMALL).plan


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "1% to 3%",
            "5% to 1%",
            "sale.yaml:5: audience[0].visits: '5% to 1%' runs backwards: write the smaller value"
            " first",
        ),
        ("visits:", "vists:", "sale.yaml:5: audience[0]: unknown key 'vists', did you mean"
         " 'visits'?"),
        ("visit:\n", "Visit:\n", "sale.yaml:6: unknown key 'Visit', did you mean 'visit'?"),
        (
            "sale:\n",
            "sale:\n  planned: 3\n",
            "sale.yaml:2: sale: unknown key 'planned' here, did you mean servers.planned?",
        ),
        (
            "sale:\n",
            "sale:\n  zzz: 3\n",
            "sale.yaml:2: sale: unknown key 'zzz': the keys here are name, start, duration",
        ),
        (
            "  duration: 2 h\n",
            "",
            "sale.yaml:1: sale: 'duration' is missing: add it like duration: 2 h",
        ),
        ("visit:\n  requests: 20 to 60\n", "", "sale.yaml: 'visit' is missing"),
        (
            "audience:\n  - {channel: email, reach: 400k, visits: 1% to 3%, arrive: within 1 h}\n",
            "",
            "sale.yaml: nobody comes: give at least one channel under audience, or usual",
        ),
        (
            "duration: 2 h",
            "duration:",
            "sale.yaml:3: sale.duration: has no value: write one, or remove the key",
        ),
        (
            "  - {",
            "  -\n  - {",
            "sale.yaml:5: audience[0]: has no value: write one, or remove the key",
        ),
        (
            "duration: 2 h",
            "duration: 12:30",
            "sale.yaml:3: sale.duration: '12:30' is not a duration with its unit, such as 250 ms,"
            " 10 min or 2 h",
        ),
        (
            "+01:00",
            "",
            "sale.yaml:2: sale.start: '2026-11-27T12:00:00' has no time zone: add one, such as"
            " +01:00 or Z",
        ),
        (
            "2026-11-27T12:00:00+01:00",
            "0001-01-01T00:00:00+14:00",
            "sale.yaml:2: sale.start: '0001-01-01T00:00:00+14:00' is not in this century",
        ),
        (
            "2026-11-27T12:00:00+01:00",
            "tomorrow",
            "sale.yaml:2: sale.start: 'tomorrow' is not a time: write it like"
            " 2027-11-26T12:00:00+01:00",
        ),
        ("400k", "NaN", "sale.yaml:5: audience[0].reach: 'NaN' is not a count such as 400k or"
         " 1.2M"),
        ("400k", "-4", "sale.yaml:5: audience[0].reach: '-4' must be more than zero"),
        ("400k", "1e30", "sale.yaml:5: audience[0].reach: '1e30' is out of all proportion"),
        ("400k", "1e999", "sale.yaml:5: audience[0].reach: '1e999' is too large"),
        ("2 h", "500 d", "sale.yaml:3: sale.duration: '500 d' must not be more than a year"),
        (
            "within 1 h",
            "soon",
            "sale.yaml:5: audience[0].arrive: 'soon' is not one of: within 1 h, like an e-mail,"
            " like a push, like an opening, evenly, at the start, curve.csv",
        ),
        (
            "within 1 h}",
            "evenly, send_over: 10 min}",
            "sale.yaml:5: audience[0].send_over: nothing is sent where people arrive evenly: use"
            " it with a message, such as within 1 h or like an e-mail",
        ),
        ("within 1 h", "within 0 h", "sale.yaml:5: audience[0].arrive: '0 h' must be more than"
         " zero"),
        ("email", '""', "sale.yaml:5: audience[0].channel: '' is not a name: write one line of 1"
         " to 80 characters"),
        (
            "requests: 20 to 60",
            "requests: 20 to 60\n  first_page: 5 to 80",
            "sale.yaml:8: visit.first_page: a first page of up to 80 requests does not fit into a"
            " visit of at most 60",
        ),
        (
            "requests: 20 to 60",
            "requests: [20, 60]",
            "sale.yaml:7: visit.requests: a list is not a single value",
        ),
        ("visit:\n  requests: 20 to 60\n", "visit: 5\n", "sale.yaml:6: visit: '5' stands where"
         " keys and values belong"),
        (
            "visit:\n",
            "servers: {price: $-0.17/h}\nvisit:\n",
            "sale.yaml:6: servers.price: '$-0.17/h' must not be negative",
        ),
        (
            "visit:\n",
            "servers:\n  planned: 24\n  limit: 20\nvisit:\n",
            "sale.yaml:8: servers.limit: the 24 planned servers are more than the limit of 20",
        ),
        (
            "visit:\n",
            "servers: {ceilings: {name: db, rate: 9/s}}\nvisit:\n",
            "sale.yaml:6: servers.ceilings: a mapping stands where a list belongs: begin each"
            " entry with '- '",
        ),
        (
            "visit:\n",
            "service: {unit: visits}\nvisit:\n",
            "sale.yaml:6: service.unit: 'visits' is not 'task' or 'visit'",
        ),
        (
            "visit:\n",
            "service: {target: 127.0.0.1:8899}\nvisit:\n",
            "sale.yaml:6: service.target: '127.0.0.1:8899' is not an address: write it like"
            " http://127.0.0.1:8899",
        ),
        (
            "visit:\n",
            "service: {locustfile: []}\nvisit:\n",
            "sale.yaml:6: service.locustfile: a list is not a file or a list of files",
        ),
        (
            "visit:\n",
            "service: {arguments: --basket 'half full}\nvisit:\n",
            "sale.yaml:6: service.arguments: \"--basket 'half full\" has a quote that is not"
            " closed",
        ),
        (
            "visit:\n",
            "service: {endpoints: {POST /buy: {latency_p9: 1 s}}}\nvisit:\n",
            "sale.yaml:6: service.endpoints['POST /buy']: unknown key 'latency_p9', did you mean"
            " 'latency_p99'?",
        ),
        (
            "visit:\n",
            "service: {sla: {latency_p95: 1 s, latency_p99: 300 ms}}\nvisit:\n",
            "sale.yaml:6: service.sla: a higher percentile has a lower limit than a lower"
            " percentile",
        ),
        (
            "visit:\n",
            "usual: {orders_per_day: 9, multiple: 3, within: 2 h, conversion: 2%, peak: a lot}\n"
            "visit:\n",
            "sale.yaml:6: usual.peak: 'a lot' is not of the form '850 rps at 35% CPU on 6"
            " servers'",
        ),
        (
            "visit:\n",
            "  - {channel: email, reach: 1, visits: 1%, arrive: evenly}\nvisit:\n",
            "sale.yaml:4: audience: the channel 'email' stands twice, as [0] and [1]",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_the_plan_is_named_with_line_key_and_way_out(tmp_path, old, new, message):
    assert old in SMALL
    assert mistakes(tmp_path, SMALL.replace(old, new, 1)) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "sale.yaml: is empty: 'capplan init' writes a plan"),
        ("# soon\n", "sale.yaml: is empty: 'capplan init' writes a plan"),
        ("---\n", "sale.yaml: is empty: 'capplan init' writes a plan"),
        (
            "- sale\n- visit\n",
            "sale.yaml:1: a list stands where the sections of a plan belong: sale, audience,"
            " visit, …",
        ),
        (
            "hello",
            "sale.yaml:1: plain text stands where the sections of a plan belong: sale, audience,"
            " visit, …",
        ),
        (SMALL + "---\na: 1\n", "sale.yaml:8: a second document begins here: a plan is one"
         " document"),
        (SMALL + "visit: {requests: 3}\n", "sale.yaml:8: the key 'visit' is already in line 6"),
        (
            SMALL.replace("  duration", "\tduration"),
            "sale.yaml:3: cannot be read as YAML: a tab in the indentation: indent with spaces",
        ),
        (
            SMALL.replace("  duration", "    duration"),
            "sale.yaml:3: cannot be read as YAML: a second ': ' in one line, or indented too far;"
            " text that contains ': ' needs quotes",
        ),
        (
            SMALL.replace("email", "@email"),
            "sale.yaml:5: cannot be read as YAML: a character that needs quotes round its text",
        ),
        (
            SMALL.replace("email", "'email"),
            "sale.yaml:5: cannot be read as YAML: a quote that opens here is not closed",
        ),
        (
            SMALL.replace("1 h}", "1 h"),
            "sale.yaml:6: cannot be read as YAML: a comma or a closing bracket is missing",
        ),
        ("%YAML 3.0\n---\na: 1\n", "sale.yaml:1: cannot be read as YAML: found incompatible YAML"
         " document"),
        (SMALL.encode("utf-16"), "sale.yaml:1: byte 0xff is not UTF-8 text: save the file as"
         " UTF-8"),
        (
            SMALL.replace("email", "caf\xe9").encode("latin-1"),
            "sale.yaml:5: byte 0xe9 is not UTF-8 text: save the file as UTF-8",
        ),
        (SMALL.replace("email", "e\0mail"), "sale.yaml:5: a control character stands here"
         " (U+0000): remove it"),
        (
            SMALL.replace("email", '"e\\0mail"'),
            "sale.yaml:5: audience[0].channel: contains a control character (U+0000)",
        ),
        ("[" * 200_000, "sale.yaml:1: nested too deep for a plan"),
        ("{a: " * 60_000, "sale.yaml:1: nested too deep for a plan"),
        ("".join(f"{' ' * i}a:\n" for i in range(300)), "sale.yaml:21: nested too deep for a plan"),
        ("a" * 10_000_000, "sale.yaml is larger than 256 kB: this is not a plan"),
        (
            SMALL.replace("20 to 60", "!!python/object/apply:os.system [ls]"),
            "2 mistakes in sale.yaml\n"
            "  sale.yaml:7: visit.requests: a list is not a single value\n"
            "  sale.yaml:7: visit.requests: the tag '!!python/object/apply:os.system' is not read"
            " in a plan: write plain text, in quotes if need be",
        ),
        (
            SMALL.replace("email", "&e email"),
            "sale.yaml:5: audience[0].channel: the anchor '&e' is not read in a plan: write plain"
            " text, in quotes if need be",
        ),
        (
            SMALL.replace("email", "*bold*"),
            "sale.yaml:5: cannot be read as YAML: a character that needs quotes round its text",
        ),
        (
            SMALL.replace("email", "*bold"),
            "sale.yaml:5: audience[0].channel: the alias '*bold' is not read in a plan: write plain"
            " text, in quotes if need be",
        ),
        (
            SMALL.replace("sale:\n", "sale:\n  <<: {name: x}\n"),
            "sale.yaml:2: sale: a merge key (<<) is not read: write the keys out",
        ),
        (SMALL + "? [a, b]\n: 1\n", "sale.yaml:8: a key must be a word"),
        (SMALL + "'': 1\n", "sale.yaml:8: a key must be a word"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_plain_yaml_is_named_with_its_line(tmp_path, content, message):
    assert mistakes(tmp_path, content) == message


def test_aliases_of_aliases_do_not_grow(tmp_path):
    laughs = "a0: &a0 [x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 100)
    )
    assert "the alias '*a0' is not read in a plan" in mistakes(tmp_path, laughs)


def test_all_mistakes_are_shown_at_once_in_the_order_of_the_file(tmp_path):
    text = SMALL.replace("2 h", "2").replace("400k", "-1").replace("requests:", "request:")
    assert mistakes(tmp_path, text) == (
        "3 mistakes in sale.yaml\n"
        "  sale.yaml:3: sale.duration: '2' is not a duration with its unit, such as 250 ms, 10 min"
        " or 2 h\n"
        "  sale.yaml:5: audience[0].reach: '-1' must be more than zero\n"
        "  sale.yaml:7: visit: unknown key 'request', did you mean 'requests'?"
    )


def test_of_very_many_mistakes_the_first_twenty_are_shown(tmp_path):
    lines = mistakes(tmp_path, SMALL + "".join(f"k{i}: 1\n" for i in range(5000))).splitlines()
    assert lines[0] == "5000 mistakes in sale.yaml"
    assert lines[1].startswith("  sale.yaml:8: unknown key 'k0'")
    assert lines[20].startswith("  sale.yaml:27: unknown key 'k19'")
    assert lines[21:] == ["  … and 4980 more"]


def test_a_misspelt_key_counts_once_however_many_there_are(tmp_path):
    channels = "".join(
        f"  - {{channel: c{i}, reach: 1, vists: 1%, arrive: evenly}}\n" for i in range(30)
    )
    lines = mistakes(tmp_path, SMALL.replace("visit:\n", channels + "visit:\n")).splitlines()
    assert len(lines) == 22
    assert all(line.endswith("unknown key 'vists', did you mean 'visits'?") for line in lines[1:-1])


def test_a_missing_plan_points_to_init(tmp_path):
    with pytest.raises(UsageError) as caught:
        load_plan(tmp_path / "sale.yaml")
    assert caught.value.message == f"{tmp_path / 'sale.yaml'} does not exist"
    assert caught.value.hint == "write a plan with: capplan init"


def test_a_folder_is_no_plan(tmp_path):
    with pytest.raises(UsageError, match="is a folder, not a plan"):
        load_plan(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "file/sale.yaml", "a\0b"])
def test_a_path_that_cannot_be_opened_is_named(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be read: "):
        load_plan(tmp_path / name)


def test_a_plan_knows_its_name_its_results_and_its_neighbours(tmp_path, monkeypatch):
    load(tmp_path, SMALL, "black.friday.yaml")
    monkeypatch.chdir(tmp_path)
    plan_file = load_plan(Path("black.friday.yaml"))
    assert plan_file.path == tmp_path / "black.friday.yaml"
    assert plan_file.name == "black.friday"
    assert plan_file.results_dir == tmp_path / "black.friday.capplan"
    assert plan_file.resolve("locust/shop.py") == tmp_path / "locust" / "shop.py"
    assert plan_file.resolve("/opt/shop.py") == Path("/opt/shop.py")


def test_a_plan_can_come_from_standard_input(monkeypatch):
    read_end, write_end = os.pipe()
    os.write(write_end, SMALL.replace("2 h", "2").encode())
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(UsageError, match=r"^standard input:3: sale\.duration: '2' is not"):
            load_plan(Path("-"))


@pytest.mark.parametrize(
    ("line", "files", "words"),
    [
        ("locustfile: shop.py", ("shop.py",), ()),
        ("locustfile: [shop.py, api.py], arguments: --tags buy", ("shop.py", "api.py"),
         ("--tags", "buy")),
        ("locustfile: a b.py, arguments: [--basket, half full, 3]", ("a b.py",),
         ("--basket", "half full", "3")),
        ("arguments: --basket 'half full'", None, ("--basket", "half full")),
    ],
)  # fmt: skip
def test_one_script_or_several_and_what_they_are_told(tmp_path, line, files, words):
    service = load(tmp_path, SMALL + f"service: {{{line}}}\n").plan.service
    assert (service.locustfile, service.arguments) == (files, words)


def test_the_hash_of_a_section_ignores_how_it_is_written(tmp_path):
    before = load(tmp_path, SMALL)
    after = load(
        tmp_path,
        SMALL.replace("duration: 2 h", "duration: 120 min   # two hours").replace(
            "{channel: email, reach: 400k,", "{reach: 0.4M people, channel: email,"
        ),
    )
    names = ("sale", "audience", "visit", "policy.window", "usual", "usual.peak")
    assert before.sections(*names) == after.sections(*names)
    assert list(before.sections(*names)) == list(names)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("2 h", "121 min", {"sale"}),
        ("within 1 h", "within 3600.4 s", {"audience"}),
        ("1% to 3%", "1% to 3.0001%", {"audience"}),
        ("+01:00", "+02:00", {"sale"}),
        ("visit:\n", "policy: {window: 9 s}\nvisit:\n", {"policy", "policy.window"}),
        ("visit:\n", "policy: {budget: $9}\nvisit:\n", {"policy"}),
    ],
)
def test_the_hash_of_a_section_changes_with_its_meaning(tmp_path, old, new, changed):
    names = ("sale", "audience", "visit", "policy", "policy.window", "servers")
    before = load(tmp_path, SMALL).sections(*names)
    after = load(tmp_path, SMALL.replace(old, new)).sections(*names)
    assert {name for name in names if before[name] != after[name]} == changed


def test_clients_of_the_sale_day_have_defaults_and_limits(tmp_path):
    default = load(tmp_path, SMALL).plan.saleday
    assert (default.attempts, default.timeout, default.backoff, default.jitter) == (
        2,
        None,
        0.2,
        0.5,
    )
    for key, problem in (
        ("attempts: 11", "more than any client makes"),
        ("attempts: 0", "from 1 to"),
        ("timeout: 5", "unit"),
        ("jitter: 120%", "not a share"),
        ("retries: 2", "unknown key"),
    ):
        assert problem in mistakes(tmp_path, f"{SMALL}saleday: {{{key}}}\n")
