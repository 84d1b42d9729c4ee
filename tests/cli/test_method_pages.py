"""docs/methods has a current page for every plugin of this tree: README, options by its schema, presets, measured errors."""
import json
import sys

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "tests"))
import method_pages  # noqa: E402


def folders():
    return {path.parent.name for path in ROOT.glob("plugins/*/manifest.json")}


def test_every_plugin_has_a_page(precis):
    found = {plugin["id"] for plugin in method_pages.plugins(precis.path)}
    assert found == folders()
    assert {path.stem for path in method_pages.PAGES.glob("*.md")} == found | {"README"}


def test_pages_are_current(precis):
    for path, text in method_pages.pages(precis.path).items():
        assert path.read_text() == text, f"run: tests/method_pages.py build/bin/precis --write ({path.name})"


def test_every_page_says_what_a_reader_needs():
    for path in method_pages.PAGES.glob("*.md"):
        if path.stem == "README":
            continue
        headings = [line for line in path.read_text().splitlines() if line.startswith("## ")]
        for needed in ("## Format and numerics", "## Choosing it", "## Speed", "## Options"):
            assert needed in headings, f"{path.name} has no '{needed}'; it comes from plugins/{path.stem}/README.md"


def test_presets_that_need_nothing_are_measured(precis):
    measured = json.loads(method_pages.MEASURED.read_text())
    left_out = {"gguf": {"iq2_xxs", "iq2_xs", "iq1_s"},  # need an importance matrix
                "mxfp4": {"mxfp4-experts"}}  # of GPT-OSS' experts alone
    for plugin in method_pages.plugins(precis.path):
        presets = {preset["name"] for preset in plugin["presets"]} - left_out.get(plugin["id"], set())
        assert presets == set(measured.get(plugin["id"], {})), plugin["id"]


def test_every_measured_product_is_on_its_page():
    pages = "".join(path.read_text() for path in method_pages.PAGES.glob("*.md"))
    for row in json.loads(method_pages.PRODUCTS.read_text())["rows"]:
        assert f"| `{row['format']}` |" in pages, row["format"]
