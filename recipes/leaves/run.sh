#!/usr/bin/env bash
# Sick or healthy pepper leaves, from class folders (or a zip of them) to the report: recipes/leaves/run.sh SOURCE OUT [KIMG]
set -euo pipefail
source=$(realpath "${1:?usage: run.sh SOURCE OUT [KIMG]}")
out=${2:?usage: run.sh SOURCE OUT [KIMG]}
kimg=${3:-50}
python=${PYTHON:-python}
mkdir -p "$out"
cd "$out"
[ -f leaves.zip ] || "$python" -m stylex prepare "$source" --out leaves.zip --resolution 64
[ -d classifier ] || "$python" -m stylex classifier --data leaves.zip --out classifier --mirror
"$python" -m stylex train --data leaves.zip --classifier classifier --out run --preset medium-64 --kimg "$kimg" --mirror
"$python" -m stylex find run --data leaves.zip --out explanation --images 100 --attributes 10 --overwrite
"$python" -m stylex report explanation --strips
"$python" -m stylex evaluate run --data leaves.zip --images 60 --measured 120 --out evaluation.json --overwrite
