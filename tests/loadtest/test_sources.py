"""Which files belong to a script: what it imports from beside it, and nothing else."""

from pathlib import Path

from capplan.loadtest.generators.sources import sources


def written(folder: Path, **bodies: str) -> Path:
    """Write modules by their dotted names, with ``__`` for a dot; return the folder."""
    for name, body in bodies.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    return folder


def names(folder: Path, *locustfiles: str) -> list[str]:
    found = sources([folder / name for name in locustfiles])
    return [str(path.relative_to(folder)) for path in found]


def test_a_script_that_imports_only_libraries_is_one_file(tmp_path):
    written(tmp_path, shop="import os, numpy\nfrom locust import task\n", other="")
    assert names(tmp_path, "shop.py") == ["shop.py"]


def test_neighbours_are_followed_through_each_other_and_through_packages(tmp_path):
    written(
        tmp_path,
        shop="from pages import FRONT\nimport lib.cart.form\n",
        pages="import shop\nimport deep\n",  # a circle ends
        deep="",
        unused="",
        lib__cart__form="from . import field\nfrom ..money import euro\n",
        lib__cart__field="",
        lib__cart__other="",
        lib__money="",
    )
    (tmp_path / "lib" / "__init__.py").write_text("")
    assert names(tmp_path, "shop.py") == [
        "shop.py",
        "deep.py",
        "lib/__init__.py",
        "lib/cart/field.py",
        "lib/cart/form.py",
        "lib/money.py",
        "pages.py",
    ]


def test_imports_inside_functions_count_and_a_broken_neighbour_is_only_listed(tmp_path):
    written(tmp_path, shop="def t():\n    import cart\n", cart="import more\ndef (:\n", more="")
    assert names(tmp_path, "shop.py") == ["shop.py", "cart.py"]


def test_several_locustfiles_keep_their_order_and_share_their_folders(tmp_path):
    written(tmp_path, b="import common\n", a="import b\n", common="")
    assert names(tmp_path, "b.py", "a.py") == ["b.py", "a.py", "common.py"]
