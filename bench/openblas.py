#!/usr/bin/python3
"""Measures the products of "halos bench kernels" with OpenBLAS.

Reads the JSON of that command and prints the same list of products with the rates of
cblas_sgemm, on as many threads:

    halos bench kernels --json | python3 bench/openblas.py
"""

import argparse
import ctypes
import ctypes.util
import json
import statistics
import sys
import time

import numpy

ROW_MAJOR, ORDER = 101, {"N": 111, "T": 112}


def library():
    name = ctypes.util.find_library("openblas") or "libopenblas.so.0"
    try:
        blas = ctypes.CDLL(name)
    except OSError as fault:
        sys.exit(f"openblas.py: {fault}: install OpenBLAS, such as Debian's libopenblas0-pthread")
    blas.openblas_get_config.restype = ctypes.c_char_p
    blas.openblas_get_corename.restype = ctypes.c_char_p
    return blas


def matrix(rng, rows, cols):
    return rng.random((rows, cols), dtype=numpy.float32) - numpy.float32(0.5)


def product(blas, rng, p):
    """Returns what multiplies once: c [m, n] = a [m, k] * b [k, n]."""
    m, n, k = p["m"], p["n"], p["k"]
    ta, tb = p["form"]
    a = matrix(rng, *((m, k) if ta == "N" else (k, m)))
    b = matrix(rng, *((k, n) if tb == "N" else (n, k)))
    c = numpy.zeros((m, n), dtype=numpy.float32)
    i, f, at = ctypes.c_int, ctypes.c_float, lambda x: x.ctypes.data_as(ctypes.c_void_p)
    args = (i(ROW_MAJOR), i(ORDER[ta]), i(ORDER[tb]), i(m), i(n), i(k), f(1), at(a), i(a.shape[1]), at(b), i(b.shape[1]), f(0), at(c), i(n))
    call = lambda: blas.cblas_sgemm(*args)
    call()
    rows = range(0, m, max(1, m // 3))  # some of the result, the slow way
    left, right = (a if ta == "N" else a.T), (b if tb == "N" else b.T)
    for r in rows:
        assert numpy.allclose(c[r], left[r].astype(numpy.float64) @ right, atol=1e-3)
    return call


def seconds(call, settle=0.05, run=0.01, runs=7):
    """As seconds of halos: the median of some runs of at least 10 ms, after 50 ms."""
    done, start = 0, time.perf_counter()
    while done < 2 or time.perf_counter() - start < settle:
        call()
        done += 1
    took = (time.perf_counter() - start) / done
    calls = 1 + int(run / took)
    each = []
    for _ in range(3 if took > 50 * run else runs):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        each.append((time.perf_counter() - start) / calls)
    return statistics.median(each)


def measure(halos):
    blas = library()
    blas.openblas_set_num_threads(halos["threads"])
    rng = numpy.random.default_rng(1)
    products = []
    for p in halos["products"]:
        rate = 2 * p["m"] * p["n"] * p["k"] / seconds(product(blas, rng, p)) / 1e9
        products.append({**{key: p[key] for key in ("preset", "layer", "form", "m", "n", "k")}, "gflops": rate})
    return {
        "schema": "halos.bench.openblas/1", "threads": halos["threads"], "products": products,
        "version": blas.openblas_get_config().decode(), "core": blas.openblas_get_corename().decode(),
    }


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(json.dumps(measure(json.load(sys.stdin)), indent=2))
