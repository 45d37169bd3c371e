// The report's flicker: every pair on one spot, on request side by side, never where motion is unwelcome.
"use strict";
const root = document.documentElement;
const cards = [...document.querySelectorAll(".card[id]")];
const playAll = document.getElementById("play");
const view = document.getElementById("view");
const still = matchMedia("(prefers-reduced-motion: reduce)");
let sideBySide = false;

function pause(card, paused) {
  card.classList.toggle("paused", paused);
  card.classList.remove("swapped");
  const button = card.querySelector(".play");
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Play" : "Pause";
  card.querySelector(".swap").hidden = !paused;
}

function showAll() {
  const paused = cards.every((card) => card.classList.contains("paused"));
  playAll.textContent = paused ? "Play all" : "Pause all";
  playAll.setAttribute("aria-pressed", String(paused));
}

function arrange() {
  const flickers = !sideBySide && !still.matches;
  root.classList.toggle("flickers", flickers);
  document.getElementById("controls").hidden = still.matches || !document.querySelector(".pair");
  playAll.hidden = !flickers;
  view.setAttribute("aria-pressed", String(sideBySide));
  for (const card of cards) {
    card.querySelector(".buttons").hidden = false;
    card.querySelector(".play").hidden = !flickers || !card.querySelector(".pair");
    if (!flickers) pause(card, false);
  }
  showAll();
}

playAll.addEventListener("click", () => {
  const paused = !cards.every((card) => card.classList.contains("paused"));
  for (const card of cards) pause(card, paused);
  showAll();
});
view.addEventListener("click", () => {
  sideBySide = !sideBySide;
  arrange();
});
still.addEventListener("change", arrange);

for (const card of cards) {
  card.querySelector(".play").addEventListener("click", () => {
    pause(card, !card.classList.contains("paused"));
    showAll();
  });
  card.querySelector(".swap").addEventListener("click", () => card.classList.toggle("swapped"));
}

// Names that the reader gives stay in this browser, beside the file; the explanation folder is not touched.
function kept(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}
function keep(key, name) {
  try { localStorage.setItem(key, name); } catch { /* a browser that keeps nothing: the name lasts as long as the page */ }
}
function rename(key, name) {
  for (const place of document.querySelectorAll(".name")) {
    if (place.dataset.key === key) {
      place.textContent = name;
      place.classList.remove("unnamed");
    }
  }
}
for (const card of cards) {
  const place = card.querySelector(".name");
  const key = place.dataset.key;
  if (kept(key)) rename(key, kept(key));
  card.querySelector(".rename").addEventListener("click", () => {
    if (place.querySelector("input")) return;
    const before = place.textContent;
    const input = document.createElement("input");
    input.value = before;
    input.maxLength = 120;
    input.setAttribute("aria-label", "Name of this attribute");
    place.replaceChildren(input);
    input.select();
    let finished = false;
    const finish = (name) => {
      if (finished) return;
      finished = true;
      place.textContent = before;
      if (name && name !== before) {
        rename(key, name);
        keep(key, name);
      }
    };
    input.addEventListener("blur", () => finish(input.value.trim()));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") {
        finish(event.key === "Enter" ? input.value.trim() : "");
        card.querySelector(".rename").focus();
      }
    });
  });
}
arrange();
