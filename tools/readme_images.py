"""Make the images of the README: the top of a report, and the diagram of LeNet-5. Needs Chromium.

python tools/readme_images.py [--data digits] [--budget 10min]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH, HEIGHT = 880, 1040
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def opsin(*arguments: str, folder: Path) -> None:
    """Run the command line in `folder`."""
    subprocess.run([sys.executable, "-m", "opsin", *arguments], cwd=folder, check=True)


def screenshot(page: Path, image: Path) -> None:
    """Render the top of an HTML page. `SystemExit` if no browser is installed."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"install one of {', '.join(BROWSERS)} to render the report")
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1",
         f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={image}", page.as_uri()],
        check=True, capture_output=True,
    )  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", default="digits", help="what is trained on for the report")
    options.add_argument("--budget", default="10min")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        opsin("train", chosen.data, "--budget", chosen.budget, "--run", "run", folder=folder)
        screenshot(folder / "run" / "report.html", IMAGES / "report.png")
        opsin("describe", "lenet5", "--diagram", str(IMAGES / "lenet5.svg"), folder=folder)


if __name__ == "__main__":
    main()
