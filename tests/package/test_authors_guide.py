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
    assert {language for language, _ in SNIPPETS} == {"sh", "c", "cpp"}


@pytest.mark.parametrize("language, number", [(language, i) for language in ("c", "cpp") for i in range(len(of(language)))])
def test_snippets_compile(language, number):
    compiler, standard = ("gcc", "c11") if language == "c" else ("g++", "c++17")
    result = subprocess.run([compiler, "-x", "c" if language == "c" else "c++", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                             f"-I{ROOT}/plugin_api/include", f"-I{ROOT}/plugin_api/sdk", "-fsyntax-only", "-"],
                            input=of(language)[number], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_commands_run(precis, pipelines, tmp_path):
    script = "set -e\n" + "".join(of("sh")).replace("MODEL", str(pipelines("pixart"))).replace("--seconds 60", "--seconds 1")
    environment = {**os.environ, "PATH": f"{precis.path.parent}:{os.environ['PATH']}", "CMAKE_PREFIX_PATH": str(precis.path.parents[1])}
    result = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "OUT/model_index.json").exists()


def test_the_files_it_names_exist():
    for path in re.findall(r"`((?:plugin_api|tests|docs|plugins)/[\w./-]+)`", GUIDE):
        assert (ROOT / path).exists(), path
    for header in re.findall(r"`(precis/[\w.]+|ext/[\w.]+)`", GUIDE):
        assert (ROOT / "plugin_api/sdk" / header).exists() or (ROOT / "plugin_api/include/precis" / header).exists(), header
