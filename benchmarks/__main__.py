"""Measure all of it, each part in a process of its own, and write a table and a JSON file."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from statistics import mean, median

ROUNDS, EPOCHS, HANDOUT_EPOCHS = 3, 100, 4
TARGET = Path(__file__).parents[1] / "docs" / "bench.json"
Row = dict[str, object]


def main() -> None:
    """Run one part if it is named, else all of them in turn."""
    if len(sys.argv) > 1:
        module, function, *arguments = sys.argv[1:]
        given = [int(each) if each.isdigit() else each for each in arguments]
        result = getattr(import_module(f"benchmarks.{module}"), function)(*given)
        print("\n" + json.dumps(result))
        return
    from xraykit.data.tasks import find_data_folder

    os.environ["XRAYKIT_CHALLENGE_DIR"] = str(find_data_folder())
    start, rows = time.perf_counter(), []
    print("| what | handout | kit | ratio |\n|---|---|---|---|")
    for measure in (trainings, batch_sizes, batches, growth):
        for row in measure():
            rows.append(row)
            print("| {what} | {handout} | {kit} | {ratio} |".format(**row), flush=True)
    minutes = (time.perf_counter() - start) / 60
    TARGET.write_text(json.dumps({"minutes": round(minutes, 1), "rows": rows}, indent=1) + "\n")
    print(f"\n{minutes:.0f} minutes. Every figure, of each round, is in {TARGET}")


def child(module: str, function: str, *arguments: object, cache: str | None = None) -> Row:
    """Return what a part gives in a new process, on an empty cache unless one is named."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", module, function, *map(str, arguments)],
            env=os.environ | {"XRAYKIT_CACHE_DIR": cache or empty, "XRAYKIT_CACHE_GB": "20"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        sys.exit(f"{module}.{function} ended with {done.returncode}:\n{said}")
    return json.loads(done.stdout.splitlines()[-1])


def has_bfloat16() -> bool:
    """Return whether Linux lists the processor's bfloat16 instructions."""
    listed = Path("/proc/cpuinfo")
    return listed.exists() and any(
        flag in listed.read_text().split() for flag in ("amx_bf16", "avx512_bf16")
    )


def whole(handout: Row) -> float:
    """Return the seconds of 100 of the handout's epochs: the first, and the rest like the mean.

    At the end of many an epoch, and not of others, TensorFlow waits for seconds (README).
    """
    first, *rest = handout["epochs"]
    return first + (EPOCHS - 1) * mean(rest)


def trainings() -> Iterator[Row]:
    """Measure (a), (b) and (e): Task 2's fine-tuned VGG16, 100 epochs, 8 views."""
    precisions = ["float32", "mixed_bfloat16"] if has_bfloat16() else ["float32"]
    rounds = []
    for _ in range(ROUNDS):
        one = {"handout": child("handout", "train", "finetuned", HANDOUT_EPOCHS)}
        rounds.append(one | {each: child("kit", "train", "finetuned", each) for each in precisions})
    name = "fine-tuned VGG16 (random weights), 100 epochs (scaled from 4, and 2 and 8)"
    peer = [whole(each["handout"]) for each in rounds]
    for precision in precisions:
        for part, state in (("a", "cold"), ("b", "warm")):
            own = [
                each[precision][state] + (EPOCHS - 2) * each[precision]["epoch"] for each in rounds
            ]
            yield seconds(f"({part}) {name}, bank {state}, {precision}", peer, own)
    for precision in precisions:
        peer, own = ([each[who]["memory"] for each in rounds] for who in ("handout", precision))
        yield {
            "what": f"(e) peak anonymous memory of (a), {precision}",
            "handout": f"{median(peer):.0f} MB",
            "kit": f"{median(own):.0f} MB",
            "ratio": f"{median(peer) / median(own):.2f}",
            "rounds": [peer, own],
        }


def batch_sizes() -> Iterator[Row]:
    """Measure (c): report B's table against one of its points."""
    peer = [whole(child("handout", "train", "wide", HANDOUT_EPOCHS)) for _ in range(ROUNDS)]
    with tempfile.TemporaryDirectory() as cache:
        measured = [child("kit", "batch_sizes", cache=cache) for _ in range(ROUNDS)]
    own = [measured[0]["bank"] + each["total"] for each in measured]  # built in the first alone
    what = "(c) wide VGG16 (random weights), 100 epochs (scaled from 4), 11 sizes beside 1"
    yield seconds(what, peer, own)


def batches() -> Iterator[Row]:
    """Measure (d): augmented batches."""
    rates = child("kit", "batches")
    for source in ("arrays", "files"):
        peer, own = rates[f"handout, {source}"], rates[f"kit, {source}"]
        yield {
            "what": f"(d) {source} to augmented batches, the first epoch, the handout's limits",
            "handout": f"{median(peer):.0f} images/s",
            "kit": f"{median(own):.0f} images/s",
            "ratio": f"{median(k / h for h, k in zip(peer, own, strict=True)):.1f}",
            "rounds": [peer, own],
        }


def growth() -> Iterator[Row]:
    """Measure (f): ten times the images, against ten times the time."""
    sizes = (300, 3_000, 30_000)
    with tempfile.TemporaryDirectory() as folder:
        rounds = [[child("kit", "growth", folder, n) for n in sizes] for _ in range(ROUNDS)]
    for small, large in ((0, 1), (1, 2)):
        times, memory = (
            [[each[i][what] for each in rounds] for i in (small, large)]
            for what in ("seconds", "memory")
        )
        ratio = median(b / a / 10 for a, b in zip(*times, strict=True))
        grown = median(b / a for a, b in zip(*memory, strict=True))
        yield {
            "what": f"(f) {sizes[large]:,} images from files, MobileNet 0.25 (random weights), "
            f"3 epochs, beside {sizes[small]:,}",
            "handout": "–",
            "kit": f"{median(times[1]):.1f} s ({median(times[0]):.1f}), "
            f"{median(memory[1]):.0f} MB ({median(memory[0]):.0f})",
            "ratio": f"time per image {ratio:.2f}, memory {grown:.2f}",
            "rounds": [times, memory],
        }


def seconds(what: str, peer: list[float], own: list[float]) -> Row:
    """Return a row of two times, medians, with the median of the ratios of each round."""
    ratio = median(p / o for p, o in zip(peer, own, strict=True))
    return {
        "what": what,
        "handout": f"{median(peer):,.0f} s",
        "kit": f"{median(own):,.0f} s",
        "ratio": f"{ratio:.1f}",
        "rounds": [peer, own],
    }


if __name__ == "__main__":
    main()
