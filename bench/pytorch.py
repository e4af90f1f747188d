#!/usr/bin/python3
"""Trains the model of a halos preset in PyTorch and says how fast.

The same model, batch, context and optimizer as "halos bench train": GPT-NeoX with
parallel residual, rotary_pct 0.25, untied embeddings and exact GELU, in float32,
with AdamW and clipping. Written for PyTorch 1.13 as a careful user would: attention
by batched products with a mask, one fused product for q, k and v, logits of all
tokens at once.

    python3 bench/pytorch.py --preset small --threads 2

Prints JSON with the fields of "halos bench train --json" that make sense here.
"""

import argparse
import json
import os
import resource
import statistics
import time

PRESETS = {  # hidden, layers, heads, context, vocabulary, batch: as job/preset.go
    "tiny": (128, 4, 4, 64, 256, 1),
    "small": (384, 6, 6, 256, 256, 8),
    "pythia-70m": (512, 6, 8, 2048, 50304, 1),
}
WARM_UP, SETTLE = 2, 0.05  # steps and seconds before the measured ones


def arguments():
    p = argparse.ArgumentParser(description="Measures training steps in PyTorch.")
    p.add_argument("--preset", choices=PRESETS, default="tiny")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--batch", type=int, help="sequences at once, default the preset's")
    p.add_argument("--context", type=int, help="tokens of a sequence, default the preset's")
    p.add_argument("--steps", type=int, default=0, help="default as many as take 10 seconds")
    return p.parse_args()


def build(torch, hidden, layers, heads, context, vocabulary):
    nn, F = torch.nn, torch.nn.functional
    size = hidden // heads
    turned = size // 4

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm_in, self.norm_post = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
            self.qkv, self.dense = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
            self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

        def forward(self, x, cos, sin, mask):
            return x + self.attend(self.norm_in(x), cos, sin, mask) + self.down(F.gelu(self.up(self.norm_post(x))))

        def attend(self, x, cos, sin, mask):
            B, T, _ = x.shape
            q, k, v = self.qkv(x).view(B, T, heads, 3 * size).transpose(1, 2).split(size, dim=-1)
            q, k = rotate(q, cos, sin).reshape(-1, T, size), rotate(k, cos, sin).reshape(-1, T, size)
            scores = torch.bmm(q * size**-0.5, k.transpose(1, 2)).add_(mask)
            mixed = torch.bmm(F.softmax(scores, dim=-1), v.reshape(-1, T, size))
            return self.dense(mixed.view(B, heads, T, size).transpose(1, 2).reshape(B, T, hidden))

    def rotate(x, cos, sin):
        a, rest = x[..., :turned], x[..., turned:]
        left, right = a[..., : turned // 2], a[..., turned // 2 :]
        return torch.cat((a * cos + torch.cat((-right, left), dim=-1) * sin, rest), dim=-1)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed_in = nn.Embedding(vocabulary, hidden)
            self.blocks = nn.ModuleList(Block() for _ in range(layers))
            self.norm = nn.LayerNorm(hidden)
            self.embed_out = nn.Linear(hidden, vocabulary, bias=False)
            angles = torch.outer(torch.arange(context).float(), 10000 ** (-torch.arange(0, turned, 2) / turned))
            self.register_buffer("cos", torch.cat((angles, angles), dim=-1).cos())
            self.register_buffer("sin", torch.cat((angles, angles), dim=-1).sin())
            self.register_buffer("mask", torch.full((context, context), float("-inf")).triu(1))

        def forward(self, tokens):
            x = self.embed_in(tokens)
            for block in self.blocks:
                x = block(x, self.cos, self.sin, self.mask)
            return self.embed_out(self.norm(x))

    return Model()


def flops(hidden, layers, context, vocabulary, batch):
    """Counts a step as stepFLOPs of halos does."""
    weights = 12 * hidden * hidden * layers + vocabulary * hidden
    return batch * (6 * weights * context + 6 * context * (context + 1) * hidden * layers)


def measure(a):
    import torch

    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    hidden, layers, heads, context, vocabulary, batch = PRESETS[a.preset]
    context, batch = a.context or context, a.batch or batch
    model = build(torch, hidden, layers, heads, context, vocabulary)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
        lr=1e-3, betas=(0.9, 0.95), eps=1e-8, foreach=False)
    text = torch.randint(0, 256, (1_000_000,))

    def step():
        starts = torch.randint(0, len(text) - context - 1, (batch,))
        rows = torch.stack([text[s : s + context + 1] for s in starts])
        logits = model(rows[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.view(-1, vocabulary), rows[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    def timed():
        start = time.perf_counter()
        step()
        return time.perf_counter() - start

    begin, done = time.perf_counter(), 0
    while done < WARM_UP or time.perf_counter() - begin < SETTLE:
        last, done = timed(), done + 1
    each = [timed() for _ in range(a.steps or max(3, int(10 / last)))]
    seconds = statistics.median(each)
    return {
        "schema": "halos.bench.pytorch/1", "preset": a.preset, "threads": a.threads, "batch": batch, "context": context,
        "version": torch.__version__, "steps": len(each), "tokens_per_second": batch * context / seconds,
        "gflops": flops(hidden, layers, context, vocabulary, batch) / seconds / 1e9,
        "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    a = arguments()
    # Read when torch is loaded. It has two sets of threads, OpenMP's and OpenBLAS's:
    # where the former spin while they wait, they take the processors from the latter.
    os.environ.update(OMP_NUM_THREADS=str(a.threads), OPENBLAS_NUM_THREADS=str(a.threads), OMP_WAIT_POLICY="PASSIVE")
    print(json.dumps(measure(a), indent=2))
