"""plugin_api alone, installed: templates, consumers, other compilers, and what must not compile."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest
import torch
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "plugin_api/template"


def run(*command, code=0, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert (result.returncode == 0) == (code == 0), f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def build(source, folder, prefix, *options):
    run("cmake", "-S", source, "-B", folder, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", *options)
    run("cmake", "--build", folder)
    return folder / "lib/precis/plugins"


def validate(plugins, *options, least=60):
    command = [ROOT / "build/bin/precis-validate", "validate", plugins, "--json", *options]
    report = json.loads(subprocess.run([str(part) for part in command], capture_output=True, text=True).stdout)
    assert [(result["rule"], result["text"]) for result in report["results"] if result["outcome"] == "failed"] == []
    assert report["passed"] > least
    return report


# What docs/plugin-authors-guide.md begins with, in a directory where nothing else is.
@pytest.mark.parametrize("language", ["c", "cpp"])
def test_a_new_plugin_builds_validates_and_quantizes(precis, pipelines, prefix, tmp_path, language):
    made = precis.json("new-plugin", f"my_{language}", "--language", language, "-o", tmp_path / "mine")
    assert len(made["files"]) == 4
    assert not any("my_method" in pathlib.Path(file).read_text() for file in made["files"])
    plugins = build(tmp_path / "mine", tmp_path / "build", prefix)
    validate(plugins)
    path = ("--plugin-path", plugins)
    listed = precis.json("backends", f"my_{language}", *path)["plugins"]
    assert [plugin["status"] for plugin in listed] == ["ready"]
    source, out = pipelines("pixart"), tmp_path / "out"
    precis("quantize", source, "-o", out, "--type", f"my_{language}", "--progress", "none", "--max-error", "0.02", *path)
    precis("verify", out, "--source", source, *path)
    precis("dequantize", out, "-o", tmp_path / "decoded", "--progress", "none", *path)


def test_the_commands_that_new_plugin_prints_are_the_right_ones(precis, tmp_path):
    made = precis.json("new-plugin", "printed", "-o", tmp_path / "mine")
    script = " && ".join(made["commands"][:4]) + f" && {precis.path} backends printed"
    assert "ready" in run("bash", "-c", script)


def test_a_method_without_options_says_so(precis, prefix, tmp_path):
    precis("new-plugin", "bare", "-o", tmp_path / "mine")
    plugins = build(tmp_path / "mine", tmp_path / "build", prefix)
    assert "bare has no options" in precis("backends", "bare", "--plugin-path", plugins).stdout


def test_an_author_finds_guide_and_contract_in_the_installation(prefix):
    documents = prefix / "share/doc/precis-plugin-api"
    guide = (documents / "plugin-authors-guide.md").read_text()
    assert (documents / "README.md").read_text().startswith("# The precis plugin ABI")
    assert "share/doc/precis-plugin-api" in guide
    for language in ("c", "cpp"):
        assert "share/doc/precis-plugin-api" in (TEMPLATES / language / "README.md").read_text()


@pytest.mark.parametrize("name", ["gguf", "nf4", "Upper", "a-b", "9x", ""])
def test_new_plugin_refuses_names_that_are_taken_or_no_names(precis, tmp_path, name):
    assert "hint" in precis("new-plugin", name, "-o", tmp_path / "mine", code=1).stderr
    assert not (tmp_path / "mine").exists()


def test_the_c_template_is_short():
    assert len((TEMPLATES / "c/plugin.c").read_text().splitlines()) < 250


CONSUMER = """cmake_minimum_required(VERSION 3.25)
project(consumer VERSION 3.1.4 LANGUAGES C)
{find}
precis_add_plugin(consumed SOURCES plugin.c MANIFEST manifest.json)
"""


@pytest.mark.parametrize("find", ["find_package(precis-plugin-api 1.0 REQUIRED)", f"add_subdirectory({ROOT}/plugin_api api)"])
def test_consumers(prefix, tmp_path, find):
    for name in ("plugin.c", "manifest.json"):
        shutil.copy(TEMPLATES / "c" / name, tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER.format(find=find))
    plugins = build(tmp_path, tmp_path / "build", prefix)
    manifest = json.loads((plugins / "consumed/consumed.precis-plugin.json").read_text())
    assert manifest["version"] == "3.1.4" and manifest["abi"] == {"major": 1, "minor": 0, "min_host_minor": 0}
    validate(plugins)


def test_a_manifest_that_the_build_writes(prefix, tmp_path):
    shutil.copy(TEMPLATES / "c/plugin.c", tmp_path)
    shutil.copy(TEMPLATES / "c/manifest.json", tmp_path / "written.json.in")
    find = "find_package(precis-plugin-api 1.0 REQUIRED)\nconfigure_file(written.json.in written.json)"
    (tmp_path / "CMakeLists.txt").write_text(
        CONSUMER.format(find=find).replace("MANIFEST manifest.json", 'MANIFEST "${CMAKE_CURRENT_BINARY_DIR}/written.json"'))
    plugins = build(tmp_path, tmp_path / "build", prefix)
    assert json.loads((plugins / "consumed/consumed.precis-plugin.json").read_text())["library"] == "libprecis_consumed.so"


CUDA_SOURCE = """#include <precis/numbers.h>
inline int& shared_by_name() { static int number = 0; return number; }
__global__ void store(precis_dtype dtype, float value, void* out) { precis_store(dtype, value, out); }
int launch(precis_dtype dtype, void* out) {
  store<<<1, 1>>>(dtype, 1.0f, out);
  return ++shared_by_name();
}
"""


def test_a_cuda_source_leaves_no_symbol_of_its_own_behind(nvcc, prefix, tmp_path):
    for name in ("plugin.c", "manifest.json"):
        shutil.copy(TEMPLATES / "c" / name, tmp_path)
    (tmp_path / "kernel.cu").write_text(CUDA_SOURCE)
    (tmp_path / "CMakeLists.txt").write_text(
        CONSUMER.format(find="find_package(precis-plugin-api 1.0 REQUIRED)")
        .replace("LANGUAGES C)", "LANGUAGES C CXX CUDA)").replace("SOURCES plugin.c", "SOURCES plugin.c kernel.cu"))
    plugins = build(tmp_path, tmp_path / "build", prefix, f"-DCMAKE_CUDA_COMPILER={nvcc}", "-DCMAKE_CUDA_ARCHITECTURES=80-real")
    validate(plugins)


@pytest.mark.parametrize("version", ["0.99", "1.0"])
def test_another_version_of_the_package_is_not_found(prefix, tmp_path, version):
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER.format(find=f"find_package(precis-plugin-api {version} REQUIRED)"))
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}", code=1)


def by_hand(compiler, flags, source, prefix, folder):
    """A plugin without CMake: pkg-config's flags, one line of compiler, and the manifest's script."""
    environment = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "share/pkgconfig")}
    pkg_config = lambda *what: run("pkg-config", *what, "precis-plugin-api", env=environment).split()
    home = folder / "plugins/mine"
    home.mkdir(parents=True)
    library = home / "libmine.so"
    script = pkg_config("--variable=version_script")[0]
    compile_flags = [*flags, *pkg_config("--cflags"), "-DPRECIS_PLUGIN_VERSION=\"1.0\"", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC",
                     "-fvisibility=hidden"]
    link = ["-shared", "-o", library, f"-Wl,--version-script={script}", "-Wl,-z,defs"]
    if compiler == "tcc":  # its own linker takes no version script
        run(compiler, *compile_flags, "-c", source, "-o", folder / "plugin.o")
        run("gcc", folder / "plugin.o", *link, "-Wl,-z,noexecstack")
    else:
        run(*compiler.split(), *compile_flags, source, *link)
    write_manifest(source.parent / "manifest.json", library, home / "mine.precis-plugin.json", prefix / "lib/cmake/precis-plugin-api")
    return folder / "plugins"


def write_manifest(manifest, library, output, cmake):
    run("cmake", f"-DMANIFEST={manifest}", f"-DLIBRARY={library}", f"-DOUTPUT={output}", "-DVERSION=1.0", "-DPLATFORM=linux-x86_64",
        "-DABI_MAJOR=1", "-DABI_MINOR=0", "-P", cmake / "PrecisManifest.cmake")


C, CPP = TEMPLATES / "c/plugin.c", TEMPLATES / "cpp/plugin.cpp"
COMPILERS = [("gcc", ["-std=c11"], C), ("gcc", ["-std=c17"], C), ("clang-14", ["-std=c11"], C), ("clang-19", ["-std=c11"], C),
             ("tcc", ["-std=c11"], C),
             ("g++-12", ["-std=c++17", "-fno-gnu-unique"], CPP), ("g++-12", ["-std=c++20", "-fno-gnu-unique"], CPP),
             ("g++-12", ["-std=c++17", "-fno-gnu-unique", "-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL"], CPP),
             ("clang++-14", ["-std=c++17"], CPP), ("clang++-19", ["-std=c++17"], CPP),
             ("clang++-19", ["-std=c++17", "-stdlib=libc++"], CPP),
             ("zig cc", ["-std=c11"], C), ("zig c++", ["-std=c++17"], CPP)]


@pytest.mark.parametrize("compiler, flags, source", COMPILERS, ids=lambda value: value.suffix if isinstance(value, pathlib.Path) else "".join(value))
def test_other_compilers(prefix, tmp_path, compiler, flags, source):
    if shutil.which(compiler.split()[0]) is None:
        pytest.skip(f"{compiler} is not installed")
    probe = subprocess.run([*compiler.split(), *[flag for flag in flags if flag.startswith("-std")], "-fsyntax-only", "-x", "c++", "-stdlib=libc++", "-"],
                           input="#include <vector>\n", capture_output=True, text=True)
    if "-stdlib=libc++" in flags and probe.returncode != 0:
        pytest.skip("libc++ is not installed")
    report = validate(by_hand(compiler, flags, source, prefix, tmp_path))
    # Nothing is skipped but what is about tables and devices that the template does not have.
    assert {result["text"] for result in report["results"] if result["outcome"] == "skipped"} <= {
        f"it has no precis.{table}/1" for table in ("linear", "serialize", "calibration", "grid")} | {
        "no method lists a device that this machine has"}


def test_a_plugin_in_rust(precis, pipelines, prefix, tmp_path):
    """Another language needs the C headers alone, and nothing of plugin_api to link or include."""
    rustc = shutil.which("rustc") or shutil.which("rustc", path=str(pathlib.Path.home() / ".cargo/bin"))
    version = run(rustc, "--version").split()[1].split(".") if rustc else ["0", "0"]
    if (int(version[0]), int(version[1])) < (1, 77):
        pytest.skip("rustc 1.77 or later is not installed")
    home = tmp_path / "plugins/mine"
    home.mkdir(parents=True)
    library = home / "libmine.so"
    run(rustc, "--edition", "2021", "--crate-type", "cdylib", "-O", "-C", "panic=abort", "-C", "strip=symbols", "-D", "warnings",
        "-o", library, ROOT / "tests/package/rust/plugin.rs")
    manifest = json.loads((TEMPLATES / "c/manifest.json").read_text())
    manifest["capabilities"] = ["precis.quantize/1"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    write_manifest(tmp_path / "manifest.json", library, home / "mine.precis-plugin.json", ROOT / "plugin_api/cmake")
    validate(tmp_path / "plugins", least=50)
    # The same method: the bytes are those of the template in C.
    out = []
    for name, plugins in (("rust", tmp_path / "plugins"), ("c", by_hand("gcc", ["-std=c11"], C, prefix, tmp_path / "c"))):
        out.append(tmp_path / f"{name}_out")
        precis("quantize", pipelines("pixart") / "transformer", "-o", out[-1], "--type", "my_method", "--plugin-path", plugins, "--progress", "none")
    first, second = (load_file(next(folder.glob("*.safetensors"))) for folder in out)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_two_plugins_of_different_compilers_live_in_one_process(prefix, precis, tmp_path):
    gcc = by_hand("g++-12", ["-std=c++17", "-static-libstdc++", "-static-libgcc", "-fno-gnu-unique"], CPP, prefix, tmp_path)
    other = "clang++-19" if shutil.which("clang++-19") else "g++-12"
    renamed = tmp_path / "renamed"
    shutil.copytree(CPP.parent, renamed)
    for file in renamed.iterdir():
        file.write_text(file.read_text().replace("my_method", "other_method"))
    clang = by_hand(other, ["-std=c++20"], renamed / "plugin.cpp", prefix, tmp_path / "clang")
    listed = precis.json("backends", "--plugin-path", gcc, "--plugin-path", clang)["plugins"]
    ready = {plugin["id"] for plugin in listed if plugin["status"] == "ready"}
    assert {"my_method", "other_method", "gguf"} <= ready


# Misuse that the compiler has to see.
MUST_NOT_COMPILE = {
    "a quantizer that encodes nothing": ("cpp", "class Q : public precis::sdk::Quantizer {};\nQ* q = new Q();"),
    "a table with a function of another signature": (
        "c", "static precis_status plan(const precis_quantizer* q) { (void)q; return PRECIS_OK; }\n"
             "extern const precis_quantize_v1 table;\nconst precis_quantize_v1 table = {plan, NULL, NULL};"),
    "a table with a function too many": ("c", "extern const precis_host_log_v1 t;\nconst precis_host_log_v1 t = {NULL, NULL};"),
    "writing into a borrowed text": ("c", "void f(precis_str s);\nvoid f(precis_str s) { s.data[0] = 0; }"),
    "writing into a part that is only read": ("cpp", "void f(const precis::sdk::ConstParts& p) { p[0]->nbytes = 0; }"),
    "a method without its factory functions": ("cpp", "precis::sdk::Method m{precis::sdk::describe(\"a\")};"),
    "an entry of functions that throw other types": ("cpp", "static int init(int) { return 0; }\nprecis_plugin_entry e{0, 0, 0, 0, 0, 0, init, nullptr, nullptr};"),
}


@pytest.mark.parametrize("misuse", MUST_NOT_COMPILE)
def test_must_not_compile(prefix, misuse):
    language, code = MUST_NOT_COMPILE[misuse]
    compiler, header, standard = ("gcc", "plugin.h", "c11") if language == "c" else ("g++", "plugin.hpp", "c++17")
    command = [compiler, "-x", "c" if language == "c" else "c++", f"-std={standard}", "-pedantic-errors", "-Werror=incompatible-pointer-types",
               "-Werror", f"-I{prefix}/include", "-fsyntax-only", "-"]
    include = f"#include <precis/{header}>\n"
    run(*command, input=include)
    run(*command, input=include + code, code=1)
