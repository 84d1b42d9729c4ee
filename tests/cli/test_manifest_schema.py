"""The schema of plugin_api describes the manifests that precis takes, and no others."""
import copy
import json
import pathlib
import shutil

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "plugin_api/schema/manifest.schema.json").read_text())
PLUGINS = sorted((ROOT / "build/lib/precis/plugins").glob("*/*.precis-plugin.json"))


def fits_schema(manifest):
    return jsonschema.Draft7Validator(SCHEMA).is_valid(manifest)


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_every_plugin_s_manifest_fits(path):
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)


LEFT_OUT = object()
CHANGES = [
    ("manifest_version", 2), ("manifest_version", LEFT_OUT), ("id", ""), ("id", "a b"), ("id", "../quanto"),
    ("id", "x" * 129), ("version", LEFT_OUT), ("license", 1), ("description", ""), ("library", "../libx.so"),
    ("library", "/usr/lib/libx.so"), ("library", ".."), ("sha256", "0" * 63), ("sha256", "G" * 64), ("abi", LEFT_OUT),
    ("abi", {"major": 1, "minor": -1, "min_host_minor": 0}), ("abi", {"major": 1, "minor": 0}), ("abi", [0, 0]),
    ("platform", LEFT_OUT), ("requires", {"cpu": "avx2"}), ("quant_methods", {}), ("quant_methods", [{"name": "x"}]),
    ("quant_methods", [{"name": "x", "method": "quanto", "when": []}]),
    ("quant_methods", [{"name": "x", "method": "quanto", "priority": 1.5}]),
    ("quant_methods", [{"name": "x", "method": "quanto", "remarks": {"diffusers": 5}}]),
    ("presets", [{"name": "x", "method": "quanto"}]), ("presets", [{"name": "x", "method": "quanto", "summary": "s", "config": 4}]),
    ("devices", "cpu"), ("reads", [1]), ("reads", ["x"] * 1001), ("unknown_key", {"a": 1}), ("requires", {}),
    ("quant_methods", []), ("presets", [{"name": "x", "method": "quanto", "summary": "s"}])]


@pytest.mark.parametrize("key, value", CHANGES, ids=lambda value: "left out" if value is LEFT_OUT else str(value)[:40])
def test_precis_takes_what_the_schema_takes(precis, tmp_path, key, value):
    source = next(path for path in PLUGINS if path.parent.name == "quanto")
    manifest = copy.deepcopy(json.loads(source.read_text()))
    if value is LEFT_OUT:
        del manifest[key]
    else:
        manifest[key] = value
    folder = tmp_path / "plugins" / "quanto"
    folder.mkdir(parents=True, mode=0o755)
    shutil.copy(source.parent / "libprecis_quanto.so", folder)
    (folder / source.name).write_text(json.dumps(manifest))
    listed = precis.json("backends", "--plugin-path", tmp_path / "plugins")["plugins"]
    found = next(plugin for plugin in listed if plugin["manifest"].startswith(str(tmp_path)))
    assert (found["status"] == "ready") == fits_schema(manifest), found
