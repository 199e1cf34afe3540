"""Run all benchmarks, each part in its own process, and write a table and a JSON file."""

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
from typing import Any

ROUNDS, EPOCHS, HANDOUT_EPOCHS = 3, 100, 4
TARGET = Path(__file__).parents[1] / "docs" / "bench.json"
Row = dict[str, Any]


def main() -> None:
    """Run the part that is named, or all of them."""
    if len(sys.argv) > 1:
        module, function, *texts = sys.argv[1:]
        arguments = [int(text) if text.isdigit() else text for text in texts]
        result = getattr(import_module(f"benchmarks.{module}"), function)(*arguments)
        print("\n" + json.dumps(result))
        return
    from xraykit.data.tasks import find_data_folder

    os.environ["XRAYKIT_CHALLENGE_DIR"] = str(find_data_folder())
    start, rows = time.perf_counter(), []
    print("| what | handout | kit | ratio |\n|---|---|---|---|")
    for benchmark in (trainings, batch_sizes, batches, growth):
        for row in benchmark():
            rows.append(row)
            print("| {what} | {handout} | {kit} | {ratio} |".format(**row), flush=True)
    minutes = (time.perf_counter() - start) / 60
    TARGET.write_text(json.dumps({"minutes": round(minutes, 1), "rows": rows}, indent=1) + "\n")
    print(f"\n{minutes:.0f} minutes. The times of each round are in {TARGET}")


def run_part(module: str, function: str, *arguments: object, cache: str | None = None) -> Row:
    """Return the result of a part in a new process, with an empty cache unless one is named."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", module, function, *map(str, arguments)],
            env=os.environ | {"XRAYKIT_CACHE_DIR": cache or empty, "XRAYKIT_CACHE_GB": "20"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        output = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        sys.exit(f"{module}.{function} ended with {done.returncode}:\n{output}")
    return json.loads(done.stdout.splitlines()[-1])


def estimate_total(handout: Row) -> float:
    """Return the seconds of 100 of the handout's epochs: the first one and 99 times the mean.

    TensorFlow waits for seconds at the end of some epochs (docs/results/speed.md).
    """
    first, *rest = handout["epochs"]
    return first + (EPOCHS - 1) * mean(rest)


def trainings() -> Iterator[Row]:
    """Measure (a), (b) and (e): Task 2's fine-tuned VGG16, 100 epochs, 8 views."""
    from xraykit.training.precision import has_bfloat16

    precisions = ["float32", "mixed_bfloat16"] if has_bfloat16() else ["float32"]
    rounds = []
    for _ in range(ROUNDS):
        results = {"handout": run_part("handout", "train", "finetuned", HANDOUT_EPOCHS)}
        for precision in precisions:
            results[precision] = run_part("kit", "train", "finetuned", precision)
        rounds.append(results)
    name = "fine-tuned VGG16 (random weights), 100 epochs (scaled from 4, and 2 and 8)"
    handout = [estimate_total(results["handout"]) for results in rounds]
    for precision in precisions:
        for part, state in (("a", "cold"), ("b", "warm")):
            kit = [
                results[precision][state] + (EPOCHS - 2) * results[precision]["epoch"]
                for results in rounds
            ]
            yield compare_times(f"({part}) {name}, cache {state}, {precision}", handout, kit)
    for precision in precisions:
        handout, kit = (
            [results[name]["memory"] for results in rounds] for name in ("handout", precision)
        )
        yield {
            "what": f"(e) peak anonymous memory of (a), {precision}",
            "handout": f"{median(handout):.0f} MB",
            "kit": f"{median(kit):.0f} MB",
            "ratio": f"{median(handout) / median(kit):.2f}",
            "rounds": [handout, kit],
        }


def batch_sizes() -> Iterator[Row]:
    """Measure (c): all of report B's batch sizes, against one of them with the handout."""
    handout = [
        estimate_total(run_part("handout", "train", "wide", HANDOUT_EPOCHS)) for _ in range(ROUNDS)
    ]
    with tempfile.TemporaryDirectory() as cache:
        results = [run_part("kit", "batch_sizes", cache=cache) for _ in range(ROUNDS)]
    # Only the first process computes the cached features.
    kit = [results[0]["cache"] + result["total"] for result in results]
    name = "(c) wide VGG16 (random weights), 100 epochs (scaled from 4), 11 sizes against 1"
    yield compare_times(name, handout, kit)


def batches() -> Iterator[Row]:
    """Measure (d): augmented batches."""
    rates = run_part("kit", "batches")
    for source in ("arrays", "files"):
        handout, kit = rates[f"handout, {source}"], rates[f"kit, {source}"]
        yield {
            "what": f"(d) {source} to augmented batches, the first epoch, the handout's limits",
            "handout": f"{median(handout):.0f} images/s",
            "kit": f"{median(kit):.0f} images/s",
            "ratio": f"{median(k / h for h, k in zip(handout, kit, strict=True)):.1f}",
            "rounds": [handout, kit],
        }


def growth() -> Iterator[Row]:
    """Measure (f): time and memory for ten times as many images."""
    sizes = (300, 3_000, 30_000)
    with tempfile.TemporaryDirectory() as folder:
        rounds = [[run_part("kit", "growth", folder, n) for n in sizes] for _ in range(ROUNDS)]
    for small, large in ((0, 1), (1, 2)):
        times, memory = (
            [[results[i][quantity] for results in rounds] for i in (small, large)]
            for quantity in ("seconds", "memory")
        )
        ratio = median(b / a / 10 for a, b in zip(*times, strict=True))
        memory_ratio = median(b / a for a, b in zip(*memory, strict=True))
        yield {
            "what": f"(f) {sizes[large]:,} images from files, MobileNet 0.25 (random weights), "
            f"3 epochs, against {sizes[small]:,}",
            "handout": "–",
            "kit": f"{median(times[1]):.1f} s ({median(times[0]):.1f}), "
            f"{median(memory[1]):.0f} MB ({median(memory[0]):.0f})",
            "ratio": f"time per image {ratio:.2f}, memory {memory_ratio:.2f}",
            "rounds": [times, memory],
        }


def compare_times(name: str, handout: list[float], kit: list[float]) -> Row:
    """Return a row with the median times, and the median of the rounds' ratios."""
    ratio = median(h / k for h, k in zip(handout, kit, strict=True))
    return {
        "what": name,
        "handout": f"{median(handout):,.0f} s",
        "kit": f"{median(kit):,.0f} s",
        "ratio": f"{ratio:.1f}",
        "rounds": [handout, kit],
    }


if __name__ == "__main__":
    main()
