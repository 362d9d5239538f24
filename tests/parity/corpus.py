"""Random and multilingual strings to tokenize: every script, odd white space, marks out of order,
contractions in any case, almost-special tokens. Seeded."""

# Text in other scripts looks ambiguous to the linter.
# ruff: noqa: RUF001
from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator

SENTENCES = (
    "The pedestrian isn't crossing; we'll keep 12.5 m/s and they've stopped.",
    "Le véhicule d'en face s'arrête à l'intersection, n'est-ce pas ?",
    "Das Fahrzeug überholt rechts – Abstand 3,5 m, Geschwindigkeit 50 km/h.",
    "前方路口有行人，请减速停车。",
    "前の車が急ブレーキをかけました。止まってください！",
    "앞차가 급정거했습니다. 속도를 줄이세요.",
    "Впереди идущий автомобиль резко затормозил.",
    "السيارة الأمامية توقفت فجأة، خفّف السرعة.",
    "हमारे आगे की गाड़ी रुक गई है।",
    "รถคันข้างหน้าหยุดกะทันหัน",
    "Το προπορευόμενο όχημα σταμάτησε απότομα.",
    "הרכב שלפנינו עצר פתאום.",
    "Xe phía trước dừng đột ngột, hãy giảm tốc độ.",
    "முன்னால் செல்லும் வாகனம் திடீரென நின்றது.",
    "def brake(v: float) -> float:\n\treturn max(0.0, v - 3.0)  # m/s²\n",
    '{"speed_mps": 7.31, "target": [12.345678, -3.217654]}',
    "🚗💨 → 🛑 👩‍👩‍👧‍👦 🇫🇷 ✋🏽",
    "<|im_start|>user\nHello<|im_end|>\n<|vision_start|><|image_pad|><|vision_end|>",
    "Your current and next target point is (12.345678, -3.217654), (48.112233, 5.554433).",
)

# Inclusive ranges of code points that are drawn more often than the whole of Unicode.
RANGES = (
    (0x20, 0x7E), (0x20, 0x7E), (0x00, 0x1F), (0x7F, 0xFF), (0x100, 0x24F), (0x300, 0x36F),
    (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
    (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x2070, 0x218F),
    (0x2460, 0x24FF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFB00, 0xFB4F),
    (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF),
)  # fmt: skip
WHITE = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e"
    "\u2000\u2007\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
)
FRAGMENTS = (
    "'s", "'S", "'t", "'RE", "'ve", "'m", "'LL", "'d", "'\u017f", "\u2019s", "''", "\r\n", "\n\n",
    "  ", " \n ", "\t\t", "123", "\u0967\u0968", "\u2167", "\u00bd", "a\u0301", "\u1e9b\u0323",
    "\u0344", "\u212b", "\u2126", "\uac00\u11a8", "\u0f73", "<|im_end|>", "<|im_end", "|>", "<think>",
    "</think>", "<tool_call>", "<|endoftext|>", "<|fim_prefix|>", "\u200d", "\ufe0f", "K", "\u212a",
)  # fmt: skip


def _character(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.08:
        return rng.choice(WHITE)
    if kind < 0.88:
        low, high = rng.choice(RANGES)
        return chr(rng.randint(low, high))
    while True:
        code = rng.randrange(0x110000)
        if not 0xD800 <= code <= 0xDFFF:
            return chr(code)


def _mutated(rng: random.Random, text: str) -> str:
    characters = list(text)
    for _ in range(rng.randint(0, 6)):
        at = rng.randrange(len(characters) + 1)
        change = rng.random()
        if change < 0.5 or at == len(characters):
            characters.insert(at, rng.choice((*FRAGMENTS, _character(rng))))
        elif change < 0.8:
            del characters[at]
        else:
            characters[at] = characters[at].swapcase()
    begin = rng.randrange(max(1, len(characters)))
    return "".join(characters[begin if rng.random() < 0.5 else 0 :])


def _assembled(rng: random.Random) -> str:
    parts = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.random()
        if kind < 0.3:
            parts.append(rng.choice(FRAGMENTS))
        elif kind < 0.45:
            parts.append(rng.choice(WHITE) * rng.randint(1, 4))
        elif kind < 0.6:
            low, high = rng.choice(RANGES)
            parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8))))
        else:
            parts.append("".join(_character(rng) for _ in range(rng.randint(1, 6))))
    return "".join(parts)


def strings(count: int, seed: int) -> Iterator[str]:
    """`count` strings; the sentences themselves come first."""
    rng = random.Random(seed)
    yield from SENTENCES[:count]
    for _ in range(max(0, count - len(SENTENCES))):
        kind = rng.random()
        text = _assembled(rng) if kind < 0.6 else _mutated(rng, rng.choice(SENTENCES))
        if kind > 0.95:
            text = unicodedata.normalize("NFD", text)
        yield text


def all_characters() -> Iterator[str]:
    """Every code point, before marks that it may let pass and beside other kinds of characters."""
    codes = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    for begin in range(0, len(codes), 32):
        yield "".join(
            f"a{chr(code)}\u0316\u0301 '{chr(code)}" for code in codes[begin : begin + 32]
        )


def id_lists(count: int, size: int, seed: int) -> Iterator[list[int]]:
    """Ids below `size` that no text need give: most cut characters in the middle."""
    rng = random.Random(seed)
    for _ in range(count):
        yield [
            rng.randrange(256) if rng.random() < 0.6 else rng.randrange(size)
            for _ in range(rng.randint(1, 24))
        ]
