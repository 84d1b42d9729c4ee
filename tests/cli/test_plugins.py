"""Plugins seen from the command line: what they offer, and what becomes of one that is refused."""
import json
import os
import shutil
import subprocess

import pytest

PLUGIN = 3


@pytest.fixture
def copy_of_bitsandbytes(precis, tmp_path):
    """A folder with a copy of the plugin, which the search path has before the real one."""
    home = tmp_path / "plugins" / "bitsandbytes"
    shutil.copytree(precis.path.parents[1] / "lib/precis/plugins/bitsandbytes", home)
    for path in (tmp_path, home.parent, home, *home.iterdir()):
        path.chmod(path.stat().st_mode & ~0o022)
    return home


def tamper(home):
    with next(home.glob("*.so")).open("ab") as file:
        file.write(b"x")


def open_to_all(home):
    next(home.glob("*.so")).chmod(0o666)


def remove_library(home):
    next(home.glob("*.so")).unlink()


def need_another_processor(home):
    path = next(home.glob("*.json"))
    manifest = json.loads(path.read_text())
    manifest["requires"] = {"cpu": ["avx9000"]}
    path.write_text(json.dumps(manifest))


DEFECTS = [(tamper, "SHA-256"), (open_to_all, "can be changed by other users"), (remove_library, ".so"), (need_another_processor, "avx9000")]


@pytest.mark.parametrize("defect, why", DEFECTS)
def test_a_refused_plugin_leaves_its_place_to_a_good_one(precis, copy_of_bitsandbytes, defect, why):
    defect(copy_of_bitsandbytes)
    path = ("--plugin-path", copy_of_bitsandbytes.parent)
    listed = precis("backends", "bitsandbytes", *path, "--json")
    first, second = json.loads(listed.stdout)["plugins"]
    assert first["status"] == "refused" and why in first["error"] and first["hint"] and str(copy_of_bitsandbytes) in first["manifest"]
    assert second["status"] == "ready" and why in listed.stderr
    assert precis.json("config", "resolve", "nf4", *path)["plugin"] == "bitsandbytes"


@pytest.mark.parametrize("defect, why", DEFECTS)
def test_a_refused_plugin_without_another(precis, copy_of_bitsandbytes, tmp_path, defect, why):
    defect(copy_of_bitsandbytes)
    alone = tmp_path / "alone"
    shutil.copytree(precis.path.parent, alone / "bin")
    environment = {**os.environ, "HOME": str(tmp_path), "PRECIS_PLUGIN_PATH": str(copy_of_bitsandbytes.parent)}
    environment.pop("XDG_DATA_HOME", None)
    result = subprocess.run([alone / "bin" / "precis", "config", "resolve", '{"quant_method": "bitsandbytes", "load_in_4bit": true}'],
                            capture_output=True, text=True, env=environment)
    assert result.returncode == PLUGIN and why in result.stderr, result.stderr


def test_backends_lists_the_options_of_a_plugins_methods(precis):
    options = precis.json("backends", "bitsandbytes")["plugins"][0]["options"]
    assert set(options) == {"bitsandbytes_4bit", "bitsandbytes_8bit"}
    key = options["bitsandbytes_4bit"]["properties"]["bnb_4bit_quant_type"]
    assert key["default"] == "fp4" and "nf4" in key["description"]
    text = precis("backends", "bitsandbytes").stdout
    assert "bnb_4bit_quant_type" in text and "boolean" in text and '["' not in text


def test_backends_of_a_plugin_that_is_refused(precis, copy_of_bitsandbytes):
    path = next(copy_of_bitsandbytes.glob("*.json"))
    path.chmod(0o644)
    path.write_text(json.dumps({**json.loads(path.read_text()), "id": "mine", "sha256": "0" * 64}))
    result = precis("backends", "mine", "--plugin-path", copy_of_bitsandbytes.parent, code=PLUGIN)
    assert "refused" in result.stdout and "SHA-256" in result.stderr


def test_doctor_knows_what_this_build_has(precis):
    report = precis.json("doctor")
    has_torch = (precis.path.parent / "precis-networks").exists()
    assert bool(report["runtime"]) == has_torch
    assert any("LibTorch" in item for item in report["left_out"]) != has_torch
    assert ("left out     LibTorch" in precis("doctor").stdout) != has_torch


def test_doctor_asks_no_plugin_what_this_build_has(precis, copy_of_bitsandbytes):
    path = next(copy_of_bitsandbytes.glob("*.json"))
    path.chmod(0o644)
    path.write_text(json.dumps({**json.loads(path.read_text()), "id": "mine", "presets": [], "quant_methods": [], "devices": ["cpu", "cuda", "hip"]}))
    with_it = precis.json("doctor", "--plugin-path", copy_of_bitsandbytes.parent)
    assert "mine" in {plugin["id"] for plugin in with_it["plugins"] if plugin["status"] == "ready"}
    assert with_it["left_out"] == precis.json("doctor")["left_out"]


@pytest.fixture
def rival_of_fp8(precis, tmp_path):
    """A plugin of another id that reads what fp8 reads; gives a function that sets its priority."""
    home = tmp_path / "plugins" / "rival"
    shutil.copytree(precis.path.parents[1] / "lib/precis/plugins/fp8", home)
    for path in (tmp_path, home.parent, home, *home.iterdir()):
        path.chmod(path.stat().st_mode & ~0o022)
    path = next(home.glob("*.json"))

    def prioritize(priority):
        manifest = json.loads(path.read_text())
        manifest["id"] = "rival"
        manifest["presets"] = []
        for entry in manifest["quant_methods"]:
            entry["priority"] = priority
        path.chmod(0o644)
        path.write_text(json.dumps(manifest))
        return home.parent

    return prioritize


def resolve_fp8(precis, folder, **environment):
    return subprocess.run([precis.path, "config", "resolve", '{"quant_method": "fp8"}', "--plugin-path", folder, "--json"],
                          capture_output=True, text=True, env={**os.environ, **environment})


def test_two_plugins_for_one_quant_method_are_a_conflict_with_its_way_out(precis, rival_of_fp8):
    folder = rival_of_fp8(0)
    conflict = resolve_fp8(precis, folder)
    error = json.loads(conflict.stdout)["error"]
    assert conflict.returncode == PLUGIN and "fp8" in error["message"] and "rival" in error["message"]
    name, _, plugin = error["hint"].partition(": ")[2].partition("=")
    assert name == "PRECIS_PLUGINS_DISABLE"
    other = {"fp8": "rival", "rival": "fp8"}[plugin]
    assert json.loads(resolve_fp8(precis, folder, PRECIS_PLUGINS_DISABLE=plugin).stdout)["plugin"] == other
    assert json.loads(resolve_fp8(precis, folder, PRECIS_PLUGINS_ONLY="riv*").stdout)["plugin"] == "rival"


@pytest.mark.parametrize("priority, winner", [(1, "rival"), (-1, "fp8")])
def test_priority_settles_a_conflict(precis, rival_of_fp8, priority, winner):
    assert json.loads(resolve_fp8(precis, rival_of_fp8(priority)).stdout)["plugin"] == winner
