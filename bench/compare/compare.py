"""Measures rows of rows.py, agon against each peer, back to back, and prints one table.

Every measurement is a process of its own. agon in its fastest numerics runs before and after the peers of a row, so that a
machine that changes shows as drift; portable runs once. The rate is the work over the fastest repetition, for all alike; agon's is
the mean of its two visits. Where others use the machine too, the ratio by processor time says more: it leaves out what they took. On a machine
that changes within minutes, --rounds N goes through a row N times; a ratio is then the median of the rounds' own, with their range.

--cpu avx2 holds all to AVX2: agon and PyTorch by their own switches, llama.cpp by a build of its own, vLLM by its library for AVX2.
PyTorch, which multiplies bf16 one by one there and on any CPU without AVX-512, computes in f32.

usage: compare.py --folder FOLDER --agon bench-compare [--output RESULTS.jsonl] [--prefix "nice -n -10"] [--rounds N] [--table FILE...] [ROW...]"""
import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys

from rows import ROWS

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 1200  # seconds of one measurement
SLOW_BF16 = not any(x.startswith("flags") and " avx512f " in x for x in open("/proc/cpuinfo"))  # x86; elsewhere there is no oneDNN either

# Large tensors of PyTorch otherwise go through mmap and munmap at every step: keeping memory helps all peers.
KEPT_MEMORY = ("glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=68719476736:"
               "glibc.malloc.top_pad=268435456:glibc.malloc.arena_max=1")

# What holds the peers to a CPU's instructions; AGON_COMPARE_CPU is read by peers/vllm_infer.py.
HELD = {"avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "AGON_COMPARE_CPU": "avx2"}}


class Bench:
    def __init__(self, a):
        self.a = a
        self.inputs = os.path.join(a.folder, "inputs.json")

    def model(self, kind):
        return os.path.join(self.a.folder, "hf" if kind == "hf" else f"model-{kind}.gguf")

    def run(self, command, environment):
        """The last JSON line that it prints, or the reason why there is none."""
        whole = shlex.split(self.a.prefix) + command
        try:
            p = subprocess.run(whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               timeout=LIMIT, env={**os.environ, **environment})
        except subprocess.TimeoutExpired:
            return {"failed": f"took more than {LIMIT} s"}
        lines = [x for x in p.stdout.splitlines() if x.startswith("{")]
        if p.returncode or not lines:
            return {"failed": " | ".join(p.stderr.strip().splitlines()[-3:]) or f"exit code {p.returncode}"}
        return json.loads(lines[-1])

    def agon(self, row, fastest):
        command = [self.a.agon, row.work or row.name, self.model(row.model), self.inputs] + row.options.split()
        return self.run(command + (["--fastest"] if fastest else []) + (["--bf16-attention"] if fastest and self.bf16_attention() else []) +
                        (["--cpu", self.a.cpu] if self.a.cpu else []), {})

    def bf16_attention(self):
        """The peers' attention is in their weights' type: so is agon's, where its default does not count."""
        return not (self.a.f32_attention or self.a.cpu or SLOW_BF16)

    def peer(self, peer):
        held = HELD.get(self.a.cpu, {})
        built_for_it = held and "llama" in peer.script and not SLOW_BF16 # else the build for this CPU is that already
        venv = f"venv-llama-{self.a.cpu}" if built_for_it else peer.venv
        python = os.path.join(self.a.folder, venv, "bin", "python")
        if not os.path.exists(python):
            return {"failed": "not installed"}
        command = [python, os.path.join(HERE, "peers", peer.script), "--model", self.model(peer.model), "--inputs", self.inputs]
        options = peer.options + " " + (peer.slow_bf16_options() if held or SLOW_BF16 else "")
        return self.run(command + options.split(), {"GLIBC_TUNABLES": KEPT_MEMORY, **held})

    def measure(self, row):
        for n in range(self.a.rounds):
            for r in self.round(row):
                yield {**r, "round": n}

    def round(self, row):
        visits = [("agon, fastest", lambda: self.agon(row, True))]
        visits += [(p.name, lambda p=p: self.peer(p)) for p in row.peers if self.wanted(p)]
        if not self.a.fastest_only:
            visits += [("agon, default", lambda: self.agon(row, False))]
        if not self.a.once:
            visits += [("agon, fastest", lambda: self.agon(row, True))]
        for who, visit in visits:
            r = {**visit(), "held": self.a.cpu or "", "row": row.name, "who": who, "at": datetime.datetime.now().isoformat(timespec="seconds"),
                 "load": round(os.getloadavg()[0], 1)}
            if "failed" not in r:
                skip = row.skip if who.startswith("agon") else 0
                r["rate"], r["cpu_rate"] = rate(r, "seconds", skip), rate(r, "cpu_seconds", skip)
            print(f"{row.name:8} {who:26} " + (r["failed"] if "failed" in r else f"{r['rate']:.2f} {row.unit}, {r['peak_rss_mb']:.0f} MB"),
                  file=sys.stderr, flush=True)
            yield r

    def wanted(self, peer):
        return not self.a.peers or any(x.lower() in peer.name.lower() for x in self.a.peers.split(","))


def rate(r, clock, skip):
    """Work a second in the fastest repetition; the first is left out where it makes the memory."""
    times = r[clock][skip:] or r[clock]
    return r["tokens"] / min(times)


def machine():
    model = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores, {datetime.date.today()}"


def mean(values):
    return sum(values) / len(values) if values else None


def by_name(results, row):
    """{who: [result, ...]} of those that did not fail."""
    out = {}
    for r in results:
        if r["row"] == row.name and "failed" not in r:
            out.setdefault(r["who"], []).append(r)
    return out


def number(x, digits=3):
    return "" if x is None else f"{x:,.0f}" if x >= 100 else f"{x:.{digits}g}"


def table_lines(results):
    yield ("| work | who | rate | of processor time | peak MB | agon, fastest / it | by processor time | goal | agon, default / it | "
           "agon's memory / it | goal |")
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for row in ROWS:
        found = by_name(results, row)
        fastest, default = found.get("agon, fastest", []), found.get("agon, default", [])
        rates = [r["rate"] for r in fastest]
        if not found:
            continue
        drift = f" (drift {max(rates) / min(rates) - 1:.0%})" if len(rates) > 1 else ""
        for who, rs in (("**agon, fastest**" + numerics_of(fastest) + drift, fastest), ("**agon, default**", default)):
            if rs:
                yield (f"| {row.title} | {who} | {number(average(rs, 'rate'))} {row.unit} | {number(average(rs, 'cpu_rate'))} | "
                       f"{max(r['peak_rss_mb'] for r in rs):,.0f} | | | | | | |")
        for peer in row.peers:
            if peer.name in found:
                yield peer_line(peer, found[peer.name], fastest, default)
            else:
                failed = [r["failed"] for r in results if r["row"] == row.name and r["who"] == peer.name]
                if failed:
                    yield f"| | {peer.name} | failed: {failed[-1][:60]} | | | | | | | | |"


def numerics_of(rs):
    return f" ({rs[-1]['numerics']})" if rs else ""


def average(rs, key):
    return mean([r[key] for r in rs])


def times(mine, its):
    return f"{number(mine / its)} x" if mine else ""


def round_ratio(r, fastest, key):
    """agon's rate over the peer's, both of one round."""
    return average([x for x in fastest if x.get("round", 0) == r.get("round", 0)], key) / r[key]


def peer_line(peer, rs, fastest, default):
    best = max(rs, key=lambda r: r["rate"])
    memory = min(r["peak_rss_mb"] for r in rs)
    ratios = [round_ratio(r, fastest, "rate") for r in rs if fastest]
    ratio = statistics.median(ratios) if ratios else 0
    by_cpu = statistics.median(round_ratio(r, fastest, "cpu_rate") for r in rs) if fastest else 0
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)" if len(ratios) > 1 else ""
    share = max(r["peak_rss_mb"] for r in fastest) / memory if fastest else None
    return (f"| | {peer.name} | {number(best['rate'])} | {number(best['cpu_rate'])} | {memory:,.0f} | {times(ratio, 1)}"
            f"{' ✓' if ratio >= peer.goal else ''}{spread} | {times(by_cpu, 1)} | {peer.goal:g} | "
            f"{times(average(default, 'rate'), best['rate'])} | "
            f"{number(share, 2)}{' ✓' if peer.memory and share and share <= peer.memory else ''} | "
            f"{f'{peer.memory:.2g}' if peer.memory else ''} |")


