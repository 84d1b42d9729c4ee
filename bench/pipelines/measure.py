"""What the pipeline benchmarks share: memory of a process, distance of images, tables."""
import json
import pathlib
import platform
import threading
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRECIS = ROOT / "build" / "bin" / "precis"


def anonymous_bytes(pid):
    """RssAnon of a process; 0 when it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class PeakOf:
    """The largest anonymous memory of a process since the last reset(), read every 5 ms from outside it."""

    def __init__(self, pid):
        self.pid, self.base, self.peak, self.over = pid, anonymous_bytes(pid), 0, False
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.over:
            self.peak = max(self.peak, anonymous_bytes(self.pid))
            time.sleep(0.005)

    def growth(self):
        return max(0, max(self.peak, anonymous_bytes(self.pid)) - self.base)

    def stop(self):
        self.over = True
        self.thread.join()


def read_images(files):
    """[images, height, width, 3] of 0 to 255."""
    from PIL import Image

    return np.stack([np.asarray(Image.open(file).convert("RGB")).astype(float) for file in files])


def psnr(a, b):
    error = ((a - b) ** 2).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(a, b):
    """Structural similarity (Wang et al. 2004) with the Gaussian window of 11 x 11, as precis computes it."""
    import torch

    distance = torch.arange(11, dtype=torch.float64) - 5
    gauss = torch.exp(-distance**2 / (2 * 1.5**2))
    kernel = (torch.outer(gauss, gauss) / gauss.sum() ** 2)[None, None]
    x, y = (torch.from_numpy(v / 255).permute(0, 3, 1, 2).flatten(0, 1)[:, None] for v in (a, b))
    mean = lambda v: torch.nn.functional.conv2d(v, kernel)
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 1e-4, 9e-4
    return float(((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean())


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {"processor": model, "cores": len(__import__("os").sched_getaffinity(0)), "system": platform.system(),
            "date": time.strftime("%Y-%m-%d")}


def table(header, rows):
    """A table in Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def write_json(path, document):
    path.write_text(json.dumps({"machine": machine(), **document}, indent=1) + "\n")
