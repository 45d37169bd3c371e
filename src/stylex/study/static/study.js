// A rater's page: what the server says is next, shown; what the rater says, sent until it is kept.
const here = new URL(".", location.href).pathname;
const $ = (id) => document.getElementById(id);
const main = $("main");
const SECONDS_EACH = 0.75;
let question = null, began = 0, sending = false, still = false, phase = false, onKey = null;

function element(name, given = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...inside.filter((part) => part !== null));
  return made;
}

function say(words) {
  $("alert").hidden = !words;
  $("alert").textContent = words;
}

// Talking to the server.

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

async function ask(path, body) {
  const sent = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  for (let tries = 0; ; tries++) {
    let answer = null;
    try {
      answer = await fetch(here + path, { ...sent, cache: "no-store" });
    } catch { /* no network: below */ }
    if (answer?.ok) {
      say("");
      return answer.json();
    }
    if (answer && answer.status < 500) {
      const told = await answer.json().catch(() => ({}));
      throw new Error(told.error ?? "Something went wrong; load the page again.");
    }
    say("Not connected: your answer is kept here and sent again. Please leave the page open.");
    await pause(Math.min(8, 0.5 * 2 ** tries));
  }
}

async function tell(path, body) {
  if (sending) return;
  sending = true;
  main.setAttribute("aria-busy", "true");
  try {
    show(await ask(path, body));
  } catch (error) {
    say(error.message);
  } finally {
    sending = false;
    main.removeAttribute("aria-busy");
  }
}

function answer(said) {
  const seconds = (performance.now() - began) / 1000;
  if (sending || began === 0 || seconds < 0.25) return; // the press was meant for what was there before
  tell("answer", { place: question.place, seconds: Math.min(86400, seconds), ...said }).then(forget);
}

// What is half typed outlives a reload.

const draftName = () => `stylex-study ${here} ${question?.place}`;
const drafts = {
  get() { try { return JSON.parse(sessionStorage.getItem(draftName())) ?? {}; } catch { return {}; } },
  set(value) { try { sessionStorage.setItem(draftName(), JSON.stringify(value)); } catch { /* private mode */ } },
};

function forget() {
  try {
    for (const name of Object.keys(sessionStorage)) {
      if (name.startsWith(`stylex-study ${here} `) && name !== draftName()) sessionStorage.removeItem(name);
    }
  } catch { /* private mode */ }
}

// Pictures.

function flicker(names, label) {
  return element("button", {
    type: "button", class: "flicker", tabindex: "-1", "aria-label": label, onclick: (event) => {
      if (still) event.currentTarget.classList.toggle("changed");
    },
  }, element("img", { src: here + names.before, alt: "", class: "before", draggable: false }),
  element("img", { src: here + names.after, alt: "", class: "after", draggable: false }));
}

setInterval(() => {
  if (still) return;
  phase = !phase;
  for (const one of document.querySelectorAll(".flicker")) one.classList.toggle("changed", phase);
}, 1000 * SECONDS_EACH);

function stillButton() {
  const words = () => (still ? "Let them flicker" : "Hold the pictures still");
  const hint = () => (still ? "Touch a picture to see it before and after. " : "");
  const told = element("span", { class: "fine" }, hint());
  const button = element("button", { type: "button", "aria-pressed": String(still), onclick: () => {
    still = !still;
    button.textContent = words();
    button.setAttribute("aria-pressed", String(still));
    told.textContent = hint();
    for (const one of document.querySelectorAll(".flicker")) one.tabIndex = still ? 0 : -1;
  } }, words());
  return element("div", { class: "still row" }, told, button);
}

async function whenThere() {
  const pictures = [...main.querySelectorAll("img")];
  await Promise.all(pictures.map((picture) => picture.decode().catch(() => null)));
}

// What is shown.

function show(state) {
  document.title = state.title;
  $("title").textContent = state.title;
  $("footer").hidden = state.phase === "consent" || state.phase === "withdrawn";
  const shown = Math.min(state.done + 1, state.total);
  $("progress").textContent = state.phase === "question" ? `${shown} of ${state.total}` : "";
  $("bar").style.width = `${(100 * state.done) / state.total}%`;
  question = state.question ?? null;
  began = 0;
  delete main.dataset.ready;
  onKey = null;
  const views = { consent, question: asked, done, withdrawn };
  main.replaceChildren(...views[state.phase](state));
  main.querySelector("[data-first]")?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  if (question) {
    const now = question;
    whenThere().then(() => {
      if (question !== now) return;
      began = performance.now();
      main.dataset.ready = now.place;
    });
    for (const names of question.next) for (const name of Object.values(names)) new Image().src = here + name;
  }
}