def versions_line(results):
    found = {}
    for r in results:
        found.update(r.get("versions", {}))
    return ", ".join(f"{k} {v}" for k, v in sorted(found.items()))


def show(results):
    if len({r.get("held", "") for r in results}) > 1:
        sys.exit("these results are held to different CPUs: give --table one kind")
    print(machine())
    print(versions_line(results))
    print()
    print("\n".join(table_lines(results)))


def read(paths):
    return [json.loads(line) for path in paths for line in open(path)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--folder", help="what bench/compare/setup made")
    p.add_argument("--agon", help="the program bench-compare")
    p.add_argument("--cpu", choices=sorted(HELD), help="hold agon and its peers to this CPU's instructions")
    p.add_argument("--f32-attention", action="store_true", help="agon, fastest does not round attention's operands to bf16, as the peers do")
    p.add_argument("--fastest-only", action="store_true", help="leave agon's default numerics out")
    p.add_argument("--rounds", type=int, default=1, help="how often a row is gone through")
    p.add_argument("--once", action="store_true", help="agon runs before the peers only")
    p.add_argument("--output", help="append each result as a line of JSON")
    p.add_argument("--prefix", default="", help='before each command: "flock FILE nice -n -10"')
    p.add_argument("--peers", default="", help="only peers whose name holds one of these, with commas between")
    p.add_argument("--table", nargs="+", help="measure nothing: the table of these files")
    p.add_argument("rows", nargs="*")
    a = p.parse_args()
    if a.table:
        return show(read(a.table))
    unknown = set(a.rows) - {r.name for r in ROWS}
    if unknown:
        p.error(f"no row {', '.join(unknown)}; there are {', '.join(r.name for r in ROWS)}")
    results = []
    for row in ROWS:
        if a.rows and row.name not in a.rows:
            continue
        for r in Bench(a).measure(row):
            results.append(r)
            if a.output:
                with open(a.output, "a") as f:
                    f.write(json.dumps(r) + "\n")
    show(results)


if __name__ == "__main__":
    main()
