#!/usr/bin/env bash
# Perceived age, from class folders (or a zip of them) of aligned faces to figures: recipes/faces/run.sh SOURCE OUT [KIMG [FROM]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "${1:?usage: run.sh SOURCE OUT [KIMG [FROM]]}")
out=${2:?usage: run.sh SOURCE OUT [KIMG [FROM]]}
kimg=${3:-60}
from=${4:-0.66666667} # share of the training after which pictures are held to the classifier's answers
python=${PYTHON:-python}
mkdir -p "$out"
cd "$out"
[ -f faces.zip ] || "$python" -m stylex prepare "$source" --out faces.zip --resolution 64
[ -d classifier ] || "$python" -m stylex classifier --data faces.zip --out classifier --mirror
"$python" -m stylex train --data faces.zip --classifier classifier --out run --preset medium-64 --kimg "$kimg" --mirror \
    --model.class-encoder after --schedule.reconstruct-first 0.65 --schedule.encoder-after 0.33333333 \
    --loss.classifier 1 --schedule.classifier-from "$from" \
    --loss.swap 3 --schedule.swap-from "$from" --loss.swap-features 3 --schedule.map-dropout 0.3
"$python" -m stylex find run --data faces.zip --out explanation --images 200 --overwrite
"$python" -m stylex evaluate run --data faces.zip --images 100 --measured 200 --out evaluation.json --overwrite
"$python" "$here/../knobs.py" run explanation samples.png
