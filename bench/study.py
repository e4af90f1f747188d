#!/usr/bin/python3
"""Runs the experiments of docs/results.md with halos sim.

    make build
    python3 bench/study.py search --out search.jsonl   every setting of docs/search.csv, from one seed
    python3 bench/study.py final  --out final          the chosen ones and variants, from three other seeds
    python3 bench/study.py tables --out final          what docs/results.md shows of the latter

What --out has already is not run again, so a command that was stopped goes on where it
was. Each run has one core, and as many go on at once as --jobs says. With --print the
commands are printed instead.
"""

import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

COMMON = ["--evals", "100"]  # beside what halos sim does by default
SEARCH_SEED, SEEDS = "1", ["--seed", "2", "--seeds", "3"]
SEARCH = pathlib.Path(__file__).parent.parent / "docs" / "search.csv"

# Of all tried, what ended at the lowest loss; what of the baselines was the first at the
# loss where HALoS ended; and what the HALoS paper has, with the best learning rate tried.
CHOSEN = {
    "halos": "--H 8 --K 8 --alpha 0.25 --set lps.lr=0.8 --set lps.beta=0.9 --set lps.n=16 --set gps.lr=0.15 --set gps.beta=0 --set gps.n=1 --set optimizer.lr=0.016",
    "async": "--H 4 --outer-lr 0.125 --outer-momentum 0.5 --set optimizer.lr=0.004",
    "diloco": "--H 16 --outer-lr 0.7 --outer-momentum 0.9 --set optimizer.lr=0.004",
    "diloco-dyn": "--H 32 --outer-lr 1 --outer-momentum 0.9 --set optimizer.lr=0.004",
    "ddp": "--set optimizer.lr=0.004",
}
FASTEST = {
    "async": "--H 16 --outer-lr 0.0625 --outer-momentum 0.5 --set optimizer.lr=0.008",
    "diloco": "--H 32 --outer-lr 0.7 --outer-momentum 0.9 --set optimizer.lr=0.006",
    "diloco-dyn": "--H 64 --outer-lr 1 --outer-momentum 0.9 --set optimizer.lr=0.004",
}
PAPER = {
    "halos": "--inflight paper --H 8 --K 32 --alpha 0.25 --set lps.lr=3.2 --set lps.beta=0.9 --set lps.n=16 --set gps.lr=0.3 --set gps.beta=0.5 --set gps.n=2 --set optimizer.lr=0.004",
    "async": "--H 32 --outer-lr 0.05 --outer-momentum 0.9 --set optimizer.lr=0.004",
    "diloco": "--H 32 --outer-lr 0.7 --outer-momentum 0.9 --set optimizer.lr=0.008",
}
# The fastest again, with as many tokens as they get through by the time halos has ended,
# and halos with as many as it gets through until async has.
IN_TIME = {
    "halos": CHOSEN["halos"] + " --tokens 18609k",
    "async": FASTEST["async"] + " --tokens 3053k",
    "diloco": FASTEST["diloco"] + " --tokens 812k --set optimizer.warmup=100",
    "diloco-dyn": FASTEST["diloco-dyn"] + " --tokens 1997k",
    "ddp": CHOSEN["ddp"] + " --tokens 70400 --set optimizer.warmup=20",
}
# The chosen with half as many tokens again, to reach the target.
LONGER = {algo: CHOSEN[algo] + " --tokens 9437184" for algo in ("async", "diloco-dyn", "diloco")}
REGIONS = "--data 1=sotu --data 3=sotu"  # the others read Austen
KS = (4, 8, 16, 32, 64)


GROUPS = ("", CHOSEN), ("-fastest", FASTEST), ("-paper", PAPER), ("-in-time", IN_TIME), ("-longer", LONGER)


def variant(k, inflight):
    """The name of the chosen halos with another K or treatment of deltas in flight."""
    return "halos" if (k, inflight) == (8, "carry") else f"K{k}-{inflight}"


def experiments():
    """The final runs: a name, a method and its flags."""
    for suffix, group in GROUPS:
        for algo, flags in group.items():
            yield algo + suffix, algo, flags
    for algo, flags in CHOSEN.items():
        yield f"{algo}-regions", algo, f"{REGIONS} {flags}"
    for k in KS:
        for inflight in ("carry", "paper"):
            if variant(k, inflight) != "halos":
                yield variant(k, inflight), "halos", f"{CHOSEN['halos']} --K {k} --inflight {inflight}"
    for k in (KS[0], KS[-1]):
        for inflight in ("carry", "paper"):
            yield variant(k, inflight) + "-regions", "halos", f"{REGIONS} {CHOSEN['halos']} --K {k} --inflight {inflight}"


