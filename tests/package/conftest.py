"""What a plugin's author has: an installation of plugin_api, and a CUDA compiler or none."""
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """The one install component of a plugin's author."""
    prefix = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", ROOT / "build", "--prefix", prefix, "--component", "plugin_api"], check=True, capture_output=True)
    assert not list(prefix.rglob("*.so")) and not list(prefix.rglob("*.a")) and not (prefix / "bin").exists()
    return prefix


@pytest.fixture
def nvcc():
    found = shutil.which("nvcc", path=os.environ["PATH"] + ":/usr/local/cuda/bin")
    if found is None:
        pytest.skip("nvcc is not installed")
    return found
