"""automot-report: writes report.html and report.json of a recorded run into its folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from automot_client.reporting import page
from automot_client.reporting.record import RunRecord
from automot_client.reporting.summary import summarize, text_summary
from automot_client.reporting.video import make_video

__all__ = ["main", "text_summary", "write"]


def write(folder: Path) -> dict[str, Any]:
    """Writes both files and returns the numbers. The numbers are written first: a video may fail."""
    record = RunRecord.load(folder)
    summary = summarize(record)
    (folder / "report.json").write_text(json.dumps(summary, indent=2) + "\n")
    (folder / "report.html").write_text(page.render(record, summary, make_video(record)))
    return summary


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="automot-report", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a recorded run")
    options = parser.parse_args(arguments)
    try:
        summary = write(options.folder)
    except FileNotFoundError as error:
        print(f"automot-report: {error}", file=sys.stderr)
        return 1
    print(text_summary(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
