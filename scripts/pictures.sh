#!/usr/bin/env bash
# Makes the pictures that README and docs show, images/report.png and images/report-dark.png, from the latest run.
# Needs khd on the PATH and chromium (scripts/setup.sh --dev); optionally the run to show and the picture's height.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run=${1:-latest}
height=${2:-3350} # of the default lab's 30 partitions, down to the end of the lanes
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p images
khd report "$run" --format html >"$folder/report.html" || [ $? -eq 1 ] # a failed verdict makes a picture, too

picture() { # FILE PREFERRED-COLOUR-SCHEME (0 dark, 1 light)
    chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --user-data-dir="$folder/profile" --hide-scrollbars \
        --blink-settings=preferredColorScheme="$2" --window-size=1280,"$height" --screenshot="$PWD/$1" \
        "file://$folder/report.html" 2>"$folder/chromium.log" || { cat "$folder/chromium.log" >&2; exit 1; }
    printf '%s\n' "$1"
}

picture images/report.png 1
picture images/report-dark.png 0
