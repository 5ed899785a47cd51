"""What the peers' scripts share: inputs, timing, memory, the result line."""
import argparse
import json
import os
import sys
import time


def arguments(**more):
    """--model, --inputs, --threads and the script's own options with their defaults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--inputs", required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    for name, default in more.items():
        if isinstance(default, bool):
            parser.add_argument("--" + name, action="store_true")
        else:
            parser.add_argument("--" + name, type=type(default), default=default)
    a = parser.parse_args()
    # Before torch is imported.
    os.environ["OMP_NUM_THREADS"] = str(a.threads)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_DISABLE_PROGRESS_BARS", "TQDM_DISABLE"):
        os.environ[name] = "1"
    with open(a.inputs) as f:
        return a, json.load(f)


def torch_with(threads):
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    return torch


def peak_rss_mb():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM"))


class Laps:
    """Seconds of each repetition, by the clock and of processor time; shown as they come."""

    def __init__(self):
        self.seconds, self.cpu_seconds = [], []
        self.start()

    def start(self):
        self.mark, self.cpu = time.perf_counter(), time.process_time()

    def lap(self):
        self.seconds.append(round(time.perf_counter() - self.mark, 4))
        self.cpu_seconds.append(round(time.process_time() - self.cpu, 4))
        print(f"{len(self.seconds)}: {self.seconds[-1]:.2f} s", file=sys.stderr, flush=True)
        self.start()


def result(laps, **more):
    print(json.dumps({**more, "seconds": laps.seconds, "cpu_seconds": laps.cpu_seconds, "peak_rss_mb": round(peak_rss_mb())}), flush=True)
    sys.stdout.flush()
    os._exit(0)  # the engines' own threads may hang at exit
