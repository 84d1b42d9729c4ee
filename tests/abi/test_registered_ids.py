"""The list of registered encodings in plugin_api/README.md is what core reads and writes."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_list_is_that_of_the_container():
    page = (ROOT / "plugin_api/README.md").read_text()
    section = page[page.index("## Registered encodings"):]
    listed = {name: (int(elements), int(size)) for name, elements, size in re.findall(r"(\w+)\s+(\d+)/(\d+)", section)}
    source = (ROOT / "core/format/gguf_types.cpp").read_text()
    known = re.findall(r'GgufType\{\d+, "(\w+)", (\d+), (\d+), \{\}\}', source)
    assert len(known) > 20
    assert listed == {name: (int(elements), int(size)) for name, elements, size in known}
