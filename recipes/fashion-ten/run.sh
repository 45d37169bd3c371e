#!/usr/bin/env bash
# All ten classes, one against the rest and shirt against pullover, in one command: recipes/fashion-ten/run.sh OUT [KIMG]
# The raw files come with Debian's package dataset-fashion-mnist (or set IDX to the folder that holds them).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: run.sh OUT [KIMG]}
kimg=${2:-160}
python=${PYTHON:-python}
mkdir -p "$out"
cd "$out"
classes=(t-shirt trouser pullover dress coat sandal shirt sneaker bag "ankle boot")
[ -d photos ] || "$python" "$here/../fashion-mnist/photos.py" photos --idx "${IDX:-/usr/share/datasets/fashion-mnist}" --classes "${classes[@]}"
[ -f ten.zip ] || "$python" -m stylex prepare photos --out ten.zip --resolution 32
[ -d classifier ] || "$python" -m stylex classifier --data ten.zip --out classifier
"$python" -m stylex train --data ten.zip --classifier classifier --out run --preset small-32 --kimg "$kimg" \
    --model.class-encoder always --loss.classifier 1
for class in "${classes[@]}"; do
    "$python" -m stylex find run --data ten.zip --out "one-vs-rest/${class// /-}" --target "$class" --images 300 \
        --attributes 10 --selection together --overwrite
done
"$python" -m stylex find run --data ten.zip --out pair --source shirt --target pullover --images 200 --overwrite
"$python" -m stylex find run --data ten.zip --out pair-back --source pullover --target shirt --images 200 --overwrite
for explanation in one-vs-rest/* pair pair-back; do "$python" -m stylex report "$explanation" --strips; done
"$python" "$here/../knobs.py" run pair pair.png --data ten.zip --of shirt pullover
"$python" -m stylex evaluate run --data ten.zip --images 300 --measured 400 --selection together \
    --out evaluation.json --overwrite
for pair in pair pair-back; do
    "$python" -m stylex evaluate run --data ten.zip --explanation "$pair" --measured 400 --without realism,own,attack --overwrite
done