def command(args, algo, flags, seeds):
    return [args.halos, "sim", "--algo", algo, *COMMON, *flags.split(), *seeds]


def simulate(args, command):
    """What the command prints as JSON; None if it is too late to begin."""
    if args.print:
        print(" ".join(command))
        return None
    if time.time() > args.end:
        return None
    began = time.time()
    done = subprocess.run(command + ["--jobs", "1", "--json"], capture_output=True, text=True, env=os.environ | {"GOMAXPROCS": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    report = json.loads(done.stdout)
    method = report["algorithms"][0]
    print(f"{time.time() - began:4.0f} s  {method['loss']:.4f} {method['seconds']:9.1f}  {' '.join(command[3:])}", file=sys.stderr)
    return report


def each(args, do, todo):
    """Yields what do makes of each, as it is ready."""
    with concurrent.futures.ThreadPoolExecutor(1 if args.print else args.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(do, *t) for t in todo]):
            if done.result():
                yield done.result()


def search(args):
    out = pathlib.Path(args.out)
    had = {(r["algo"], r["flags"]) for r in map(json.loads, out.read_text().splitlines())} if out.exists() else set()
    with SEARCH.open() as f:
        todo = [(r["algo"], r["flags"]) for r in csv.DictReader(f) if (r["algo"], r["flags"]) not in had]

    def one(algo, flags):
        report = simulate(args, command(args, algo, flags, ["--seed", SEARCH_SEED]))
        return report and {"algo": algo, "flags": flags, **report["algorithms"][0]["runs"][0]}

    with out.open("a") as f:
        for r in each(args, one, todo):
            f.write(json.dumps(r) + "\n")
            f.flush()


def final(args):
    out = pathlib.Path(args.out)
    out.mkdir(exist_ok=True)

    def one(name, algo, flags):
        report = simulate(args, command(args, algo, flags, SEEDS))
        if report:
            new = out / f".{name}.new"
            new.write_text(json.dumps(report))
            new.rename(out / f"{name}.json")

    for _ in each(args, one, [e for e in experiments() if args.print or not (out / f"{e[0]}.json").exists()]):
        pass


def tables(args):
    out = pathlib.Path(args.out)
    runs = {f.stem: json.loads(f.read_text())["algorithms"][0] for f in sorted(out.glob("*.json"))}

    def loss(name):
        if name not in runs:
            return "-"
        losses = [r["loss"] for r in runs[name]["runs"]]
        return f"{statistics.mean(losses):.4f} ({min(losses):.4f} to {max(losses):.4f})"

    print("| method | seconds | WAN GB | busy | staleness | loss at the end |\n| --- | --- | --- | --- | --- | --- |")
    for name in [algo + suffix for suffix, group in GROUPS for algo in group]:
        if m := runs.get(name):
            print(f"| {name} | {m['seconds']:,.0f} | {m['wan_gb']:,.0f} | {100 * m['utilisation']:.0f} % | {m['staleness_mean']:.1f} | {loss(name)} |")
    print("\n| method | texts by region |\n| --- | --- |")
    for name in CHOSEN:
        print(f"| {name} | {loss(f'{name}-regions')} |")
    print("\n| K | carry | paper | never shipped | carry, texts by region | paper, texts by region |\n| --- | --- | --- | --- | --- | --- |")
    for k in KS:
        carry, paper = variant(k, "carry"), variant(k, "paper")
        dropped = runs.get(paper, {}).get("unshipped", 0)
        print(f"| {k} | {loss(carry)} | {loss(paper)} | {100 * dropped:.0f} % | {loss(carry + '-regions')} | {loss(paper + '-regions')} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("search", "final", "tables"))
    p.add_argument("--halos", default="./halos", help="the program, default ./halos")
    p.add_argument("--out", required=True, help="where results are kept: a file for search, a directory for final")
    p.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at once")
    p.add_argument("--limit", type=float, default=1e9, help="begin no run after so many seconds")
    p.add_argument("--print", action="store_true", help="print the commands only")
    args = p.parse_args()
    args.end = time.time() + args.limit
    {"search": search, "final": final, "tables": tables}[args.what](args)


if __name__ == "__main__":
    main()
