"""The commands of docs/guide.md, in its order."""
import pathlib
import shlex
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_every_command_of_the_guide_works(precis, pipelines, tmp_path):
    shutil.copytree(pipelines("sd3"), tmp_path / "sd3")
    lines = [line.strip()[2:] for line in (ROOT / "docs/guide.md").read_text().splitlines() if line.startswith("    $ ")]
    assert len(lines) > 15
    for line in lines:
        command = shlex.split(line)
        assert command[0] == "precis"
        run = subprocess.run([precis.path, *command[1:]], cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, f"{line}\n{run.stdout}\n{run.stderr}"
    assert (tmp_path / "image.png").read_bytes()[:4] == b"\x89PNG" and (tmp_path / "transformer.gguf").exists()