function consent(state) {
  const paragraphs = state.consent.split(/\n\s*\n/).map((text) => element("p", {}, text));
  return [
    element("h2", { tabindex: "-1", "data-first": "" }, "Before you begin"),
    element("div", { class: "words" }, ...paragraphs),
    element("button", { type: "button", class: "primary", onclick: () => tell("consent", {}) }, "I agree, begin"),
  ];
}

function done() {
  return [
    element("h2", { tabindex: "-1", "data-first": "" }, "Thank you, that was all"),
    element("p", {}, "Everything you answered is kept. You can close this page."),
  ];
}

function withdrawn() {
  return [
    element("h2", { tabindex: "-1", "data-first": "" }, "Your answers are deleted"),
    element("p", {}, "Nothing of what you answered is kept. Thank you for your time."),
  ];
}

function asked() {
  return { sort, describe, clinical }[question.kind]();
}

function sort() {
  const choose = (side) => answer({ side });
  onKey = (event) => {
    const side = { ArrowLeft: 0, a: 0, A: 0, ArrowRight: 1, b: 1, B: 1 }[event.key];
    if (side !== undefined) choose(side);
    return side !== undefined;
  };
  const side = (number) => element("section", { class: "side", "aria-label": `Group ${"AB"[number]}` },
    element("h3", {}, `Group ${"AB"[number]}`),
    element("div", { class: "pair" }, ...question.examples[number].map((names, i) =>
      flicker(names, `Group ${"AB"[number]}, example ${i + 1}`))),
    element("button", { type: "button", "data-side": String(number), onclick: () => choose(number) },
      `It is ${"AB"[number]}`, element("kbd", {}, number ? "→" : "←")));
  return [
    element("h2", { tabindex: "-1", "data-first": "" }, "Which group does this picture belong to?"),
    element("p", { class: "hint" },
      "In each group the same thing changes. Look at what changes, not at what is in the picture."),
    element("div", { class: "sides" }, side(0),
      element("div", { class: "asked" }, flicker(question.picture, "The picture to be sorted"),
        element("p", { class: "fine" }, "Does it change like A or like B?")), side(1)),
    stillButton(),
  ];
}

function typed(label, area) {
  const field = element(area ? "textarea" : "input", {
    name: "words", maxlength: String(question.longest), autocomplete: "off", autocapitalize: "off", required: true,
    ...(area ? { rows: "3" } : { type: "text", "data-first": "" }),
    oninput: () => drafts.set({ ...drafts.get(), words: field.value }),
  });
  field.value = drafts.get().words ?? "";
  return element("label", {}, label, field);
}

function formOf(parts, read) {
  const form = element("form", { novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    const said = read(new FormData(form));
    if (typeof said === "string") say(said);
    else {
      say("");
      answer(said);
    }
  } }, ...parts, element("button", { type: "submit", class: "primary" }, "Next"));
  return form;
}

function describe() {
  const words = (data) => data.get("words").trim();
  const read = (data) => (words(data) ? { words: words(data) } : "Please type a word or two first.");
  if (question.word !== null) {
    return [
      element("h2", {}, `Please type the word “${question.word}”`),
      element("p", { class: "hint" }, "This shows that a person reads along."),
      formOf([typed("The word")], read),
    ];
  }
  return [
    element("h2", {}, "What changes in these pictures?"),
    element("p", { class: "hint" }, "The same thing changes in all of them. Name it in one to four words."),
    element("div", { class: "row4" }, ...question.examples[0].map((names, i) => flicker(names, `Picture ${i + 1}`))),
    formOf([typed("What changes")], read),
    stillButton(),
  ];
}

function clinical() {
  const side = (name, words) => element("figure", {},
    element("img", { src: here + question.picture[name], alt: words }), element("figcaption", {}, words));
  const choice = (value, words) => element("label", {},
    element("input", { type: "radio", name: "plausible", value, checked: drafts.get().plausible === value,
      onchange: () => drafts.set({ ...drafts.get(), plausible: value }) }), words);
  return [
    element("h2", { tabindex: "-1", "data-first": "" }, "What changed, and is it plausible?"),
    element("p", { class: "hint" }, "Left: the original. Right: the same picture, changed by the computer."),
    element("div", { class: "beside" }, side("before", "Original"), side("after", "Changed")),
    formOf([
      typed("What changed", true),
      element("fieldset", {}, element("legend", {}, "Is this change medically plausible?"),
        element("div", { class: "choices" }, choice("yes", "Yes"), choice("no", "No"), choice("unsure", "Not sure"))),
    ], (data) => {
      const words = data.get("words").trim(), plausible = data.get("plausible");
      if (!words) return "Please say in a few words what changed.";
      return plausible ? { words, plausible } : "Please choose: yes, no or not sure.";
    }),
  ];
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea");
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || typing || !onKey) return;
  if (onKey(event)) event.preventDefault();
});

$("withdraw").addEventListener("click", () => {
  if (confirm("Delete everything that you have answered? This cannot be undone, and the link ends.")) tell("withdraw", {});
});

tell("state");
