"""Plugins that break the contract while they quantize: precis names them, and the run can go on without them."""
import json
import os
import signal
import subprocess
import time

import pytest

PLUGIN = 3
# What stands at the beginning of quantize, in the template in C.
MARK = "  struct job job = {call, weight, parts};\n"


@pytest.fixture
def plugin(precis, tmp_path):
    """Builds the template with one statement added; gives the folder to search."""
    def build(statement, mark=MARK, language="c", includes=""):
        home = tmp_path / "mine"
        precis("new-plugin", "mine", "--language", language, "-o", home)
        source = home / f"plugin.{language}"
        text = source.read_text()
        assert text.count(mark) == 1
        source.write_text(includes + text.replace(mark, mark + statement))
        for command in (["cmake", "-S", home, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={precis.path.parents[1]}"],
                        ["cmake", "--build", tmp_path / "build"]):
            subprocess.run(command, check=True, capture_output=True)
        return tmp_path / "build/lib/precis/plugins"

    return build


def quantize(precis, pipelines, folder, out, *options):
    return subprocess.run([precis.path, "quantize", pipelines("pixart"), "-o", out, "--type", "mine", "--plugin-path", folder,
                           "--progress", "none", "--json", *options], capture_output=True, text=True)


ENDS = {"crashes": ("  *(volatile int*)8 = 1;\n", "crashed", ""),
        "aborts": ("  abort();\n", "crashed", "#include <stdlib.h>\n"),
        "exits": ("  exit(0);\n", "ended the process", "#include <stdlib.h>\n")}


@pytest.mark.parametrize("end", ENDS)
def test_a_plugin_that_ends_the_process_is_named(precis, pipelines, plugin, tmp_path, end):
    statement, how, includes = ENDS[end]
    result = quantize(precis, pipelines, plugin(statement, includes=includes), tmp_path / "out")
    assert result.returncode == PLUGIN
    assert f"plugin mine {how} while quantizing '" in result.stderr and "PRECIS_PLUGINS_DISABLE=mine" in result.stderr
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "plugin" and "mine" in error["message"] and error["exit_code"] == PLUGIN
    assert not (tmp_path / "out").exists()


def test_a_crash_on_another_thread_is_named(precis, pipelines, plugin, tmp_path):
    mark = "  const int64_t columns = in->shape[1], size = in->dtype.bits / 8;\n"
    result = quantize(precis, pipelines, plugin("  *(volatile int*)8 = 1;\n", mark), tmp_path / "out")
    assert result.returncode == PLUGIN and "plugin mine crashed" in result.stderr


def test_the_run_goes_on_once_the_plugin_is_mended(precis, pipelines, plugin, tmp_path):
    once = tmp_path / "crashed"
    statement = f'  if (fopen("{once}", "r") == NULL && fopen("{once}", "w") != NULL) *(volatile int*)8 = 1;\n'
    folder = plugin(statement, includes="#include <stdio.h>\n")
    assert quantize(precis, pipelines, folder, tmp_path / "out").returncode == PLUGIN
    assert quantize(precis, pipelines, folder, tmp_path / "out").returncode == 0
    precis("verify", tmp_path / "out", "--plugin-path", folder)


def test_an_exception_that_is_let_out_is_an_error(precis, pipelines, plugin, tmp_path):
    # The SDK catches; a table made by hand in C++ does not.
    folder = plugin("", language="cpp", mark="PRECIS_PLUGIN()\n")
    source = tmp_path / "mine/plugin.cpp"
    text = source.read_text().replace("PRECIS_PLUGIN()", "")
    source.write_text(text + THROWER)
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    result = quantize(precis, pipelines, folder, tmp_path / "out")
    assert result.returncode == PLUGIN
    assert "let an exception out while quantizing" in result.stderr and "far too late" in result.stderr


THROWER = """
namespace {
using namespace precis::sdk::tables;
precis_quantize_v1 thrower = quantize_table();
const void* extension(const precis_quantizer* q, const char* id) {
  struct Late : std::exception { const char* what() const noexcept override { return "far too late"; } };
  thrower.quantize = [](const precis_quantizer*, const precis_call*, const precis_param*, const precis_tensor*,
                        precis_tensor* const*, uint64_t) -> precis_status { throw Late(); };
  return std::strcmp(id, PRECIS_QUANTIZE_1) == 0 ? &thrower : get_extension(q, id);
}
precis_quantizer_factory_v1 factory = factory_table();
const void* find(const char* id) {
  factory.create = [](const precis_call* c, uint32_t i, const precis_config* config, precis_quantizer** out) {
    const precis_status status = factory_table().create(c, i, config, out);
    if (status == PRECIS_OK) (*out)->get_extension = extension;
    return status;
  };
  return std::strcmp(id, PRECIS_QUANTIZER_FACTORY_1) == 0 ? &factory : nullptr;
}
}  // namespace
extern "C" {
PRECIS_EXPORT extern const precis_plugin_entry precis_plugin_entry_v1;
const precis_plugin_entry precis_plugin_entry_v1 = {PRECIS_ENTRY_MAGIC, sizeof(precis_plugin_entry), PRECIS_ABI_MAJOR,
                                                    PRECIS_ABI_MINOR, 0, 0, init, deinit, find};
}
"""

SIZES = {"of bytes that the shape has not": "  out->outputs[1]->nbytes = 3;\n",
         "of a negative dimension": "  out->outputs[0]->shape[0] = -5;\n",
         "of more than any memory": "  out->outputs[0]->shape[0] = INT64_MAX;\n",
         "of nine dimensions": "  out->outputs[0]->ndim = 9;\n",
         "of a dtype that nobody knows": "  out->outputs[0]->dtype.code = 99;\n",
         "of more tensors than there is room for": "  out->count = 5000;\n"}


@pytest.mark.parametrize("size", SIZES)
def test_a_plan_of_nonsense_is_refused_before_anything_is_written(precis, pipelines, plugin, tmp_path, size):
    mark = '  precis_describe(out->outputs[1], "weight_scale", kFloat32, 1, param->shape);\n'
    result = quantize(precis, pipelines, plugin(SIZES[size], mark), tmp_path / "out")
    assert result.returncode == PLUGIN, result.stderr
    assert "plan" in json.loads(result.stdout)["error"]["message"]
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()


def test_the_second_interrupt_ends_a_plugin_that_hangs(precis, pipelines, plugin, tmp_path):
    folder = plugin("  for (;;) pause();\n", includes="#define _GNU_SOURCE\n#include <unistd.h>\n")
    run = subprocess.Popen([precis.path, "quantize", pipelines("pixart"), "-o", tmp_path / "out", "--type", "mine", "--plugin-path", folder,
                            "--progress", "none"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    for _ in range(2):
        os.kill(run.pid, signal.SIGINT)
        time.sleep(0.3)
    assert run.wait(timeout=10) == 130


def test_a_plugin_that_starts_threads_does_no_harm(precis, pipelines, plugin, tmp_path):
    idle = "static void* idle(void* nothing) {\n  return nothing;\n}\n"
    statement = "  pthread_t thread;\n  pthread_create(&thread, NULL, idle, NULL);\n  pthread_detach(thread);\n"
    folder = plugin(statement, includes="#include <pthread.h>\n" + idle.replace("NULL", "0"))
    assert quantize(precis, pipelines, folder, tmp_path / "out").returncode == 0
    # precis-validate says so all the same.
    report = subprocess.run([precis.path.parent / "precis-validate", "validate", folder, "--include", "process.threads"], capture_output=True)
    assert report.returncode == 6


def test_numbers_that_make_no_sense_show_in_the_error(precis, pipelines, plugin, tmp_path):
    mark = "    const float scale = largest > 127 * FLT_MIN ? largest / 127 : 1;\n"
    folder = plugin("", mark)
    source = tmp_path / "mine/plugin.c"
    source.write_text(source.read_text().replace("largest / 127 : 1;", "largest : 1;"))
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    result = quantize(precis, pipelines, folder, tmp_path / "out", "--max-error", "0.02")
    assert result.returncode == 5 and json.loads(result.stdout)["error"]["code"] == "quality"
