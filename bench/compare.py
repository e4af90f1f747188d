#!/usr/bin/python3
"""Compares halos with PyTorch and OpenBLAS on this machine.

Both are run in turn, pair by pair, and swap who goes first, so that what else
happens on the machine meets both alike. A ratio is the median over the pairs of
halos' speed by the other's, so above 1 halos is faster.

    make build
    python3 bench/compare.py train   --pairs 5                     training steps
    python3 bench/compare.py kernels --pairs 5 --presets tiny,small   products

In "train", PyTorch runs with each number of threads up to halos', and the fastest
counts. Debian's OpenBLAS, which multiplies for PyTorch too, does not know processors
newer than itself and then falls back to kernels many times slower than the best it
has. So the set of kernels that is fastest here is looked for first, and both use it.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PRESETS = ("tiny", "small", "pythia-70m")
CORES = ("", "SkylakeX", "Cooperlake", "Zen", "Haswell")  # of OPENBLAS_CORETYPE; "" lets it choose


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("train", "kernels"))
    p.add_argument("--halos", default="./halos", help="the program, default ./halos")
    p.add_argument("--python", default=sys.executable, help="a Python that has torch and numpy")
    p.add_argument("--presets", default=",".join(PRESETS), help="of these, separated by commas")
    p.add_argument("--threads", default=",".join(str(n) for n in range(1, (os.cpu_count() or 1) + 1)), help="numbers of threads to compare with")
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--steps", type=int, default=0, help="training steps in a run, default as many as take 10 seconds")
    p.add_argument("--json", action="store_true", help="print all pairs as JSON instead of a table")
    a = p.parse_args()
    a.presets, a.threads = a.presets.split(","), [int(n) for n in a.threads.split(",")]
    return a


def call(*args, text=None, core="", may_fail=False):
    """Runs a program and returns the JSON that it prints."""
    env = {**os.environ, **({"OPENBLAS_CORETYPE": core} if core else {})}
    quiet = subprocess.DEVNULL if may_fail else None
    done = subprocess.run([str(x) for x in args], input=text, stdout=subprocess.PIPE, stderr=quiet, text=True, env=env)
    if not done.returncode:
        return json.loads(done.stdout)
    if not may_fail:
        sys.exit(f"compare.py: {args[0]} ended with {done.returncode}")


def fastest_core(a):
    """Returns the OpenBLAS kernels that are fastest on this processor, one thread."""
    shapes = {"threads": 1, "products": [
        {"preset": "", "layer": "", "form": form, "m": 2048, "n": 512, "k": 512} for form in ("NT", "NN", "TN")]}
    rates = {}
    for _ in range(3):
        for core in CORES:  # what the processor cannot run ends with a signal
            r = call(a.python, HERE / "openblas.py", text=json.dumps(shapes), core=core, may_fail=True)
            if r:
                rates.setdefault(core, []).append(mean(p["gflops"] for p in r["products"]))
    if not rates:
        sys.exit(f"compare.py: {a.python} {HERE / 'openblas.py'} does not run: see what it prints")
    best = max(rates, key=lambda core: statistics.median(rates[core]))
    for core, r in rates.items():
        print(f"OpenBLAS {core or 'by its own choice'}: {statistics.median(r):.1f} GFLOP/s{', taken' if core == best else ''}", file=sys.stderr)
    return best


def mean(x):
    """Returns the geometric mean."""
    return math.exp(statistics.fmean(map(math.log, x)))


def in_turn(first, second, swap):
    if swap:
        other = second()
        return first(), other
    return first(), second()


def train(a):
    results = []
    for preset in a.presets:
        for threads in a.threads:
            common = ["--preset", preset, "--steps", a.steps]
            ours = lambda: call(a.halos, "bench", "train", "--json", "--threads", threads, *common)
            theirs = lambda: max(
                (call(a.python, HERE / "pytorch.py", "--threads", n, *common, core=a.core) for n in range(1, threads + 1)),
                key=lambda r: r["tokens_per_second"])
            pairs = [in_turn(ours, theirs, n % 2) for n in range(a.pairs)]
            results.append({"preset": preset, "threads": threads, "pairs": [{"halos": x, "pytorch": y} for x, y in pairs]})
            print(f"{preset}, {threads} threads: done", file=sys.stderr)
    return results


def middle(pairs, who, field):
    return statistics.median(p[who][field] for p in pairs)


def ratios(pairs, other, field):
    return sorted(p["halos"][field] / p[other][field] for p in pairs)


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))


def train_table(results):
    rows = [("preset", "threads", "halos tokens/s", "of peak", "allocs", "memory MB", "torch tokens/s", "threads", "memory MB", "ratio", "from", "to")]
    for r in results:
        p = r["pairs"]
        q = ratios(p, "pytorch", "tokens_per_second")
        rows.append((
            r["preset"], str(r["threads"]), f"{middle(p, 'halos', 'tokens_per_second'):.0f}", f"{100 * middle(p, 'halos', 'peak_share'):.1f} %",
            f"{middle(p, 'halos', 'allocs_per_step'):g}", f"{middle(p, 'halos', 'memory_bytes') / 1e6:.0f}",
            f"{middle(p, 'pytorch', 'tokens_per_second'):.0f}", "/".join(sorted({str(x["pytorch"]["threads"]) for x in p})),
            f"{middle(p, 'pytorch', 'memory_bytes') / 1e6:.0f}", f"{statistics.median(q):.2f}", f"{q[0]:.2f}", f"{q[-1]:.2f}"))
    table(rows)


def kernels(a):
    results = []
    for preset in a.presets:
        for threads in a.threads:
            ours = lambda: call(a.halos, "bench", "kernels", "--json", "--elements", 1000, "--threads", threads, "--preset", preset)
            shapes = ours()  # warms up, and says what to multiply
            theirs = lambda: call(a.python, HERE / "openblas.py", text=json.dumps(shapes), core=a.core)
            pairs = [in_turn(ours, theirs, n % 2) for n in range(a.pairs)]
            for i, p in enumerate(shapes["products"]):
                results.append({
                    **{key: p[key] for key in ("preset", "layer", "form", "m", "n", "k")}, "threads": threads,
                    "pairs": [{"halos": x["products"][i], "openblas": y["products"][i]} for x, y in pairs]})
            print(f"{preset}, {threads} threads: done", file=sys.stderr)
    return results


def kernels_table(results):
    rows = [("preset", "layer", "form", "m", "n", "k", "threads", "halos GFLOP/s", "of peak", "OpenBLAS GFLOP/s", "ratio", "from", "to")]
    for r in results:
        p = r["pairs"]
        q = ratios(p, "openblas", "gflops")
        rows.append((
            r["preset"], r["layer"], r["form"], str(r["m"]), str(r["n"]), str(r["k"]), str(r["threads"]),
            f"{middle(p, 'halos', 'gflops'):.1f}", f"{100 * middle(p, 'halos', 'share'):.1f} %", f"{middle(p, 'openblas', 'gflops'):.1f}",
            f"{statistics.median(q):.2f}", f"{q[0]:.2f}", f"{q[-1]:.2f}"))
    table(rows)
    for threads in sorted({r["threads"] for r in results}):
        q = [statistics.median(ratios(r["pairs"], "openblas", "gflops")) for r in results if r["threads"] == threads]
        shares = [middle(r["pairs"], "halos", "share") for r in results if r["threads"] == threads]
        print(f"{threads} threads: ratio to OpenBLAS {mean(q):.2f} in the geometric mean, {min(q):.2f} at least; "
              f"share of the peak {100 * mean(shares):.1f} %, {100 * min(shares):.1f} % at least")


if __name__ == "__main__":
    a = arguments()
    a.core = fastest_core(a)
    results = {"train": train, "kernels": kernels}[a.what](a)
    if a.json:
        print(json.dumps(results, indent=2))
    else:
        {"train": train_table, "kernels": kernels_table}[a.what](results)
