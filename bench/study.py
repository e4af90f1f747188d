#!/usr/bin/python3
"""Runs the experiments of docs/results.md with halos sim.

    make build
    python3 bench/study.py search --out search.jsonl     tries settings of each method, from one seed
    python3 bench/study.py final  --out final.jsonl      runs the best ones from three other seeds
    python3 bench/study.py tables search.jsonl final.jsonl   writes the tables of docs/results.md

Each line of a file is one run. Runs that a file has are not repeated, so a command that
was stopped goes on where it was. Every run has one core, as many run at once as --jobs
says. With --print the commands are printed instead.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import time

# The paper's clock, as many local steps as the paper's experiment has (98,304) and its
# schedule, with a transformer that one core trains in a minute or two.
COMMON = """--set model.hidden_size=64 --set model.num_hidden_layers=2 --set model.num_attention_heads=4
--set model.intermediate_size=256 --set batch=1 --set global_batch=16 --set optimizer.warmup=300
--tokens 6291456 --evals 100""".split()
ALGOS = ("halos", "async", "diloco", "diloco-dyn", "ddp")
LRS = (0.002, 0.004, 0.008, 0.016)


def nesterov(server, gain, beta, n):
    """The server's settings under which a delta moves its model by gain times itself in the end."""
    return [f"{server}.lr={gain * n * (1 - beta):.4g}", f"{server}.beta={beta}", f"{server}.n={n}"]


def halos(h, k, alpha, lps, gps, lr):
    """lps and gps are (gain, beta, N)."""
    sets = nesterov("lps", *lps) + nesterov("gps", *gps) + [f"optimizer.lr={lr}"]
    return ["--H", str(h), "--K", str(k), "--alpha", str(alpha)] + [x for s in sets for x in ("--set", s)]


def outer(h, server, lr):
    """server is the learning rate, for each arrival, and momentum of a baseline's server."""
    return ["--H", str(h), "--outer-lr", str(server[0]), "--outer-momentum", str(server[1]), "--set", f"optimizer.lr={lr}"]


def settings(algo, budget):
    """What the search tries: the paper's servers at each learning rate, then what is drawn, without repetition."""
    if algo == "halos":
        first = [halos(8, 32, 0.25, (2, 0.9, 16), (0.3, 0.5, 2), lr) for lr in LRS]
        momenta = ((0, 1), (0.5, 4), (0.9, 16))
        space = [
            halos(h, k, alpha, (g, b, n), (gg, bb, nn), lr)
            for h, k, alpha, g, (b, n), gg, (bb, nn), lr in itertools.product(
                (4, 8, 16), (8, 16, 32), (0.25, 0.5, 0.75), (0.5, 1, 2), momenta, (0.15, 0.3, 0.6), ((0, 1), (0.5, 2)), LRS[1:])
        ]
    elif algo == "async":
        first = [outer(32, (0.05, 0.9), lr) for lr in LRS]
        servers = [(round(gain * (1 - beta), 5), beta) for gain in (0.0625, 0.125, 0.25, 0.5) for beta in (0, 0.5, 0.9)]
        space = [outer(*x) for x in itertools.product((8, 16, 32, 64), servers, LRS[1:])]
    elif algo in ("diloco", "diloco-dyn"):
        first = [outer(32, (0.7, 0.9), lr) for lr in LRS]
        servers = ((0.5, 0), (1, 0), (0.5, 0.5), (0.7, 0.5), (1, 0.5), (0.1, 0.9), (0.2, 0.9), (0.4, 0.9), (0.7, 0.9))
        space = [outer(*x) for x in itertools.product((16, 32, 64, 128), servers, LRS[1:])]
    else:
        first = [["--set", f"optimizer.lr={lr}"] for lr in (0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024)]
        space = [x + ["--set", f"optimizer.warmup={w}"] for x in first for w in (100, 600)]
    random.Random(algo).shuffle(space)
    all = []
    for s in first + space:
        if s not in all:
            all.append(s)
    return all[:budget]


def command_of(args, algo, flags, seed):
    return [args.halos, "sim", "--algo", algo, *COMMON, *flags, "--seed", str(seed)]


def run(args, algo, flags, seed, group):
    command = command_of(args, algo, flags, seed)
    began = time.time()
    done = subprocess.run(command + ["--jobs", "1", "--json"], capture_output=True, text=True, env=os.environ | {"GOMAXPROCS": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    method = json.loads(done.stdout)["algorithms"][0]
    return {"group": group, "algo": algo, "flags": flags, "seed": seed, "cpu": round(time.time() - began), **method["runs"][0]}


def run_all(args, todo):
    if args.print:
        for algo, flags, seed, _ in todo:
            print(" ".join(command_of(args, algo, flags, seed)))
        return
    out = pathlib.Path(args.out)
    key = lambda algo, flags, seed, group: json.dumps([algo, flags, seed])
    had = {key(r["algo"], r["flags"], r["seed"], r["group"]) for r in read([out])}
    todo = [t for t in todo if key(*t) not in had]
    end = time.time() + args.limit
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool, out.open("a") as f:
        def one(t):
            return run(args, *t) if time.time() < end else None
        for i, done in enumerate(concurrent.futures.as_completed([pool.submit(one, t) for t in todo])):
            if r := done.result():
                f.write(json.dumps(r) + "\n")
                f.flush()
                print(f"{i + 1}/{len(todo)} {r['cpu']:4} s  {r['loss']:.4f} {r['seconds']:9.1f}  {r['algo']} {' '.join(r['flags'])}", file=sys.stderr)


def read(files):
    return [json.loads(line) for f in files if f.exists() for line in f.read_text().splitlines()]


def search(args):
    lists = [[(a, s, 1, "search") for s in settings(a, args.budget)] for a in args.algos.split(",")]
    run_all(args, [t for row in itertools.zip_longest(*lists) for t in row if t])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("search",))
    p.add_argument("--halos", default="./halos", help="the program, default ./halos")
    p.add_argument("--out", default="study.jsonl", help="the file of the runs")
    p.add_argument("--algos", default=",".join(ALGOS), help="of these methods")
    p.add_argument("--budget", type=int, default=24, help="settings to try for each method")
    p.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at once")
    p.add_argument("--limit", type=float, default=1e9, help="begin no run after so many seconds")
    p.add_argument("--print", action="store_true", help="print the commands only")
    args = p.parse_args()
    search(args)


if __name__ == "__main__":
    main()
