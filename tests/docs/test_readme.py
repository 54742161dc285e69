"""What README.md shows is what the commands print."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("transcript", ROOT / "docs" / "transcript.py")
assert spec is not None
assert spec.loader is not None
transcript = importlib.util.module_from_spec(spec)
spec.loader.exec_module(transcript)

README = transcript.README.read_text("utf-8")


def test_the_transcripts_are_what_a_fresh_run_prints():
    assert len(transcript.BLOCK.findall(README)) == 4
    with transcript.workplace() as place:
        # renew them with: make docs
        assert transcript.renewed(README, place) == README


def test_every_command_that_is_shown_is_shown_with_its_help():
    names = set(re.findall(r"^(?:    |\$ )capplan ([a-z]+)", README, re.MULTILINE))
    assert {"estimate", "loadtest", "recommend", "gate", "refserver"} <= names
    for name in names:
        assert "Usage: capplan" in transcript.capplan(f"capplan {name} --help", ROOT)


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", README):
        assert (ROOT / target).exists(), target
