"""Today's plugins on hosts of every published minor: its version, and structs that end where they ended then."""
import json
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VALIDATE = ROOT / "build/bin/precis-validate"
PLUGINS = ROOT / "build/lib/precis/plugins"
MINORS = range(0, 1)  # of this major, today's included


def report(*command):
    return json.loads(subprocess.run([str(part) for part in (VALIDATE, "validate", *command, "--json")], capture_output=True, text=True).stdout)


def failures(document):
    return {result["rule"] for result in document["results"] if result["outcome"] == "failed"}


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("plugin", ["bitsandbytes", "gptq", "torchao"])
def test_plugins_work_on_every_host(plugin, minor):
    document = report(PLUGINS / plugin, "--host-minor", minor, "--include", "entry.*", "--include", "plan.*", "--include", "quantize.*",
                      "--include", "serialize.*", "--include", "loading.*")
    assert failures(document) == set() and document["passed"] > 30


def test_a_plugin_that_needs_a_newer_host_says_so(tmp_path):
    source = (ROOT / "plugin_api/template/c/plugin.c").read_text().replace("my_method", "newer")
    entry = "PRECIS_PLUGIN_ENTRY(init, deinit, get_factory);"
    assert source.count(entry) == 1
    (tmp_path / "plugin.c").write_text(source.replace(entry, """PRECIS_EXPORT extern const precis_plugin_entry precis_plugin_entry_v1;
const precis_plugin_entry precis_plugin_entry_v1 = {
    PRECIS_ENTRY_MAGIC, sizeof(precis_plugin_entry), PRECIS_ABI_MAJOR, PRECIS_ABI_MINOR + 1, PRECIS_ABI_MINOR + 1, 0, init, deinit, get_factory};"""))
    home = tmp_path / "plugins/newer"
    home.mkdir(parents=True)
    cmake, library = ROOT / "plugin_api/cmake", home / "libnewer.so"
    manifest = json.loads((ROOT / "plugin_api/template/c/manifest.json").read_text().replace("my_method", "newer"))
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "abi": {"major": 1, "minor": 1, "min_host_minor": 1}}))
    for command in (["gcc", "-std=c11", "-O2", "-fPIC", "-shared", f"-I{ROOT}/plugin_api/include", f"-I{ROOT}/plugin_api/sdk",
                     '-DPRECIS_PLUGIN_VERSION="1.0"', tmp_path / "plugin.c", "-o", library, f"-Wl,--version-script={cmake}/precis_plugin.map"],
                    ["cmake", f"-DMANIFEST={tmp_path}/manifest.json", f"-DLIBRARY={library}", f"-DOUTPUT={home}/newer.precis-plugin.json",
                     "-DVERSION=1.0", "-DPLATFORM=linux-x86_64", "-P", cmake / "PrecisManifest.cmake"]):
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
    older = report(home)
    assert failures(older) == {"entry.version"}
    assert any("needs a host of minor 1, this one has 0" in result["text"] for result in older["results"])
