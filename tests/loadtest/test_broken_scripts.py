"""Scripts that cannot be used are refused with their own lines, before any load."""

import psutil
import pytest

from capplan.errors import SetupError, UsageError
from capplan.loadtest.generators import engine as engine_module
from tests.loadtest.harness import IMPORTS, engine, script

NOBODY = "http://127.0.0.1:1"
ONE_PAGE = """
class Buyer(FastHttpUser):
    @task
    def t(self):
        self.client.get("/a")
"""

BROKEN = {
    "a syntax error": ("def t(self:\n    pass\n", "def t(self:", "SyntaxError"),
    "an import error": ("import no_such_shop\n", "import no_such_shop", "ModuleNotFoundError"),
    "an error in a function": (
        "def stock():\n    return {}['shoes']\n\nstock()\n",
        "return {}['shoes']",
        "KeyError: 'shoes'",
    ),
    "sys.exit": ("import sys\nsys.exit('no credentials')\n", "sys.exit(", "no credentials"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_script_that_cannot_be_loaded_shows_its_own_lines_and_none_of_ours(tmp_path, kind):
    body, line, error = BROKEN[kind]
    locustfile = script(tmp_path, body)
    number = 1 + (IMPORTS + body).splitlines().index(
        next(text for text in (IMPORTS + body).splitlines() if line in text)
    )
    with pytest.raises(UsageError) as refused, engine(locustfile, NOBODY):
        pass
    assert f'File "{locustfile}", line {number}' in refused.value.message
    assert line in refused.value.message
    assert error in refused.value.message
    assert "capplan/" not in refused.value.message
    assert "load_locustfile" not in refused.value.message


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("", "shop.py defines no User class"),
        ("class Shop(HttpUser):\n    abstract = True\n", "shop.py defines no User class"),
        ("class Idler(HttpUser):\n    pass\n", "the user class Idler has no tasks"),
        (ONE_PAGE + "    weight = 0\n", "no users with weight > 0"),
    ],
)
def test_a_script_without_usable_users_is_refused(tmp_path, body, complaint):
    with pytest.raises(UsageError, match=complaint), engine(script(tmp_path, body), NOBODY):
        pass


def test_a_script_that_never_finishes_loading_is_a_setup_error(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "START_TIMEOUT_S", 1.5)
    child = engine(script(tmp_path, "while True:\n    pass\n"), NOBODY)
    with pytest.raises(SetupError, match="never gives control back"), child:
        pass
    assert not psutil.pid_exists(child.pids[0])
