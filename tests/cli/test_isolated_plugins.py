"""precis quantize, dequantize, convert --isolate: what a plugin does in a process of its own costs its tensor, not the run."""
import filecmp
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

PLUGIN, BAD_USE, INTERRUPTED = 3, 1, 130
MARK = "  struct job job = {call, weight, parts};\n"
# Does what MINE_DOES says with the weight whose name MINE_TENSOR is, or with all.
MISCHIEF = r"""
static void misbehave(const precis_call* call, const precis_param* param, int decoding) {
  const char *how = getenv(decoding ? "DECODING_DOES" : "MINE_DOES"), *name = getenv("MINE_TENSOR");
  if (how == NULL || (name != NULL && (strlen(name) != param->name.size || memcmp(name, param->name.data, param->name.size) != 0)))
    return;
  if (strcmp(how, "crash") == 0) *(volatile int*)8 = 1;
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "exit") == 0) exit(0);
  if (strcmp(how, "hang") == 0) for (;;) pause();
  if (strcmp(how, "poll") == 0) for (;;) precis_stopped(call, 0);
  if (strcmp(how, "slow") == 0) for (int i = 0; i < 30; ++i) { usleep(100000); precis_stopped(call, 0); }
}
static precis_status quantize("""
# The same while decoding, as DECODING_DOES says.
DECODES = "  const precis_view* out = &weight->view;\n"


@pytest.fixture(scope="module")
def mine(precis, tmp_path_factory):
    """The template in C with the mischief; the folder to search for it."""
    home, build = tmp_path_factory.mktemp("mine") / "source", tmp_path_factory.mktemp("build")
    precis("new-plugin", "mine", "--language", "c", "-o", home)
    text = (home / "plugin.c").read_text()
    for old, new in ((MARK, MARK + "  misbehave(call, param, 0);\n"), (DECODES, DECODES + "  misbehave(call, param, 1);\n"), ("static precis_status quantize(", MISCHIEF)):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (home / "plugin.c").write_text("#define _GNU_SOURCE\n#include <stdlib.h>\n#include <unistd.h>\n" + text)
    for command in (["cmake", "-S", home, "-B", build, f"-DCMAKE_PREFIX_PATH={precis.path.parents[1]}"], ["cmake", "--build", build]):
        subprocess.run(command, check=True, capture_output=True)
    return build / "lib/precis/plugins"


@pytest.fixture
def quantize(precis, pipelines, mine, tmp_path):
    def run(*options, does=None, tensor=None, out=tmp_path / "out", wait=True):
        environment = {**os.environ, **({"MINE_DOES": does} if does else {}), **({"MINE_TENSOR": tensor} if tensor else {})}
        command = [precis.path, "quantize", pipelines("pixart"), "-o", out, "--type", "mine", "--plugin-path", mine, "--progress", "none",
                   "--json", "--isolate", *options]
        process = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if not wait:
            return process
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, json.loads(stdout), stderr

    return run


def same(a, b):
    files = sorted(path.relative_to(a) for path in a.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(b) for path in b.rglob("*") if path.is_file())
    return all(filecmp.cmp(a / file, b / file, shallow=False) for file in files)


def wait_until(condition):
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    try:
        return "\nState:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def names(precis, pipelines, mine):
    plan = precis.json("plan", pipelines("pixart"), "--type", "mine", "--plugin-path", mine)
    return [tensor["name"] for tensor in plan["tensors"] if tensor["action"] == "quantize"], len(plan["tensors"])


@pytest.mark.parametrize("threads", [1, 3])
def test_the_result_is_the_same_bit_for_bit(precis, pipelines, tmp_path, threads):
    options = (pipelines("sd3"), "--component", "transformer=nf4", "--component", "text_encoder_3=int8", "--progress", "none", "--threads", threads)
    precis("quantize", *options, "-o", tmp_path / "here")
    report = precis.json("quantize", *options, "-o", tmp_path / "there", "--isolate")
    assert same(tmp_path / "here", tmp_path / "there")
    assert [component["worst_tensor"] for component in report["components"]].count("") == 3
    assert 0 < report["peak_memory_bytes"] <= report["predicted_peak_memory_bytes"]


ENDS = {"crash": "crashed (SIGSEGV)", "abort": "crashed (SIGABRT)", "exit": "ended its process",
        "hang": "has neither polled nor finished for 1 s"}


@pytest.mark.parametrize("does", ENDS)
def test_a_plugin_costs_its_tensor_alone(quantize, precis, names, mine, tmp_path, does):
    (first, *_), total = names
    code, report, stderr = quantize("--isolate-timeout", 1, does=does, tensor=first)
    error = report["error"]
    assert code == PLUGIN == error["exit_code"] and error["code"] == "plugin"
    assert f"tensor '{first}': plugin mine {ENDS[does]} while quantizing it" in error["message"]
    assert "PRECIS_PLUGINS_DISABLE=mine" in error["hint"] and "--skip" in error["hint"] and "same command" in error["hint"]
    assert error["message"] in stderr
    assert not (tmp_path / "out").exists() and (tmp_path / "out.partial").exists()
    # Once the plugin is mended the same command has one tensor left to do, isolated or not.
    code, report, _ = quantize()
    assert code == 0 and report["resumed_tensors"] == total - 1
    assert quantize(out=tmp_path / "undisturbed")[0] == 0
    assert same(tmp_path / "out", tmp_path / "undisturbed")


