"""docs/plugin-authors-guide.md: every snippet compiles, every command runs, in a clean directory."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/plugin-authors-guide.md").read_text()
SNIPPETS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def of(language):
    return [text for found, text in SNIPPETS if found == language]


def test_every_snippet_is_of_a_language_that_is_checked():
    assert {language for language, _ in SNIPPETS} == {"sh", "c", "cpp", "cmake", "cuda"}


@pytest.mark.parametrize("language, number", [(language, i) for language in ("c", "cpp") for i in range(len(of(language)))])
def test_snippets_compile(language, number):
    compiler, standard = ("gcc", "c11") if language == "c" else ("g++", "c++17")
    result = subprocess.run([compiler, "-x", "c" if language == "c" else "c++", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                             f"-I{ROOT}/plugin_api/include", f"-I{ROOT}/plugin_api/sdk", '-DPRECIS_PLUGIN_VERSION="0"', "-fsyntax-only", "-"],
                            input=of(language)[number], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


WHOLE_METHOD = next(text for text in of("cpp") if "PRECIS_PLUGIN()" in text)
OWN_TEST = next(text for text in of("cpp") if "int main()" in text)


def test_the_commands_run(precis, pipelines, prefix, tmp_path):
    (tmp_path / "whole.cpp").write_text(WHOLE_METHOD)
    made = "precis new-plugin int4_groups --language cpp\n"
    script = "set -e\n" + "".join(of("sh")).replace("MODEL", str(pipelines("pixart"))).replace("--seconds 60", "--seconds 1")
    assert script.count(made) == 1
    script = script.replace(made, made + "cp whole.cpp int4_groups/plugin.cpp\n")
    environment = {**os.environ, "PATH": f"{precis.path.parent}:{os.environ['PATH']}", "CMAKE_PREFIX_PATH": str(prefix),
                   "PKG_CONFIG_PATH": str(prefix / "share/pkgconfig")}
    result = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "OUT/model_index.json").exists() and (tmp_path / "DECODED/model_index.json").exists()


def whole_method(precis, prefix, folder, *options):
    """The method with the build of the section about CUDA."""
    precis("new-plugin", "int4_groups", "--language", "cpp", "-o", folder)
    (folder / "plugin.cpp").write_text(WHOLE_METHOD)
    (folder / "decode.cu").write_text(of("cuda")[0])
    (folder / "CMakeLists.txt").write_text(of("cmake")[0])
    for command in (["cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", *options],
                    ["cmake", "--build", folder / "build"], [precis.path.parent / "precis-validate", "validate", folder / "build/lib/precis/plugins"]):
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    return next((folder / "build/lib").rglob("*.precis-plugin.json")), result.stdout


def test_the_method_without_cuda(precis, prefix, tmp_path):
    manifest, rules = whole_method(precis, prefix, tmp_path / "mine", "-DINT4_CUDA=OFF")
    assert '"cuda"' not in manifest.read_text() and "linear.products" in rules


def test_the_method_with_cuda(precis, prefix, nvcc, tmp_path):
    manifest, _ = whole_method(precis, prefix, tmp_path / "mine", f"-DCMAKE_CUDA_COMPILER={nvcc}")
    assert '"cuda"' in manifest.read_text()
    # The library loads without a driver, and the CUDA runtime is part of it.
    needed = subprocess.run(["readelf", "-d", next(manifest.parent.glob("*.so"))], capture_output=True, text=True).stdout
    assert "libcuda" not in needed and "libc.so.6" in needed


def test_the_test_of_ones_own_passes(prefix, tmp_path):
    for name, text in (("plugin.cpp", WHOLE_METHOD), ("test.cpp", OWN_TEST)):
        (tmp_path / name).write_text(text)
    command = ["g++", "-std=c++17", f"-I{prefix}/include", '-DPRECIS_PLUGIN_VERSION="0"', "plugin.cpp", "test.cpp", "-o", "own_test"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert subprocess.run([tmp_path / "own_test"]).returncode == 0


def test_the_files_it_names_exist():
    for path in re.findall(r"`((?:plugin_api|tests|docs|plugins)/[\w./-]+)`", GUIDE):
        assert (ROOT / path).exists(), path
    for header in re.findall(r"`(precis/[\w.]+|ext/[\w.]+)`", GUIDE):
        assert (ROOT / "plugin_api/sdk" / header).exists() or (ROOT / "plugin_api/include/precis" / header).exists(), header
