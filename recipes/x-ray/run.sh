#!/usr/bin/env bash
# Chest x-rays, normal or pneumonia, from class folders (or a zip of them, with metadata.csv that names each file's patient)
# to the report: recipes/x-ray/run.sh SOURCE OUT [KIMG]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "${1:?usage: run.sh SOURCE OUT [KIMG]}")
out=${2:?usage: run.sh SOURCE OUT [KIMG]}
kimg=${3:-60}
python=${PYTHON:-python}
mkdir -p "$out"
cd "$out"
[ -f x-ray.zip ] || "$python" -m stylex prepare "$source" --out x-ray.zip --resolution 128 --group-column patient
[ -d classifier ] || "$python" -m stylex classifier --data x-ray.zip --out classifier --epochs 4
"$python" -m stylex train --data x-ray.zip --classifier classifier --out run --preset large-128 --kimg "$kimg"
"$python" -m stylex find run --data x-ray.zip --out explanation --images 200 --overwrite
"$python" -m stylex report explanation --strips
"$python" -m stylex evaluate run --data x-ray.zip --images 100 --measured 150 --out evaluation.json --overwrite
"$python" "$here/../knobs.py" run explanation attributes.png --data x-ray.zip