def test_a_plugin_that_loses_three_tensors_ends_the_run(quantize, names):
    code, report, _ = quantize(does="crash")
    assert code == PLUGIN
    # One more may be under way on another thread.
    assert report["error"]["message"].count("plugin mine crashed (SIGSEGV) while quantizing it") in (3, 4)


def test_a_plugin_that_polls_may_take_its_time(quantize, names):
    (first, *_), _ = names
    assert quantize("--isolate-timeout", 1, does="slow", tensor=first)[0] == 0


# One that polls for ever is told to stop; one that hangs is not waited for.
@pytest.mark.parametrize("does", ["hang", "poll"])
def test_one_interrupt_ends_a_run_whose_plugin_does_not_answer(quantize, does):
    run = quantize("--threads", 2, does=does, wait=False)
    assert wait_until(lambda: len(children(run.pid)) == 4)  # two, and two that take the place of the lost
    workers = children(run.pid)
    os.kill(run.pid, signal.SIGINT)
    assert run.wait(timeout=10) == INTERRUPTED
    assert not any(alive(worker) for worker in workers)


def test_workers_end_with_the_program(quantize):
    run = quantize(does="hang", wait=False)
    assert wait_until(lambda: children(run.pid))
    workers = children(run.pid)
    run.kill()
    run.wait()
    assert wait_until(lambda: not any(alive(worker) for worker in workers))


@pytest.fixture
def decode(precis, mine, tmp_path):
    """Runs a command that decodes with --isolate; its exit code and its document."""
    def run(*command, does=None, tensor=None):
        environment = {**os.environ, **({"DECODING_DOES": does} if does else {}), **({"MINE_TENSOR": tensor} if tensor else {})}
        process = subprocess.run([str(part) for part in (precis.path, *command, "--plugin-path", mine, "--progress", "none", "--json", "--isolate")],
                                 env=environment, capture_output=True, text=True, timeout=60)
        return process.returncode, json.loads(process.stdout)

    return run


def test_decoded_weights_are_the_same_bit_for_bit(precis, pipelines, decode, tmp_path):
    source = tmp_path / "nf4"
    precis("quantize", pipelines("sd3"), "-o", source, "--component", "transformer=nf4", "--component", "text_encoder_3=q4_k", "--progress", "none")
    for command, *options in (("dequantize", "--dtype", "f32"), ("convert", "--component", "transformer=gguf:bf16")):
        precis(command, source, *options, "-o", tmp_path / f"{command}_here", "--progress", "none")
        code, report = decode(command, source, *options, "-o", tmp_path / f"{command}_there")
        assert code == 0, report
        assert same(tmp_path / f"{command}_here", tmp_path / f"{command}_there")
        assert 0 < report["peak_memory_bytes"] <= report["predicted_peak_memory_bytes"]


@pytest.mark.parametrize("does", ENDS)
def test_a_plugin_that_cannot_decode_costs_its_tensor_alone(quantize, decode, names, tmp_path, does):
    (first, *_), total = names
    assert quantize(out=tmp_path / "mine")[0] == 0
    command = ("dequantize", tmp_path / "mine", "-o", tmp_path / "decoded")
    code, report = decode(*command, "--isolate-timeout", 1, does=does, tensor=first)
    assert code == PLUGIN == report["error"]["exit_code"]
    assert f"tensor '{first}': plugin mine {ENDS[does]} while decoding it" in report["error"]["message"]
    assert not (tmp_path / "decoded").exists() and (tmp_path / "decoded.partial").exists()
    code, report = decode(*command)
    assert code == 0 and report["resumed_tensors"] == total - 1


@pytest.mark.parametrize("files", range(4, 48, 2))
def test_few_open_files_are_an_error_or_enough(precis, pipelines, tmp_path, files):
    """However few files the system lets it open, a run ends, says what it lacks, and leaves no process."""
    out = tmp_path / "out"
    command = [precis.path, "quantize", pipelines("pixart"), "-o", out, "--type", "nf4", "--threads", "4", "--progress", "none", "--isolate"]
    limited = ["bash", "-c", f'ulimit -n {files} && exec "$@"', "bash", *map(str, command)]
    run = subprocess.run(limited, capture_output=True, text=True, timeout=60)
    assert (run.returncode == 0) == out.exists()
    if run.returncode != 0:
        assert run.returncode > 0 and "open files" in run.stderr, (run.returncode, run.stderr)
    if files >= 40:
        assert run.returncode == 0, run.stderr
    group = subprocess.run(["pgrep", "-f", str(out)], capture_output=True, text=True).stdout
    assert group == ""


def test_options_that_make_no_sense_are_refused(precis, pipelines, tmp_path):
    text = tmp_path / "texts"
    text.write_text("one text\n")
    encoder = pipelines("pixart") / "text_encoder"
    run = precis("quantize", encoder, "-o", tmp_path / "out", "--type", "nf4", "--isolate-timeout", 3, code=BAD_USE)
    assert "--isolate" in run.stderr
    run = precis("quantize", encoder, "-o", tmp_path / "out", "--type", "gptq-4bit", "--isolate", "--calibration", text, code=BAD_USE)
    assert "--calibration" in run.stderr
