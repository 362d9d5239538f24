"""Writes a source of the store with one of its rules taken out: mutate.py NAME SOURCE OUTPUT.

A rule that is not found is left as it is: then the mutant's test fails, saying so.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Name: text of the product, and what stands there instead.
MUTANTS = {
    "free_without_the_pin_scan": (
        "    if (writers_.pinned_in_scan[cell] == writers_.scan) return false;\n",
        "",
    ),
    "leave_the_view_before_pinning": (
        "  entry.pin->cell.store(result.pin == nullptr ? 0 : result.cell + 1, std::memory_order_release);\n",
        "  entry.view->balance.fetch_sub(1, std::memory_order_release);\n"
        "  entry.pin->cell.store(result.pin == nullptr ? 0 : result.cell + 1, std::memory_order_release);\n"
        "  return result;\n",
    ),
    "recycle_a_view_that_is_entered": (
        "    if (view.balance.load(std::memory_order_acquire) != 0) return false;\n",
        "",
    ),
    "scan_pins_before_the_views_are_left": (
        "  ReclaimViews();\n  if (writers_.unlisted.empty()) return;\n",
        "",
        "  std::erase_if(writers_.unlisted, [this, unreachable]",
        "  ReclaimViews();\n  std::erase_if(writers_.unlisted, [this, unreachable]",
    ),
    "forget_readers_when_the_view_changes": (
        "    views_[index].balance.fetch_add(static_cast<int64_t>(old & kCountMask),\n"
        "                                    std::memory_order_acq_rel);\n",
        "",
    ),
    "confirm_without_the_word": (
        "  const bool shown = static_cast<uint32_t>(word >> kCountBits) == announced.view;\n",
        "  const bool shown = word != 0;\n",
    ),
    "confirm_without_the_front": (
        ".front.load(std::memory_order_acquire) == announced.front;\n",
        ".front.load(std::memory_order_acquire) == announced.front || true;\n",
    ),
    "confirm_without_the_generation": (
        "  const bool its_own = announced.generation == session.generation;\n",
        "  const bool its_own = true;\n",
    ),
    "confirm_without_the_drain": (
        "  if (shown && same && its_own && !draining_.load() && ",
        "  if (shown && same && its_own && ",
    ),
    "no_second_look_at_the_drain": (
        "  if (draining_.load()) {\n    Unpin(pin);\n",
        "  if (false) {\n    Unpin(pin);\n",
    ),
    "no_check_of_the_generation": (
        "  if (entry.view->session != session) {\n",
        "  if (false) {\n",
    ),
    "accept_older_versions": (
        "  if (session.last.valid() && PublicationOrder(info.id, session.last) <= 0) {\n",
        "  if (false) {\n",
        "  if (session.last_capture_us && info.capture_time_us <= *session.last_capture_us) {\n",
        "  if (false) {\n",
    ),
    "publish_before_the_payload_is_there": (
        "  payloads_[*cell].emplace(std::move(payload));\n"
        "  const Rejection rejection = table_.Commit(session, *cell, info);\n",
        "  const Rejection rejection = table_.Commit(session, *cell, info);\n"
        "  payloads_[*cell].emplace(std::move(payload));\n",
    ),
}


def mutated(name: str, text: str) -> str | None:
    """The text without the rule, or None where the rule is not in it exactly once."""
    parts = MUTANTS[name]
    for old, new in zip(parts[::2], parts[1::2]):
        if text.count(old) != 1:
            return None
        text = text.replace(old, new)
    return text


def main() -> None:
    """See the file's comment."""
    name, source, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    text = source.read_text()
    result = mutated(name, text)
    if result is None:
        print(f"{name}: the rule is not in {source} any more; its test will fail", file=sys.stderr)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text if result is None else result)


if __name__ == "__main__":
    main()
