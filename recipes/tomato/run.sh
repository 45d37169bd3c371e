#!/usr/bin/env bash
# Ten classes of tomato leaves, from class folders (or a zip of them) to the reports: recipes/tomato/run.sh SOURCE OUT [KIMG]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "${1:?usage: run.sh SOURCE OUT [KIMG]}")
out=${2:?usage: run.sh SOURCE OUT [KIMG]}
kimg=${3:-45}
python=${PYTHON:-python}
mkdir -p "$out"
cd "$out"
[ -f tomato.zip ] || "$python" -m stylex prepare "$source" --out tomato.zip --resolution 64
[ -d classifier ] || "$python" -m stylex classifier --data tomato.zip --out classifier --mirror
"$python" -m stylex train --data tomato.zip --classifier classifier --out run --preset medium-64 --kimg "$kimg" --mirror \
    --model.class-encoder after --schedule.reconstruct-first 0.65 --schedule.encoder-after 0.33333333 \
    --loss.classifier 1 --schedule.classifier-from 0.66666667 \
    --loss.swap 3 --schedule.swap-from 0.66666667 --loss.swap-features 3 --schedule.map-dropout 0.3
"$python" -m stylex classes run --data tomato.zip --out classes --images 150 --overwrite
"$python" -m stylex find run --data tomato.zip --target late_blight --source early_blight --out pair --images 200 --overwrite
"$python" -m stylex report pair --strips
"$python" "$here/../../benchmarks/photograph.py" run tomato.zip --classifier classifier --domain tomato-leaves \
    --targets healthy late_blight mosaic_virus --images 200 --json photograph.json --sheet sheet.png
