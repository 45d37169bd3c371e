// All classes: filtered by the words of a name, in any order; the address keeps what was typed.
"use strict";
const cards = [...document.querySelectorAll(".classes .card")];
const list = document.querySelector(".classes");
const [name, nothing, order, count, none] = ["name", "nothing", "order", "count", "none"].map((id) => document.getElementById(id));

function show() {
  const words = name.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const fits = words.every((word) => card.dataset.name.includes(word)) && (!nothing.checked || card.dataset.found === "0");
    card.hidden = !fits;
    shown += fits;
  }
  count.textContent = shown === cards.length ? `${shown} classes` : `${shown} of ${cards.length} classes`;
  none.hidden = shown > 0;
}

function sort() {
  const key = order.value;
  const by = key === "given" ? () => 0 : (a, b) => b.dataset[key] - a.dataset[key];
  list.append(...[...cards].sort(by));
}

name.addEventListener("input", () => {
  show();
  history.replaceState(null, "", name.value ? `#find=${encodeURIComponent(name.value)}` : "#");
});
nothing.addEventListener("change", show);
order.addEventListener("change", sort);
document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const first = [...list.children].find((card) => !card.hidden);
  if (first) first.querySelector("a").focus();
});
document.getElementById("clear").addEventListener("click", () => {
  name.value = "";
  nothing.checked = false;
  show();
  name.focus();
});
document.getElementById("find").hidden = false;
if (location.hash.startsWith("#find=")) name.value = decodeURIComponent(location.hash.slice(6));
show();
