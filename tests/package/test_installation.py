"""An installation of the programs runs where it lies."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_commands_that_run_networks_find_libtorch(precis, tmp_path):
    if not (precis.path.parent / "precis-networks").exists():
        pytest.skip("this build has no LibTorch")
    subprocess.run(["cmake", "--install", ROOT / "build", "--prefix", tmp_path, "--component", "cli"], check=True, capture_output=True)
    environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    for command in ("embed", "generate", "complete", "perplexity", "calibrate"):
        result = subprocess.run([tmp_path / "bin/precis", command, "--help"], capture_output=True, text=True, env=environment)
        assert result.returncode == 0 and command in result.stdout, result.stderr
