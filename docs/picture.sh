#!/usr/bin/env bash
# Makes docs/report.png from reports/index.html. Run it in the repository's root after dvc repro, with .venv activated.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

shot() { # NAME CSS: a picture of the page, with a style of our own in place of its security policy
    { sed 's,<meta http-equiv="Content-Security-Policy"[^>]*>,,' reports/index.html; echo "<style>$2</style>"; } >"$work/$1.html"
    "${CHROMIUM:-chromium}" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,1090 \
        --screenshot="$work/$1.png" "file://$work/$1.html" 2>/dev/null
}

shot left ""
shot right "header, nav, section:not(#confusion):not(#tiles) { display: none !important }"
python - "$work" <<'PYTHON'
import sys
from PIL import Image

left, right = (Image.open(f"{sys.argv[1]}/{side}.png").convert("RGB") for side in ("left", "right"))
both = Image.new("RGB", (left.width + right.width, left.height))
both.paste(left, (0, 0))
both.paste(right, (left.width, 0))
both = both.resize((1400, 1400 * both.height // both.width), Image.Resampling.LANCZOS)
both.quantize(112, dither=Image.Dither.NONE).save("docs/report.png", optimize=True)
PYTHON
