"""Take the picture of README from the page that ``make demo`` writes: ``python docs/demo_picture.py``."""

import re
import sys
from pathlib import Path

PAGE, PICTURE = Path("runs/demo/report.html"), Path(__file__).parent / "pictures" / "demo.svg"


def picture(page: str) -> str:
    """Return the chart of errors by true value as a file of its own, dark letters on white."""
    chart = re.search(r"<h3>Size of the errors</h3>.*?(<svg.*?</svg>)", page, flags=re.DOTALL)[1]
    chart = re.sub(r' (data-[a-z]+|tabindex)="[^"]*"', "", chart)
    chart = chart.replace("<svg ", '<svg style="background: white" ', 1)
    return chart.replace("currentColor", "#1b1d22") + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(Path(*(sys.argv[1:] or [PAGE])).read_text(encoding="utf-8")), encoding="utf-8")
