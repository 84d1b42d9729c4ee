"""A plugin made long ago, on today's host: a library that was kept, and the same source by the compilers of today."""
import filecmp
import json
import pathlib
import platform
import re
import shutil
import subprocess

import pytest

HOME = pathlib.Path(__file__).parent / "plugin_1_0"
ROOT = HOME.parents[2]
VALIDATE = ROOT / "build/bin/precis-validate"

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the library is for x86-64")


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A copy with the permissions that the trust policy asks for, whatever the umask of the checkout was."""
    folder = tmp_path_factory.mktemp("plugins") / "old_plugin"
    shutil.copytree(HOME / "linux-x86_64", folder)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder.parent


def test_a_plugin_of_the_draft_is_refused_with_both_versions(precis, kept):
    draft = kept.with_name("draft") / "old_plugin"
    shutil.copytree(HOME.with_name("plugin_0_1") / "linux-x86_64", draft, dirs_exist_ok=True)
    for file in draft.iterdir():
        file.chmod(0o644)
    result = precis("config", "resolve", '{"quant_method": "old_plugin"}', "--library", "diffusers", "--plugin-path", draft.parent, code=3)
    assert "was built for ABI 0.x, this precis speaks 1.x" in result.stderr


def quantized(precis, source, plugins, out):
    path = ("--plugin-path", plugins)
    precis("quantize", source, "-o", out, "--type", "old_plugin", "--progress", "none", "--max-error", "0.02", *path)
    precis("verify", out, "--source", source, *path)
    precis("dequantize", out, "-o", out.with_name(out.name + "_decoded"), "--progress", "none", *path)
    return out


def validate(plugins):
    report = json.loads(run(VALIDATE, "validate", plugins, "--json"))
    assert report["failed"] == 0 and report["passed"] > 60


def test_the_kept_library_works_as_on_the_day_it_was_made(precis, pipelines, kept, tmp_path):
    listed = precis.json("backends", "old_plugin", "--plugin-path", kept)["plugins"]
    assert [plugin["status"] for plugin in listed] == ["ready"]
    quantized(precis, pipelines("pixart"), kept, tmp_path / "out")
    validate(kept)


COMPILERS = [("gcc", []), ("clang-14", []), ("clang-19", []), ("g++", ["-x", "c++", "-std=c++20", "-static-libstdc++", "-static-libgcc"])]


@pytest.mark.parametrize("compiler, flags", COMPILERS, ids=[compiler for compiler, _ in COMPILERS])
def test_the_old_source_builds_and_gives_the_same_bytes(precis, pipelines, kept, tmp_path, compiler, flags):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    home = tmp_path / "plugins/old_plugin"
    home.mkdir(parents=True)
    library, cmake = home / "libprecis_old_plugin.so", ROOT / "plugin_api/cmake"
    run(compiler, "-O2", "-Wall", "-fPIC", "-fvisibility=hidden", "-shared", f"-I{HOME}/include", '-DPRECIS_PLUGIN_VERSION="1.0"', *flags,
        HOME / "plugin.c", "-o", library, f"-Wl,--version-script={cmake}/precis_plugin.map", "-Wl,-z,defs")
    manifest = json.loads((HOME / "linux-x86_64/old_plugin.precis-plugin.json").read_text())
    manifest["sha256"] = run("sha256sum", library).split()[0]
    (home / "old_plugin.precis-plugin.json").write_text(json.dumps(manifest))
    source = pipelines("pixart")
    old = quantized(precis, source, kept, tmp_path / "old")
    new = quantized(precis, source, tmp_path / "plugins", tmp_path / "new")
    for decoded in sorted((tmp_path / "old_decoded").rglob("*.safetensors")):
        twin = tmp_path / "new_decoded" / decoded.relative_to(tmp_path / "old_decoded")
        assert tensors(decoded) == tensors(twin)
    assert filecmp.cmp(old / "transformer/config.json", new / "transformer/config.json", shallow=False)


def tensors(file):
    """The bytes behind the header, which names the build that wrote it."""
    data = file.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little"):]


def test_the_old_headers_say_what_today_s_say():
    """Whatever an old header declares still stands in today's: structs only grow, names and numbers stay."""
    def declarations(folder):
        text = "\n".join(path.read_text() for path in sorted(folder.rglob("*.h")))
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        structs = {name: re.sub(r"\s+", " ", body).strip() for name, body in re.findall(r"struct (precis_\w+) \{(.*?)\n\}", text, flags=re.S)}
        constants = dict(re.findall(r"\b(PRECIS_[A-Z0-9_]+) = ([^,\s}]+)", text)) | dict(re.findall(r'#define (PRECIS_\w+) ("[^"]+")', text))
        return structs, constants

    old_structs, old_constants = declarations(HOME / "include/precis")
    structs, constants = declarations(ROOT / "plugin_api/include/precis")
    assert len(old_structs) >= 34 and len(old_constants) > 60
    for name, body in old_structs.items():
        assert structs[name].startswith(body), name
    assert {name: constants.get(name) for name in old_constants} == old_constants
