"""The planted-fault drill: one fault at a time is put into the source, and the tests that should notice are run.

    python tests/drill.py          # a few minutes; writes its table into docs/house.md
    python tests/drill.py top-k    # only the faults whose words hold this one; writes nothing

Works on a copy of the checkout, so that an interrupted drill leaves nothing behind.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Fault:
    said: str
    file: str
    before: str
    after: str
    tests: str  # what is run: files, and -k expressions


FAULTS = (
    Fault("trending counts events after the request's moment", "models/counts.py", "upto = np.searchsorted(self.time, at, side=\"right\")", "upto = len(self.time)", "tests/models/test_counts.py"),
    Fault("ease lets an item predict itself", "models/linear.py", "0.0 if i == j else value * scale[j]", "value * scale[j]", "tests/models/test_linear.py"),
    Fault("ials does not let the ridge grow with the events", "models/factors.py", "events**c.ridge_power", "events**0.0", "tests/models/test_factors.py"),
    Fault("gf-cf swaps the powers of its low-pass filter", "models/spectral.py", "self.into = (vectors * degree_power(degree, -0.5)[:, None] * self.config.low_pass).astype(np.float32)\n        self.back", "self.into = (vectors * degree_power(degree, 0.5)[:, None] * self.config.low_pass).astype(np.float32)\n        self.back", "tests/models/test_spectral.py"),
    Fault("bspm sharpens in the wrong direction", "models/spectral.py", "out = columns - (t / j) * spread_out", "out = columns + (t / j) * spread_out", "tests/models/test_spectral.py"),
    Fault("lightgcn sums its layers instead of averaging", "learn/propagate.py", "return total / (layers + 1)", "return total", "tests/learn/test_propagate.py tests/models/test_graphs.py"),
    Fault("sasrec sees the future", "learn/layers.py", "is_causal=self.causal and mask is None", "is_causal=False", "tests/learn/test_layers.py tests/models/test_sequences.py"),
    Fault("markov counts transitions backwards", "models/transitions.py", "sp.coo_array((weights, (a[kept], b[kept]))", "sp.coo_array((weights, (b[kept], a[kept]))", "tests/models/test_transitions.py"),
    Fault("bm25 forgets that rare words say more", "models/lexical.py", "data = (idf[counts.indices] * tf)", "data = (tf)", "tests/models/test_lexical.py"),
    Fault("item-knn ignores how popular a neighbour is", "models/neighbours.py", "return c / (np.sqrt(a * b) + s.shrink)", "return c / (np.sqrt(a) + s.shrink)", "tests/models/test_neighbours.py"),
    Fault("top-k cuts before exclusions are applied", "ops/topk.py", "    if allowed(item, row, offsets, listed, masks, of, applied):\n        size =", "    if not allowed(item, row, offsets, listed, masks, of, applied):\n        item = -1\n    if True:\n        size =", "tests/ops/test_topk.py tests/test_contract.py -k 'topk or popular'"),
    Fault("a rough score is taken at its word", "ops/topk.py", "off = (ERROR * rough.items[part].max()) * rough.users[lo:hi] + added", "off = 0 * rough.users[lo:hi] + added", "tests/ops/test_topk.py"),
    Fault("a worker without a batch counts in the mean of the gradients", "learn/together.py", "self.buffer[: sum(sizes)] /= count", "self.buffer[: sum(sizes)] /= self.size", "tests/learn/test_together.py"),
    Fault("ties go to the lower index", "types.py", "places[np.argsort(self.keys, kind=\"stable\")] = ", "places[np.arange(self.n_items)] = ", "tests/ops/test_topk.py tests/test_metrics.py -k 'constant or chance or key or hash'"),
    Fault("the last-out split judges an item it fitted", "data/split.py", "def _last_out(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:\n", "def _last_out(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:\n    return np.zeros(len(dataset.events), np.int8), []\n", "tests/data/test_split.py"),
    Fault("capped recall divides by the larger number", "metrics.py", "return found.hits.sum(axis=1) / np.minimum(found.sizes, k)", "return found.hits.sum(axis=1) / np.maximum(found.sizes, k)", "tests/test_metrics.py -k 'recall or loop or agree'"),
    Fault("a pointer that tries a place out tells the chance of the best instead", "ops/pointing.py", "at, chance[row, place] = j, np.exp(logits[j] - most) / whole", "at, chance[row, place] = j, 1.0 / whole", "tests/learn/test_page_rails.py tests/learn/test_page_policy.py"),
    Fault("a page in NumPy is judged with padding in its mean", "learn/page_rewards.py", "weight = discount(page.shape[1])[:, None] * present[..., None]\n        mean", "weight = discount(page.shape[1])[:, None] * np.ones_like(present)[..., None]\n        mean", "tests/learn/test_page_policy.py"),
    Fault("a GPU that is not there is taken for one", "learn/device.py", "if (asked.index or 0) >= there:", "if (asked.index or 0) > there:", "tests/test_device.py"),
)  # fmt: skip


def main(only: str = "") -> int:
    lines, missed = ["| fault | caught by |", "|---|---|"], 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "house"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "results", "__pycache__"))
        for fault in (f for f in FAULTS if only in f.said):
            path = copy / "src" / "interplay" / fault.file
            sound = path.read_text()
            if sound.count(fault.before) != 1:
                print(f"cannot plant {fault.said!r}: its place in {fault.file} has changed; mend this drill")
                return 2
            path.write_text(sound.replace(fault.before, fault.after, 1))
            command = f"{sys.executable} -m pytest -q -x -p no:cacheprovider {fault.tests}"
            environment = {
                **os.environ,
                "PYTHONPATH": str(copy / "src"),
                "NUMBA_CACHE_DIR": str(Path(folder) / "numba"),
            }
            said = subprocess.run(
                command, shell=True, cwd=copy, capture_output=True, text=True, check=False, env=environment
            )
            path.write_text(sound)
            found = re.findall(r"^FAILED (\S+?)(?: - .*)?$", said.stdout, re.M)
            caught = (
                f"`{found[0].split('::', 1)[0]}`: {found[0].rsplit('::', 1)[-1].replace('_', ' ')}"
                if found
                else "**nothing**"
            )
            missed += not found
            print(f"{fault.said}: {caught}", flush=True)
            lines.append(f"| {fault.said} | {caught} |")
    if only:
        return 1 if missed else 0
    page = ROOT / "docs" / "house.md"
    text = re.sub(
        r"(<!-- drill -->\n).*?(<!-- end drill -->)",
        lambda m: m[1] + "\n".join(lines) + "\n" + m[2],
        page.read_text(),
        flags=re.S,
    )
    page.write_text(text)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
