/* The viewer: an image, its reconstruction, the classifier's answer, and knobs that move both.
 *
 * One file without imports, so that three hosts can use it: the explorer (a server behind it), a notebook widget,
 * and a report in one file. It knows neither of them; it asks a *source*.
 *
 *   import { mount } from "./viewer.js";
 *   const view = mount(element, source, options);     // view.close() ends it
 *
 * options, all of them optional: address (keep image and knobs in the page's #address), theme (offer dark and light),
 * gallery (false: no list of images to choose from), embedded (a part of another page: no heading of its own, and keys
 * only where the focus is inside).
 *
 * A source is an object of (mostly asynchronous) functions; sizes are pixels, p are probabilities, k of them:
 *
 *   describe()                   {title, labels: [k names], output: "softmax" | "sigmoid" | "regression", resolution, channels, notes: [text], remark: text | null,
 *                                first: id | null, knobs: [Knob], repeat: {run, data, explanation, classifier, other_classifier} | null, features}
 *   images(after)                {images: [Image], next, coming, trouble}: those from position `after` on; asked again
 *                                after a while as long as `coming` > 0
 *   image(id)                    Image and {probabilities: [k] | null, rebuilt_probabilities: [k], notes: [text]}
 *   frames(turns, {lane, draft}) [{pixels: ImageData, probabilities: [k], draft, small, fitted}], or null where a newer request of the
 *                                same lane ("knob", "strip", "others") made this one pointless; asked for a draft, a
 *                                source may draw what is turned faster and less exactly, and says so; of lane "knob"
 *                                also small, from half the pixels, without probabilities; a turn is
 *                                {image: id, knobs: {"0": share}, fitted?: true: by the copy fitted to this photograph}
 *   pictureURL(id, state)        where the picture is; state is "original" or "rebuilt"
 *
 * and, if `features` names them:
 *
 *   add(file)                    -> Image and notes        features.upload: {bytes}
 *   search(id, target, {fitted, progress(done, total), signal})    features.search
 *                                -> {knobs: [knob id], flip: Flip, finding, allKnobs: [Knob]}, null when cancelled
 *   flip(id, target, knob ids, fitted)   -> Flip           features.flip
 *   fit(id, {progress(done, total), signal})               features.fit: {by_itself: seconds}
 *                                -> Image, null when cancelled: fit a copy of the generator to a photograph
 *   fitSeconds(id)               -> about how many seconds that takes
 *   rename(knob id, label)       -> [Knob]                 features.rename
 *   hide(knob id, hidden)        -> [Knob]                 features.hide
 *   export(kind, turn)           -> Blob                   features.export: ["png", "gif", "webp", "mp4", "html"]
 *
 * Of a regression, describe() has `numbers` {names: [k], unit, center: [k], scale: [k], by, digits, ends: [[low, high], ...], measured},
 * probabilities are places (the sigmoids of standardised numbers, the last label's the fall of one of the others), and an
 * Image has `places` and `rebuilt_places`; `by` is the change that counts, `ends` are those of the scale each is shown on.
 *
 * features.combine says whether several knobs can be turned at once; a Knob may have `stops`, the only shares that can
 * be drawn (frames of a report, say), and `images`, the ids of those it can be drawn on. Where combine is false,
 * turning one knob puts the others to rest.
 *
 *   Knob    {id, label | null, meaning: text | null, technical, target, effect, full, sign, hidden, image: id | null, kept, stops?, images?}
 *           `share` 1 is the attribute's whole shift; the most extreme value observed lies at a share of 1 / full.
 *   Image   {id, name, label | null, said, confidence, rebuilt_said, rebuilt_confidence, original: bool, own: bool,
 *            fitted: {said, l1, l1_before} | null: a copy fitted to it is at hand, and how far it and the generator are from the photograph}
 *   Flip    {knobs: {"0": share}, target, flipped, sentence}
 */

const FLICKER_MS = 500; // one change each: a full flicker a second, far below the 3 that can harm
const REST_MS = 220; // a knob that has not moved for so long is drawn elsewhere too
const STRIP_AT = [-1, -0.5, 0, 0.5, 1]; // of what was observed; the ends of the knob are added
const OTHERS = 6;
const HALF_SIZE = "half size while the knob moves; the answer comes with the sharp picture";
const MODES = [
  ["changed", "Changed", "c"], ["flicker", "Flicker", "f"], ["wipe", "Wipe", "w"], ["side", "Side by side", "s"],
  ["difference", "Difference", "d"],
];
const THEME_KEY = "stylex-theme";

export function mount(element, source, options = {}) {
  const viewer = new Viewer(element, source, options);
  viewer.begin();
  return viewer;
}

// Small tools.

/** An element: h("button.primary", {type: "button", onclick: f}, "words", child, ...). */
function h(kind, properties = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.includes("-") && name !== "list" && name !== "form") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const ICONS = {
  flip: "M4 8h13l-3.5-3.5M20 16H7l3.5 3.5", undo: "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3", redo: "m15 14 5-5-5-5M20 9H10a6 6 0 0 0 0 12h3",
  reset: "M4 4v5h5M4.6 9a8 8 0 1 1-.6 5", pen: "m4 20 1-4L16 5l3 3L8 19z", eye: "M2 12s4-6 10-6 10 6 10 6-4 6-10 6S2 12 2 12zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  off: "M3 3l18 18M10 6.3A9.6 9.6 0 0 1 12 6c6 0 10 6 10 6a17 17 0 0 1-3 3.4M6 8a17 17 0 0 0-4 4s4 6 10 6a9.5 9.5 0 0 0 4-.9",
  plus: "M12 5v14M5 12h14", minus: "M5 12h14", sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5",
  help: "M12 17.5v.01M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 1.9v.6", save: "M12 3v12M7 10l5 5 5-5M4 20h16", search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01", two: "M4 5h7v14H4zM13 5h7v14h-7z", close: "M6 6l12 12M18 6 6 18", more: "M5 12h.01M12 12h.01M19 12h.01",
  warn: "M12 4 2.5 20h19zM12 10v4M12 17v.01", check: "m5 12 5 5 9-10",
};
function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

const percent = (p) => {
  for (const digits of [0, 1]) {
    const text = (100 * p).toFixed(digits);
    if (!["0", "100", "0.0", "100.0"].includes(text) || p === 0 || p === 1) return `${text}%`;
  }
  return p < 0.5 ? "<0.1%" : ">99.9%";
};
const mean = (l1) => h("span", { title: "mean absolute difference of the pixels, on [-1, 1]" }, l1.toFixed(3).replace(/^0/, ""));
const duration = (seconds) => (seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const best = (p) => p.indexOf(Math.max(...p));
const plain = (knobs) => Object.fromEntries([...knobs].filter(([, share]) => share !== 0));
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
function remembered(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch { /* a browser that keeps nothing */ }
  return null;
}

// Pictures. A frame's pixels are put on a canvas of their own once, and drawn from there at any size.

const drawn = new WeakMap();
function canvasOf(frame) {
  if (!drawn.has(frame)) {
    const canvas = document.createElement("canvas");
    canvas.width = frame.pixels.width;
    canvas.height = frame.pixels.height;
    canvas.getContext("2d").putImageData(frame.pixels, 0, 0);
    drawn.set(frame, canvas);
  }
  return drawn.get(frame);
}

/** Draw a picture (canvas or image) on all of a canvas, or the part of it that `look` {x, y, zoom} shows. */
function paint(canvas, picture, look = null, smooth = true) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const size = Math.max(1, Math.round((canvas.clientWidth || 96) * ratio));
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const side = picture.width / (look ? look.zoom : 1);
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  context.clearRect(0, 0, size, size);
  context.drawImage(picture, look ? look.x * (picture.width - side) : 0, look ? look.y * (picture.height - side) : 0, side, side, 0, 0, size, size);
}

const LUMA = [0.2126, 0.7152, 0.0722];
const BRIGHTER = [0, 125, 95], DARKER = [126, 48, 160], RECOLOURED = [196, 122, 0];

/** Where and how a picture changed, on white: green brighter, purple darker, ochre only recoloured; and how much. */
function differenceOf(before, after) {
  const a = before.pixels.data, b = after.pixels.data;
  const { width, height } = before.pixels;
  const size = new Float32Array(width * height), light = new Float32Array(width * height);
  for (let i = 0, q = 0; i < size.length; i++, q += 4) {
    let square = 0, balance = 0;
    for (let j = 0; j < 3; j++) {
      const change = (b[q + j] - a[q + j]) / 255;
      square += change * change;
      balance += change * LUMA[j];
    }
    size[i] = Math.sqrt(square / 3);
    light[i] = clamp((1.5 * balance) / Math.max(size[i], 1e-6), -1, 1);
  }
  const sorted = Float32Array.from(size).sort();
  const scale = clamp(sorted[Math.floor(0.98 * (sorted.length - 1))], 0.1, 1);
  const pixels = new ImageData(width, height);
  let x = 0, y = 0, all = 0;
  for (let i = 0, q = 0; i < size.length; i++, q += 4) {
    const amount = Math.min(1, size[i] / scale), side = Math.abs(light[i]), colour = light[i] > 0 ? BRIGHTER : DARKER;
    const ghost = 255 - 0.14 * (255 - (a[q] * LUMA[0] + a[q + 1] * LUMA[1] + a[q + 2] * LUMA[2]));
    for (let j = 0; j < 3; j++) pixels.data[q + j] = ghost * (1 - amount) + (colour[j] * side + RECOLOURED[j] * (1 - side)) * amount;
    pixels.data[q + 3] = 255;
    const weight = size[i] * size[i];
    x += weight * (i % width); y += weight * Math.floor(i / width); all += weight;
  }
  return { pixels, scale, centre: all > 0 ? { x: x / all / width, y: y / all / height } : { x: 0.5, y: 0.5 } };
}

class Viewer {
  constructor(element, source, options) {
    this.element = element;
    this.source = source;
    this.options = options;
    this.ended = new AbortController();
    this.images = new Map();
    this.knobs = []; // all there are, by id
    this.turned = new Map(); // knob id -> share
    this.rebuilt = new Map(); // image id, and who draws it -> its frame with all knobs at rest
    this.lastAnswers = new Map(); // image id, and who draws it -> the probabilities last given of it
    this.image = null;
    this.other = null; // the image it is compared with
    this.active = null; // the knob turned last
    this.mode = "changed";
    this.look = { x: 0.5, y: 0.5, zoom: 1 };
    this.smooth = true;
    this.fitting = new Map(); // image id -> a fit under way
    this.asTrained = new Set(); // images that are drawn by the generator as trained although a copy is fitted to them
    this.past = [];
    this.future = [];
    this.showsChanged = true; // while it flickers
    this.picking = false;
    this.filter = { text: "", label: "", said: "", show: "all", confidence: "any", sort: "given" };
    this.shownImages = 120;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.shortcuts = true;
  }

  listen(target, kind, f, more = {}) {
    target.addEventListener(kind, f, { signal: this.ended.signal, ...more });
  }

  async begin() {
    this.element.classList.add("stylex");
    this.element.classList.toggle("embedded", Boolean(this.options.embedded));
    if (this.options.theme && remembered(THEME_KEY)) this.element.dataset.theme = remembered(THEME_KEY);
    try {
      this.about = await this.source.describe();
    } catch (error) {
      this.element.replaceChildren(h("p.fatal", { role: "alert" }, error.message));
      return;
    }
    this.can = this.about.features;
    this.setKnobs(this.about.knobs);
    this.build();
    this.listenToKeys();
    const asked = this.options.address ? readAddress() : null;
    if (asked) for (const [knob, share] of asked.knobs) if (this.knobs[knob]) this.turned.set(knob, clamp(share, -this.limit(knob), this.limit(knob)));
    this.active = this.visibleKnobs()[0]?.id ?? null;
    this.showKnobs();
    this.readImages(0, asked?.image);
  }

  close() {
    this.ended.abort();
    clearInterval(this.flicker);
    clearTimeout(this.resting);
    for (const { cancelling } of this.fitting.values()) cancelling.abort();
    this.element.replaceChildren();
    this.element.classList.remove("stylex", "embedded");
  }

  // What is known.

  setKnobs(knobs) {
    this.knobs = knobs;
    for (const knob of knobs) knob.name = knob.label || `Attribute ${knob.id + 1}${knob.meaning ? `, goes with ${knob.meaning}` : ""}`;
  }
  get labels() { return this.about.labels; }
  limit(knob) {
    const { full, stops } = this.knobs[knob];
    return stops ? Math.max(...stops.map(Math.abs)) : Math.max(1.5 / full, 1);
  }
  share(knob) { return this.turned.get(knob) ?? 0; }
  /** Whether a knob can be turned on an image. */
  fits(knob, image) { return knob.images ? knob.images.includes(image) : knob.image === null || knob.image === image; }
  visibleKnobs() {
    return this.knobs.filter((knob) => this.fits(knob, this.image) && (!knob.hidden || this.showHidden));
  }
  turn(image, knobs = plain(this.turned)) { return { image, knobs, ...(this.usesCopy(image) ? { fitted: true } : {}) }; }
  /** Whether an image is drawn by the copy of the generator that was fitted to its photograph. */
  usesCopy(id) { return Boolean(this.images.get(id)?.fitted) && !this.asTrained.has(id); }
  place(id) { return this.usesCopy(id) ? `${id} fitted` : id; }
  answer(p) {
    if (this.numbers) return this.rows().map((i) => (this.rows().length > 1 ? `${this.numbers.names[i]} ${this.shown(p, i)}` : this.shown(p, i))).join(", ");
    if (this.about.output === "softmax") return this.labels[best(p)];
    const yes = this.labels.filter((_, i) => p[i] >= 0.5);
    return yes.length ? yes.join(" + ") : "none of them";
  }
  /** Whether the answer became another one; of a number, whether it moved by as much as counts. */
  turnedOver(was, is) {
    return this.numbers ? Math.abs(this.value(is, this.asked) - this.value(was, this.asked)) >= this.numbers.by : this.answer(was) !== this.answer(is);
  }

  // Of a regression: what its places mean.

  get numbers() { return this.about.numbers ?? null; }
  /** Which number is asked for: the one that the last label is the fall of. */
  get asked() { return this.numbers.names.indexOf(this.numbers.names.at(-1)); }
  falls(label) { return label === this.numbers.names.length - 1; }
  /** The labels that have a row of their own: all, but of numbers each once. */
  rows() { return [...this.labels.keys()].slice(0, this.numbers ? -1 : undefined); }
  value(p, label) {
    const place = clamp(p[label], 1e-6, 1 - 1e-6), number = this.numbers.center[label] + this.numbers.scale[label] * Math.log(place / (1 - place));
    return this.falls(label) ? -number : number;
  }
  amount(number, { sign = false, unit = true } = {}) {
    const text = Math.abs(number).toFixed(this.numbers.digits), way = number < 0 ? "−" : sign ? "+" : "";
    return `${Number(text) === 0 && !sign ? "" : way}${text}${unit && this.numbers.unit ? ` ${this.numbers.unit}` : ""}`;
  }
  /** What stands for a label: its probability, or the number. */
  shown(p, label) { return this.numbers ? this.amount(this.value(p, label)) : percent(p[label]); }
  /** Where it lies on its bar, from 0 to 1. */
  along(p, label) {
    if (!this.numbers) return p[label];
    const [low, high] = this.numbers.ends[label];
    return clamp((this.value(p, label) - low) / (high - low), 0, 1);
  }
  /** What that is of: P(cat), or age. */
  titled(label) { return this.numbers ? this.numbers.names[label] : `P(${this.labels[label]})`; }
  spoken(label) { return this.numbers ? this.numbers.names[label] : `probability of ${this.labels[label]}`; }

  /** The class that the page speaks of: the active knob's. */
  get target() { return this.active !== null ? this.knobs[this.active].target : (this.numbers ? this.asked : this.labels.length === 2 ? 1 : best(this.rebuilt.get(this.place(this.image))?.probabilities ?? [1])); }

  // The page.

  build() {
    const about = this.about;
    this.status = h("p.hidden", { role: "status", "aria-live": "polite" });
    this.toast = h("p.toast", { hidden: true });
    const tools = h("div.tools", {},
      this.can.export?.length || about.repeat ? this.buildExport() : null,
      this.options.theme ? h("button.quiet", { type: "button", title: "Dark or light", "aria-label": "Dark or light", onclick: () => this.changeTheme() }, icon("sun")) : null,
      h("button.quiet", { type: "button", title: "What is this? (?)", "aria-label": "What is this? Help and keys", onclick: () => this.help.showModal() }, icon("help")));
    this.help = this.buildHelp();
    this.element.replaceChildren(
      h("header.masthead", {},
        this.options.embedded ? null : h("span.mark", { "aria-hidden": "true" }, svg("svg", { viewBox: "0 0 32 32" },
          svg("rect", { width: 32, height: 32, rx: 8, class: "m1" }), svg("path", { d: "M6 11h20M6 21h20", class: "m2" }),
          svg("circle", { cx: 20, cy: 11, r: 4, class: "m3" }), svg("circle", { cx: 11, cy: 21, r: 4, class: "m4" }))),
        this.options.embedded ? null : h("div.heading", {}, h("h1", {}, about.title), h("p", {}, "Each knob is something the classifier looks at. Turn one: the picture changes, and so does the answer.")),
        tools),
      ...(about.remark ? [h("p.finding.remark", { role: "note" }, about.remark)] : []),
      h("div.layout", {},
        this.options.gallery === false ? null : this.buildGallery(),
        h("main.work", {}, this.buildStage(), this.can.fit ? this.buildFit() : null, this.buildStrip(), this.buildOthers()),
        h("aside.panel", { "aria-label": "Answer and knobs" }, this.buildAnswer(), this.buildKnobs())),
      this.status, this.toast, this.help,
      h("div.dropping", { hidden: true }, h("p", {}, icon("picture"), "Drop your image to see what the classifier looks at in it")));
    this.dropping = this.element.querySelector(".dropping");
    if (this.can.upload) this.listenToUploads();
    const watch = new ResizeObserver(() => this.draw());
    watch.observe(this.stage);
    this.listen(this.still, "change", () => this.setMode(this.mode));
    this.ended.signal.addEventListener("abort", () => watch.disconnect());
  }

  changeTheme() {
    const dark = this.element.dataset.theme ? this.element.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    this.element.dataset.theme = dark ? "light" : "dark";
    remembered(THEME_KEY, this.element.dataset.theme);
  }

  say(text) { this.status.textContent = text; }

  tell(text, kind = "news") {
    this.toast.replaceChildren(text, h("button.quiet", { type: "button", "aria-label": "Close this message", onclick: () => { this.toast.hidden = true; } }, icon("close")));
    this.toast.dataset.kind = kind;
    this.toast.setAttribute("role", kind === "error" ? "alert" : "status");
    this.toast.hidden = false;
    clearTimeout(this.telling);
    if (kind !== "error") this.telling = setTimeout(() => { this.toast.hidden = true; }, 6000);
  }

  /** Do something that may fail, and say so in the page. */
  async trying(work) {
    try {
      return await work();
    } catch (error) {
      if (error.name !== "AbortError" && !this.ended.signal.aborted) this.tell(error.message, "error");
      return undefined;
    }
  }

  buildHelp() {
    const keys = [["← →", "turn the knob that has the focus; Shift: in small steps"], ["Home, End", "turn it all the way"], ["0", "put it to rest"],
      ["c f w s d", "changed, flicker, wipe, side by side, difference"], ["+ −", "zoom"], ["n p", "next, previous image"], this.numbers ? ["x, Shift x", "raise, lower the number"] : ["x", "flip the answer"],
      ["z, Shift z", "undo, redo"], ["r", "all knobs to rest"], ["?", "this page"]];
    return h("dialog.help", { "aria-label": "Help" },
      h("h2", {}, "What am I looking at?"),
      h("ol", {},
        h("li", {}, h("b", {}, "A photograph"), " and the classifier’s answer."),
        h("li", {}, h("b", {}, "Rebuilt"), ": a generator draws the photograph anew. Only what it draws can be changed, so look whether the answer stayed the same."),
        h("li", {}, h("b", {}, "Knobs"), ": each changes one thing in the drawing that the classifier was found to look at. The bars show what it says of every change."),
        h("li", {}, "The solid part of a knob was ", h("b", {}, "seen"), " in photographs. The hatched part goes ", h("b", {}, "beyond"), ": there the drawing is partly invented.")),
      h("h2", {}, "Keys"),
      h("dl.keys", {}, keys.map(([key, does]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)))),
      h("label.check", {}, h("input", { type: "checkbox", checked: true, onchange: (event) => { this.shortcuts = event.target.checked; } }), "Single keys are shortcuts"),
      h("form", { method: "dialog" }, h("button.primary", {}, "Close")));
  }

  // The gallery.

  buildGallery() {
    const f = this.filter;
    const change = (name) => (event) => { f[name] = event.target.value; this.shownImages = 120; this.showGallery(); };
    const select = (name, label, pairs) => h("label.field", {}, h("span", {}, label),
      h("select", { onchange: change(name) }, pairs.map(([value, text]) => h("option", { value }, text))));
    const fifths = ["lowest", "second", "middle", "fourth", "highest"].map((name, i) => [String(i), `${name} fifth`]);
    const classes = this.numbers ? fifths : this.labels.map((label, i) => [String(i), label]);
    this.count = h("p.count", {});
    this.tiles = h("ul.tiles", { "aria-label": "Images" });
    this.more = h("button.quiet.more", { type: "button", hidden: true, onclick: () => { this.shownImages += 240; this.showGallery(); } }, "Show more");
    this.labelField = h("select", { onchange: change("label") }, h("option", { value: "" }, "any"));
    this.filters = h("details.filters", {}, h("summary", {}, "Filter"),
      h("label.field", {}, h("span", {}, "Label"), this.labelField),
      select("said", "Answer", [["", "any"], ...classes]),
      this.numbers ? null : select("confidence", "Certainty", [["any", "any"], ["high", "above 90%"], ["middle", "60–90%"], ["low", "below 60%"]]),
      select("show", "Only", [["all", "all"], ...(this.numbers ? [] : [["mistakes", "mistakes of the classifier"]]), ["unfaithful", "rebuilt gets another answer"], ["own", "my own"]]),
      select("sort", "Order", [["given", "as they come"], ...(this.numbers ? [["rising", "lowest first"], ["falling", "highest first"]] : [["unsure", "least certain first"], ["sure", "most certain first"]])]));
    this.file = h("input", { type: "file", accept: "image/*", hidden: true, tabIndex: -1, "aria-label": "Your own image", onchange: (event) => { this.addFiles(event.target.files); event.target.value = ""; } });
    return h("section.gallery", { "aria-label": "Choose an image" },
      h("div.row", {}, h("h2", {}, "Images"), this.count),
      this.can.upload ? h("button.bring", { type: "button", onclick: () => this.file.click() }, icon("picture"), h("span", {}, "Your own image", h("small", {}, "choose, paste or drop it here"))) : null,
      this.file,
      h("div.search", {}, icon("search"), h("input", { type: "search", placeholder: "Search", "aria-label": "Search images by name or label", oninput: change("text") })),
      this.filters, this.picker = h("p.picker", { hidden: true }, "Choose the image to compare with. ", h("button.link", { type: "button", onclick: () => this.pick(false) }, "Cancel")),
      this.tiles, this.more);
  }

  async readImages(after, asked = null) {
    const answer = await this.trying(() => this.source.images(after));
    if (!answer || this.ended.signal.aborted) return;
    for (const image of answer.images) this.images.set(image.id, image);
    this.coming = answer.coming;
    if (answer.trouble) this.tell(answer.trouble, "error");
    const wanted = asked && (this.images.has(asked) ? asked : null);
    if (wanted) this.show(wanted);
    else if (this.image === null && this.images.size && !(asked && this.coming)) this.show(this.images.has(this.about.first) ? this.about.first : this.images.keys().next().value);
    if (this.tiles) this.showGallery();
    if (this.image === null && !this.coming) this.showEmpty();
    if (this.coming) setTimeout(() => this.readImages(answer.next, wanted ? null : asked), 400);
  }

  /** An image's number, and the fifth of all images that it lies in, 0 to 4. */
  told(image) { return this.value(image.places, this.asked); }
  fifths() {
    const order = [...this.images.values()].sort((a, b) => this.told(a) - this.told(b));
    return new Map(order.map((image, i) => [image.id, Math.floor((5 * i) / order.length)]));
  }
  mistaken(image) { return image.label !== null && this.labels.includes(image.label) && this.labels[image.said] !== image.label; }
  unfaithful(image) {
    if (this.numbers) return image.original && Math.abs(this.told(image) - this.value(this.usesCopy(image.id) ? image.fitted.places : image.rebuilt_places, this.asked)) > this.numbers.scale[this.asked] / 2;
    return image.original && image.said !== (this.usesCopy(image.id) ? image.fitted.said : image.rebuilt_said);
  }

  /** The images that pass the filters, in their order. */
  filtered() {
    const f = this.filter, text = f.text.trim().toLowerCase(), fifths = this.numbers && f.said ? this.fifths() : null;
    const kept = [...this.images.values()].filter((image) =>
      (!text || `${image.name} ${image.label ?? ""}`.toLowerCase().includes(text)) &&
      (!f.label || image.label === f.label) && (!f.said || (fifths ? fifths.get(image.id) : image.said) === Number(f.said)) &&
      (f.confidence === "any" || (f.confidence === "high" ? image.confidence > 0.9 : f.confidence === "low" ? image.confidence < 0.6 : image.confidence >= 0.6 && image.confidence <= 0.9)) &&
      (f.show === "all" || (f.show === "mistakes" && this.mistaken(image)) || (f.show === "unfaithful" && this.unfaithful(image)) || (f.show === "own" && image.own)));
    if (f.sort === "rising" || f.sort === "falling") kept.sort((a, b) => (f.sort === "rising" ? this.told(a) - this.told(b) : this.told(b) - this.told(a)));
    else if (f.sort !== "given") kept.sort((a, b) => (f.sort === "unsure" ? a.confidence - b.confidence : b.confidence - a.confidence));
    return kept.sort((a, b) => b.own - a.own);
  }

  showGallery() {
    const all = this.filtered();
    const labels = [...new Set([...this.images.values()].map((image) => image.label).filter((label) => label !== null))].sort();
    if (labels.length !== this.labelField.options.length - 1) {
      this.labelField.replaceChildren(h("option", { value: "" }, "any"), ...labels.map((label) => h("option", { value: label, selected: label === this.filter.label }, label)));
    }
    const some = this.filter.text || this.filter.label || this.filter.said || this.filter.show !== "all" || this.filter.confidence !== "any";
    this.count.textContent = `${all.length}${some ? ` of ${this.images.size}` : ""}${this.coming ? `, reading ${this.coming} more` : ""}`;
    this.filters.querySelector("summary").textContent = some ? "Filter (on)" : "Filter";
    const shown = all.slice(0, this.shownImages);
    const known = new Map([...this.tiles.children].map((tile) => [tile.dataset.id, tile]));
    const wanted = shown.map((image) => known.get(image.id) ?? this.tile(image));
    // Moved only where they are not in place already, so that the focus stays.
    wanted.forEach((tile, i) => { if (this.tiles.children[i] !== tile) this.tiles.insertBefore(tile, this.tiles.children[i] ?? null); });
    while (this.tiles.children.length > wanted.length) this.tiles.lastChild.remove();
    for (const tile of wanted) tile.firstChild.setAttribute("aria-pressed", String(tile.dataset.id === this.image || tile.dataset.id === this.other));
    this.more.hidden = all.length <= this.shownImages;
    if (!all.length && this.images.size) this.tiles.replaceChildren(h("li.none", {}, "No image is like that."));
  }

  tile(image) {
    const said = this.numbers ? this.answer(image.places) : this.labels[image.said], wrong = this.mistaken(image), unlike = this.unfaithful(image);
    const words = [image.name, image.label && `labelled ${image.label}`, `the classifier says ${said}${this.numbers ? "" : `, ${percent(image.confidence)}`}`, wrong && "a mistake", unlike && "rebuilt, it gets another answer"];
    const button = h("button", { type: "button", "aria-pressed": "false", "aria-label": words.filter(Boolean).join("; "), title: words.filter(Boolean).join("\n"), onclick: () => this.choose(image.id) },
      h("img", { src: this.source.pictureURL(image.id, image.original ? "original" : "rebuilt"), alt: "", loading: "lazy", decoding: "async" }),
      h("span.said", {}, said), wrong ? h("span.flag.wrong", { title: "mistake" }, "✕") : null, unlike ? h("span.flag.unlike", { title: "rebuilt gets another answer" }, "≠") : null);
    return h("li", { "data-id": image.id }, button);
  }

  choose(id) {
    if (this.picking) {
      this.pick(false);
      this.compare(id);
    } else {
      this.show(id);
    }
  }

  step(by) {
    const ids = this.filtered().map((image) => image.id);
    if (ids.length) this.show(ids[(ids.indexOf(this.image) + by + ids.length) % ids.length]);
  }

  pick(on) {
    this.picking = on;
    this.picker.hidden = !on;
    this.compareButton.setAttribute("aria-pressed", String(on));
    this.element.querySelector(".gallery").classList.toggle("picking", on);
    if (on) {
      this.picker.scrollIntoView({ block: "nearest" });
      this.tiles.querySelector("button")?.focus();
    }
  }

  compare(id) {
    this.other = id === this.image ? null : id;
    this.otherDetail = null;
    if (this.other) this.trying(async () => { const detail = await this.source.image(id); if (this.other === id) { this.otherDetail = detail; this.draw(); } });
    this.compareButton.setAttribute("aria-pressed", String(this.other !== null));
    this.showGallery();
    this.drawKnobs({ now: true });
  }

  // One's own images.

  listenToUploads() {
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0;
    const end = () => { depth = 0; this.dropping.hidden = true; };
    this.listen(this.element, "dragenter", (event) => { if (hasFiles(event)) { depth += 1; this.dropping.hidden = false; } });
    this.listen(this.element, "dragleave", () => { depth -= 1; if (depth <= 0) end(); });
    this.listen(this.element, "dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
    this.listen(this.element, "drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      end();
      this.addFiles(event.dataTransfer.files);
    });
    this.listen(document, "paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      const target = event.composedPath()[0];
      if (this.options.embedded && !this.element.contains(target)) return;
      if (files.length && !target.closest?.("input, textarea")) this.addFiles(files);
    });
  }

  async addFiles(files) {
    let last = null;
    for (const file of [...files].slice(0, 8)) {
      const most = this.can.upload.bytes;
      if (file.size > most) {
        this.tell(`${file.name || "This picture"} is larger than ${(most / 2 ** 20).toPrecision(2)} MiB; make it smaller first.`, "error");
        continue;
      }
      this.say(`Reading ${file.name || "picture"}`);
      const image = await this.trying(() => this.source.add(file));
      if (image) {
        this.images.set(image.id, image);
        this.showGallery();
        this.show(image.id);
        this.tell(image.notes.length ? `${image.name}: ${image.notes.join("; ")}.` : `${image.name} is here.`);
        last = image.id;
      }
    }
    if (last && this.can.fit && (await this.askFitSeconds(last)) <= this.can.fit.by_itself && this.image === last) this.fit(last);
  }

  // The stage: the pictures.

  buildStage() {
    const modes = h("div.modes", { role: "radiogroup", "aria-label": "How to look at the change" }, MODES.map(([name, text, key], i) =>
      h("button", { type: "button", role: "radio", "aria-checked": String(i === 0), tabIndex: i === 0 ? 0 : -1, "data-mode": name, title: `${text} (${key})`, onclick: () => this.setMode(name) }, text)));
    this.listen(modes, "keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const at = MODES.findIndex(([name]) => name === this.mode);
      this.setMode(MODES[(at + by + MODES.length) % MODES.length][0]);
      modes.querySelector("[aria-checked=true]").focus();
    });
    const canvas = (label) => h("canvas", { role: "img", "aria-label": label });
    this.photo = this.reference("Photograph");
    this.rebuiltFigure = this.reference("Rebuilt");
    this.big = canvas("The picture with the knobs turned");
    this.chip = h("span.chip");
    this.wipe = h("input.wiper", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Wipe: how much of the rebuilt picture is seen", hidden: true, oninput: () => this.draw() });
    this.line = h("span.wipeline", { hidden: true });
    this.frame = h("div.frame", {}, this.big, this.chip, this.line, this.wipe);
    this.caption = h("p.caption");
    this.second = canvas("As rebuilt");
    this.secondChip = h("span.chip");
    this.secondCaption = h("p.caption");
    this.secondFigure = h("figure.large", { hidden: true }, h("div.frame", {}, this.second, this.secondChip), this.secondCaption);
    this.swap = h("button", { type: "button", hidden: true, onclick: () => { this.showsChanged = !this.showsChanged; this.draw(); } }, "Swap");
    this.warning = h("div.warning", { role: "note", hidden: true });
    this.legend = h("p.legend", { hidden: true }, h("i.brighter"), "brighter ", h("i.darker"), "darker ", h("i.recoloured"), "other colour ", h("span.scale"));
    this.zoomText = h("output", { "aria-live": "off" }, "1×");
    const zoom = h("div.zoom", { role: "group", "aria-label": "Zoom" },
      h("button.quiet", { type: "button", "aria-label": "Zoom out", title: "Zoom out (−)", onclick: () => this.zoom(0.5) }, icon("minus")), this.zoomText,
      h("button.quiet", { type: "button", "aria-label": "Zoom in", title: "Zoom in where it changes (+)", onclick: () => this.zoom(2) }, icon("plus")));
    this.compareButton = h("button", { type: "button", "aria-pressed": "false", title: "Turn the same knobs on a second image", onclick: () => (this.other ? this.compare(this.image) : this.pick(!this.picking)) }, icon("two"), "Compare");
    this.pixelsButton = h("button", { type: "button", "aria-pressed": "false", title: "Show the pixels as they are", onclick: () => { this.smooth = !this.smooth; this.pixelsButton.setAttribute("aria-pressed", String(!this.smooth)); this.draw(); } }, "Pixels");
    this.dragToPan(this.frame);
    this.nameLine = h("h2.imagename", {}, " ");
    this.stage = h("section.stage", { "aria-label": "The picture" },
      h("div.row", {}, this.nameLine, h("div.stagetools", {}, this.options.gallery === false ? null : this.compareButton, this.pixelsButton, zoom)),
      this.warning,
      h("div.pictures", {},
        h("div.references", {}, this.photo.figure, h("span.arrow", { "aria-hidden": "true" }, "↓"), this.rebuiltFigure.figure),
        this.secondFigure,
        h("figure.large", {}, this.frame, this.caption)),
      h("div.row.under", {}, modes, this.swap, this.legend));
    return this.stage;
  }

  // A copy of the generator, fitted to the photograph.

  buildFit() {
    this.fitText = h("p.fine");
    this.fitButton = h("button", { type: "button", onclick: () => this.fit(this.image), onpointerenter: () => this.askFitSeconds(this.image), onfocus: () => this.askFitSeconds(this.image) }, "Fit to this photograph");
    this.fitSwitch = h("button.link", { type: "button", onclick: () => this.drawAsTrained(this.image, this.usesCopy(this.image)) });
    this.fitProgress = h("progress", { max: 1, value: 0, "aria-label": "Fitting to this photograph" });
    this.fitShare = h("span");
    this.fitRunning = h("div.fitting", {}, this.fitProgress, this.fitShare, h("button", { type: "button", onclick: () => this.fitting.get(this.image)?.cancelling.abort() }, "Cancel"));
    return (this.fitBox = h("section.fit.card", { "aria-label": "Fit to this photograph", hidden: true }, this.fitText, this.fitRunning, this.fitButton, this.fitSwitch));
  }

  /** What is to be said of, and done about, the copy of the image that is shown. */
  showFit() {
    const image = this.images.get(this.image);
    if (!this.can.fit || !image) return;
    const running = this.fitting.get(image.id), { fitted } = image, used = this.usesCopy(image.id);
    this.fitBox.hidden = !image.original;
    this.fitButton.hidden = Boolean(fitted || running);
    this.fitSwitch.hidden = !fitted;
    this.fitRunning.hidden = !running;
    this.rebuiltFigure.figure.querySelector("b").textContent = used ? "Rebuilt, fitted" : "Rebuilt";
    if (running) {
      this.fitProgress.value = running.share;
      this.fitShare.textContent = running.words;
    }
    const photo = this.detail?.id === image.id ? this.detail.probabilities : null, before = this.rebuilt.get(this.place(image.id));
    if (fitted && used) {
      const label = this.numbers ? this.asked : photo && best(photo);
      const said = photo && before ? [`; ${this.titled(label)} ${this.shown(before.probabilities, label)}, photograph ${this.shown(photo, label)}`] : [];
      this.fitText.replaceChildren("Drawn by ", h("b", {}, "a copy of the generator fitted to this photograph"), ": mean difference ", mean(fitted.l1), " instead of ", mean(fitted.l1_before), ...said, ". ");
      this.fitSwitch.textContent = "Use the generator as trained";
    } else if (fitted) {
      this.fitText.replaceChildren("Drawn by the generator as trained: mean difference ", mean(fitted.l1_before), ". The copy fitted to this photograph: ", mean(fitted.l1), ". ");
      this.fitSwitch.textContent = "Use the fitted copy";
    } else if (running) {
      this.fitText.replaceChildren("Fitting a copy of the generator to this photograph. Knobs go on meanwhile, on the generator as trained.");
    } else {
      this.fitText.replaceChildren("The generator redraws this photograph roughly. A copy fitted to it comes nearer", this.fitTakes === undefined ? "." : `; about ${duration(this.fitTakes)}.`);
    }
  }

  /** About how many seconds a fit takes; asked once. */
  async askFitSeconds(id) {
    if (this.fitTakes === undefined) this.fitTakes = await this.trying(() => this.source.fitSeconds(id));
    this.showFit();
    return this.fitTakes ?? Infinity;
  }

  async fit(id) {
    if (this.fitting.has(id) || !this.images.has(id)) return;
    const running = { share: 0, words: "", cancelling: new AbortController() }, began = performance.now(), { name } = this.images.get(id);
    this.fitting.set(id, running);
    this.say(`Fitting a copy of the generator to ${name}`);
    this.showFit();
    this.showAnswer();
    const image = await this.trying(() => this.source.fit(id, { signal: running.cancelling.signal, progress: (done, total) => {
      const left = done > 4 ? (((performance.now() - began) / 1000) * (total - done)) / done : null;
      running.share = total ? done / total : 0;
      running.words = total ? `${Math.round(100 * running.share)}%${left === null ? "" : `, ${duration(left)} left`}` : "waiting";
      this.showFit();
    } }));
    this.fitting.delete(id);
    if (image) this.fitTakes = undefined; // known better now
    if (image === null) this.say("The fit was cancelled");
    if (image) {
      this.asTrained.delete(id);
      this.say(`${name} is now drawn by a copy of the generator fitted to it`);
      this.take(image);
    }
    this.showFit();
    this.showAnswer();
  }

  /** Another drawer of an image: as trained, or its copy. */
  drawAsTrained(id, asTrained) {
    if (asTrained) this.asTrained.add(id);
    else this.asTrained.delete(id);
    this.redraw(id);
  }

  /** What the server says of an image now. */
  take(image) {
    const old = this.images.get(image.id);
    if (!old || same(old.fitted, image.fitted)) return;
    this.images.set(image.id, { ...old, fitted: image.fitted });
    this.redraw(image.id);
  }

  redraw(id) {
    this.tileAnew(id);
    this.showFit();
    if (id !== this.image && id !== this.other) return;
    this.flipped.hidden = true;
    this.drawKnobs({ now: true });
  }

  /** Whether a copy that was to draw is kept no longer; it is said, and the generator as trained draws again. */
  lost(turns, frames) {
    const gone = new Set(turns.filter((turn, i) => turn.fitted && !frames[i].fitted).map((turn) => turn.image));
    for (const id of gone) {
      if (id === this.image) this.tell(`The copy fitted to ${this.images.get(id).name} has made room for newer ones; fit it again.`);
      this.rebuilt.delete(`${id} fitted`);
      this.images.set(id, { ...this.images.get(id), fitted: null });
    }
    for (const id of gone) this.tileAnew(id);
    if (gone.size) this.showFit();
    return gone.size > 0;
  }

  tileAnew(id) {
    if (!this.tiles) return;
    [...this.tiles.children].find((tile) => tile.dataset.id === id)?.remove();
    this.showGallery();
  }

  reference(name) {
    const canvas = h("canvas", { role: "img", "aria-label": name });
    const words = h("span.words");
    return { canvas, words, figure: h("figure.reference", {}, canvas, h("figcaption", {}, h("b", {}, name), words)) };
  }

  dragToPan(frame) {
    let from = null;
    this.listen(frame, "pointerdown", (event) => {
      if (this.look.zoom === 1 || event.target === this.wipe) return;
      from = { x: event.clientX, y: event.clientY, look: { ...this.look } };
      frame.setPointerCapture(event.pointerId);
    });
    this.listen(frame, "pointermove", (event) => {
      if (!from) return;
      const span = frame.clientWidth * (this.look.zoom - 1);
      this.look.x = clamp(from.look.x - (event.clientX - from.x) / span, 0, 1);
      this.look.y = clamp(from.look.y - (event.clientY - from.y) / span, 0, 1);
      this.draw();
    });
    for (const kind of ["pointerup", "pointercancel"]) this.listen(frame, kind, () => { from = null; });
  }

  zoom(by) {
    const zoom = clamp(this.look.zoom * by, 1, 8);
    if (this.look.zoom === 1 && zoom > 1 && this.before && this.now) {
      const { centre } = differenceOf(this.before, this.now);
      // So that the middle of the change comes to the middle.
      this.look.x = clamp((centre.x - 0.5 / zoom) / (1 - 1 / zoom), 0, 1);
      this.look.y = clamp((centre.y - 0.5 / zoom) / (1 - 1 / zoom), 0, 1);
    }
    this.look.zoom = zoom;
    this.zoomText.textContent = `${zoom}×`;
    this.frame.classList.toggle("zoomed", zoom > 1);
    this.draw();
  }

  setMode(mode) {
    this.mode = mode;
    for (const button of this.stage.querySelectorAll("[data-mode]")) {
      const on = button.dataset.mode === mode;
      button.setAttribute("aria-checked", String(on));
      button.tabIndex = on ? 0 : -1;
    }
    clearInterval(this.flicker);
    this.showsChanged = true;
    const still = this.still.matches;
    this.swap.hidden = !(mode === "flicker" && still);
    this.wipe.hidden = this.line.hidden = mode !== "wipe";
    if (mode === "flicker" && !still) {
      this.flicker = setInterval(() => {
        if (document.hidden) return;
        this.showsChanged = !this.showsChanged;
        this.draw();
        this.drawOthers();
      }, FLICKER_MS);
    }
    this.draw();
    this.drawOthers();
  }

  async show(id) {
    if (!this.images.has(id)) return;
    this.image = id;
    if (this.other === id) this.other = null;
    const image = this.images.get(id);
    this.nameLine.textContent = image.name;
    this.detail = null;
    this.photoBitmap = null;
    // What was said of another image is not this one's.
    this.flipped.hidden = true;
    if (this.found) this.found.hidden = this.foundFor !== id;
    // Another image's own knobs are not this one's.
    for (const knob of [...this.turned.keys()]) if (!this.fits(this.knobs[knob], id)) this.turned.delete(knob);
    if (this.active === null || !this.fits(this.knobs[this.active], id)) this.active = this.visibleKnobs()[0]?.id ?? null;
    this.element.classList.remove("empty");
    if (this.tiles) this.showGallery();
    this.showKnobs();
    this.showFit();
    this.drawKnobs({ now: true });
    this.say(`${image.name} is shown`);
    await this.trying(async () => {
      const detail = await this.source.image(id);
      if (this.image !== id) return;
      this.detail = detail;
      this.take(detail);
      if (detail.original) {
        const picture = new Image();
        picture.src = this.source.pictureURL(id, "original");
        await picture.decode();
        if (this.image !== id) return;
        this.photoBitmap = picture;
      }
      this.draw();
      this.showAnswer();
    });
  }

  showEmpty() {
    this.element.classList.add("empty");
    this.nameLine.textContent = this.can.upload ? "Bring an image to begin" : "There is no image to show";
  }

  /** The knobs have moved, or the image is another one. */
  drawKnobs({ now = false } = {}) {
    if (this.image === null) return;
    clearTimeout(this.resting);
    this.rested = false;
    this.resting = setTimeout(() => this.rest(), now ? 0 : REST_MS);
    this.askKnobs();
  }

  /** Ask for the picture with the knobs as they are, exactly once they rest; never more than one request is on its way. */
  async askKnobs() {
    if (this.asking) {
      this.askAgain = true;
      return;
    }
    this.asking = true;
    do {
      this.askAgain = false;
      const images = [this.image, ...(this.other ? [this.other] : [])];
      const missing = images.filter((id) => !this.rebuilt.has(this.place(id))), places = images.map((id) => this.place(id));
      const turns = [...images.map((id) => this.turn(id)), ...missing.map((id) => this.turn(id, {}))];
      // A difference shows what a draft has not.
      const frames = await this.trying(() => this.source.frames(turns, { lane: "knob", draft: !this.rested && this.mode !== "difference" }));
      if (frames && this.lost(turns, frames)) {
        this.askAgain = true;
      } else if (frames && images[0] === this.image && (images[1] ?? null) === this.other && same(places, images.map((id) => this.place(id)))) {
        missing.forEach((id, i) => this.rebuilt.set(this.place(id), frames[images.length + i]));
        this.before = this.rebuilt.get(places[0]);
        this.now = this.answered(places[0], frames[0]);
        this.nowOther = images[1] ? this.answered(places[1], frames[1]) : null;
        this.askAgain ||= this.rested && this.drafted();
        this.draw();
        this.showAnswer();
      } else if (!frames) {
        this.askAgain = this.askAgain && frames !== undefined;
      } else {
        this.askAgain = true;
      }
    } while (this.askAgain && !this.ended.signal.aborted);
    this.asking = false;
  }

  /** A frame as it is to be shown: a small one has the last answer of its image that is known. */
  answered(place, frame) {
    if (frame.small) frame.probabilities = this.lastAnswers.get(place) ?? this.rebuilt.get(place).probabilities;
    else this.lastAnswers.set(place, frame.probabilities);
    return frame;
  }

  drafted() { return Boolean(this.now?.draft || this.nowOther?.draft); }

  /** The knobs have come to rest: draw a draft anew, the strip and the other images, and remember the place. */
  rest() {
    this.rested = true;
    if (this.drafted()) this.askKnobs();
    if (this.options.address) writeAddress(this.image, this.turned);
    this.drawStrip();
    this.askOthers();
  }

  draw() {
    if (!this.now || !this.before) return;
    const look = this.look.zoom > 1 ? this.look : null;
    const show = (canvas, picture) => paint(canvas, picture, look, this.smooth);
    const resting = same(this.now.probabilities, this.before.probabilities) && ![...this.turned.values()].some((share) => share !== 0);
    const changed = canvasOf(this.now), before = canvasOf(this.before);
    show(this.rebuiltFigure.canvas, before);
    this.photo.figure.hidden = !(this.images.get(this.image)?.original);
    this.stage.querySelector(".arrow").hidden = this.photo.figure.hidden;
    if (this.photoBitmap) show(this.photo.canvas, this.photoBitmap);
    const single = this.other === null && this.mode !== "side";
    this.stage.classList.toggle("two", !single);
    this.stage.classList.toggle("comparing", this.other !== null);
    this.secondFigure.hidden = single;
    this.legend.hidden = this.mode !== "difference";
    const chips = { changed: resting ? "rebuilt" : "changed", side: resting ? "rebuilt" : "changed", wipe: "rebuilt | changed", difference: "difference", flicker: this.showsChanged ? "changed" : "rebuilt" };
    if (this.now.small) chips.changed = chips.side = "changed, half size";
    this.chip.textContent = this.other === null ? chips[this.mode] : `${this.images.get(this.image).name}: ${chips[this.mode]}`;
    this.big.setAttribute("aria-label", `${this.images.get(this.image)?.name}: ${chips[this.mode]}; ${this.now.small ? HALF_SIZE : `the classifier says ${this.answer(this.now.probabilities)}`}`);
    this.compose(this.big, show, this.before, this.now);
    this.caption.replaceChildren(...this.said(this.before, this.now, resting));
    if (this.other !== null && this.nowOther) {
      const first = this.rebuilt.get(this.place(this.other)) ?? this.nowOther;
      this.compose(this.second, show, first, this.nowOther);
      this.secondChip.textContent = `${this.images.get(this.other)?.name}: ${chips[this.mode]}`;
      this.second.setAttribute("aria-label", `${this.secondChip.textContent}; ${this.nowOther.small ? HALF_SIZE : `the classifier says ${this.answer(this.nowOther.probabilities)}`}`);
      this.secondCaption.replaceChildren(...this.said(first, this.nowOther, resting));
    } else if (this.mode === "side") {
      show(this.second, before);
      this.secondChip.textContent = "rebuilt";
      this.second.setAttribute("aria-label", "As rebuilt");
      this.secondCaption.replaceChildren(`The classifier says ${this.answer(this.before.probabilities)}`);
    }
    this.line.style.left = `${this.wipe.value}%`;
  }

  compose(canvas, show, before, now) {
    if (this.mode === "difference") {
      const difference = differenceOf(before, now);
      show(canvas, canvasOf(difference));
      this.legend.querySelector(".scale").textContent = `full colour: a change of ${percent(difference.scale)}`;
    } else if (this.mode === "wipe") {
      const both = document.createElement("canvas");
      show(canvas, canvasOf(before));
      both.width = both.height = canvas.width;
      const cut = Math.round((this.wipe.value / 100) * canvas.width);
      if (cut > 0) both.getContext("2d").drawImage(canvas, 0, 0, cut, canvas.height, 0, 0, cut, canvas.height);
      show(canvas, canvasOf(now));
      canvas.getContext("2d").drawImage(both, 0, 0);
    } else {
      show(canvas, canvasOf(this.mode === "flicker" && !this.showsChanged ? before : now));
    }
  }

  said(before, now, resting) {
    if (now.small) return [`Drawn at ${HALF_SIZE}.`];
    const from = this.answer(before.probabilities), to = this.answer(now.probabilities);
    const sure = (p) => (this.about.output === "softmax" ? ` ${percent(p[best(p)])}` : "");
    if (resting) return ["The classifier says ", h("b", {}, to), `${sure(now.probabilities)}. Turn a knob.`];
    const was = before.probabilities, is = now.probabilities;
    if (this.numbers) {
      const words = [`${this.titled(this.asked)} ${this.shown(was, this.asked)} → `, h("b", {}, this.shown(is, this.asked))];
      return this.turnedOver(was, is) ? [h("span.flipped", {}, "Moved"), " ", ...words] : words;
    }
    if (from === to) return ["The answer stays ", h("b", {}, to), this.about.output === "softmax" ? `, ${percent(was[best(was)])} → ${percent(is[best(is)])}` : ""];
    return [h("span.flipped", {}, "Flipped"), ` ${from}${sure(was)} → `, h("b", {}, to), sure(is)];
  }

  // The answer.

  buildAnswer() {
    this.answerWord = h("p.answer", {}, " ");
    this.bars = h("table.bars", {}, h("caption.hidden", {}, this.numbers ? "Each number on its scale: now, and as rebuilt" : "Probability of each class: now, and as rebuilt"),
      h("colgroup", {}, h("col.label"), h("col"), h("col.share"), h("col.moves")), h("tbody"));
    this.allClasses = h("button.link", { type: "button", hidden: true, onclick: () => { this.everyClass = !this.everyClass; this.showAnswer(); } });
    return h("section.answers.card", { "aria-label": "The classifier’s answer" }, h("h2", {}, "The classifier says"), this.answerWord, this.bars, this.numbers ? this.buildScale() : null, this.allClasses);
  }

  /** What the ends of the bars are. */
  buildScale() {
    this.bars.classList.add("numbers");
    const whose = this.numbers.measured ? "least and most said of the training images" : "ends of the scale";
    const mark = "the thin line: as rebuilt";
    return h("div.scales", {}, this.rows().map((label) => {
      const [low, high] = this.numbers.ends[label].map((end) => this.amount(end));
      return h("p.fine", {}, `${this.rows().length > 1 ? `${this.numbers.names[label]}: ` : ""}${low} to ${high}, ${whose}; ${mark}`);
    }));
  }

  showAnswer() {
    if (!this.now || !this.before) return;
    const p = this.now.probabilities, before = this.before.probabilities, photo = this.detail?.id === this.image ? this.detail.probabilities : null;
    const to = this.answer(p);
    const flipped = this.turnedOver(before, p), moved = this.numbers && this.amount(this.value(p, this.asked) - this.value(before, this.asked), { sign: true });
    this.answerWord.replaceChildren(h("span.word", {}, to), this.about.output === "softmax" ? h("span.sure", {}, percent(p[best(p)])) : "", flipped ? h("span.flipped", {}, moved ? `moved ${moved}` : "flipped") : "", this.now.small ? h("span.earlier", {}, "before this turn") : "");
    this.answerWord.parentElement.classList.toggle("earlier", this.now.small === true);
    const order = this.rows();
    const few = this.labels.length <= 8 || this.everyClass;
    let shown = order;
    if (!few) {
      const leading = order.slice().sort((a, b) => Math.max(p[b], before[b]) - Math.max(p[a], before[a])).slice(0, 5);
      shown = [...new Set([this.target, ...leading])].sort((a, b) => a - b);
    }
    const body = this.bars.tBodies[0];
    if (body.children.length !== shown.length) body.replaceChildren(...shown.map(() => barRow()));
    shown.forEach((label, i) => {
      const row = body.children[i], at = this.along(p, label), was = this.along(before, label), change = at - was;
      row.classList.toggle("top", this.numbers ? label === this.asked : this.about.output === "softmax" ? label === best(p) : p[label] >= 0.5);
      row.cells[0].textContent = this.numbers ? this.numbers.names[label] : this.labels[label];
      row.querySelector(".now").setAttribute("width", 100 * at);
      const moved = row.querySelector(".moved");
      moved.setAttribute("x", 100 * Math.min(at, was));
      moved.setAttribute("width", 100 * Math.abs(change));
      moved.setAttribute("class", `moved ${change >= 0 ? "up" : "down"}`);
      for (const side of ["x1", "x2"]) row.querySelector(".was").setAttribute(side, 100 * was);
      row.cells[2].textContent = this.shown(p, label);
      if (this.numbers) row.cells[3].textContent = Math.abs(this.value(p, label) - this.value(before, label)) < 0.5 * 10 ** -this.numbers.digits ? "" : this.amount(this.value(p, label) - this.value(before, label), { sign: true, unit: false });
      else row.cells[3].textContent = Math.abs(change) < 0.0005 ? "" : `${change > 0 ? "+" : "−"}${(100 * Math.abs(change)).toFixed(Math.abs(change) < 0.01 ? 1 : 0)}`;
      row.cells[3].className = `change ${change >= 0 ? "up" : "down"}`;
    });
    this.allClasses.hidden = this.labels.length <= 8;
    this.allClasses.textContent = this.everyClass ? "Show fewer" : `Show all ${this.labels.length} classes`;
    clearTimeout(this.saying);
    if (!this.now.small) this.saying = setTimeout(() => this.say(`The classifier says ${to}${this.about.output === "softmax" ? `, ${percent(p[best(p)])}` : ""}${flipped ? (moved ? `. It has moved by ${moved}` : ". The answer has flipped") : ""}`), 500);
    // The references, and whether to trust them.
    this.rebuiltFigure.words.textContent = this.short(before);
    if (photo) {
      this.photo.words.textContent = this.short(photo);
      this.showFit();
      const said = this.answer(photo), ofIt = this.answer(before), gap = Math.abs(photo[best(photo)] - before[best(photo)]);
      const apart = this.numbers ? Math.abs(this.value(photo, this.asked) - this.value(before, this.asked)) > this.numbers.scale[this.asked] / 2 : said !== ofIt;
      this.warning.hidden = !apart && (this.numbers !== null || gap < 0.25);
      this.warning.classList.toggle("grave", apart);
      const remedy = this.can.fit && !this.images.get(this.image).fitted && !this.fitting.has(this.image)
        ? h("button.link", { type: "button", onclick: () => this.fit(this.image) }, "Fit to this photograph") : "";
      this.warning.replaceChildren(icon("warn"), h("p", {}, apart
        ? [h("b", {}, "The classifier does not agree with itself here. "), `It says ${said} of the photograph but ${ofIt} of the rebuilt picture, so what moves the rebuilt one need not be what decides about the photograph. `, remedy]
        : [h("b", {}, "Take small changes with care. "), `The probability of ${this.labels[best(photo)]} is ${percent(photo[best(photo)])} on the photograph and ${percent(before[best(photo)])} on the rebuilt picture. `, remedy]));
    } else {
      this.warning.hidden = true;
    }
  }

  short(p) {
    return this.about.output === "softmax" ? `${this.labels[best(p)]} ${percent(p[best(p)])}` : this.answer(p);
  }

  // The knobs.

  buildKnobs() {
    const button = (name, text, does, title) => h("button", { type: "button", title, onclick: does }, icon(name), text);
    this.flipButton = this.can.flip ? h("button.primary", { type: "button", title: "Turn the fewest knobs that change the answer (x)", onclick: () => this.flipIt(this.numbers ? this.asked : null) }, icon("flip"), this.numbers ? "Raise" : "Flip it") : null;
    this.lowerButton = this.can.flip && this.numbers ? h("button.primary", { type: "button", title: `Turn the fewest knobs that lower it by ${this.amount(this.numbers.by)} (Shift x)`, onclick: () => this.flipIt(this.labels.length - 1) }, icon("flip"), "Lower") : null;
    if (this.lowerButton) this.flipButton.title = `Turn the fewest knobs that raise it by ${this.amount(this.numbers.by)} (x)`;
    this.undoButton = h("button.quiet", { type: "button", "aria-label": "Undo", title: "Undo (z)", onclick: () => this.undo() }, icon("undo"));
    this.redoButton = h("button.quiet", { type: "button", "aria-label": "Redo", title: "Redo (Shift z)", onclick: () => this.redo() }, icon("redo"));
    this.resetButton = button("reset", "Reset", () => this.setKnobsTo({}), "All knobs to rest (r)");
    this.knobList = h("ul.knoblist");
    this.ownList = h("ul.knoblist");
    this.ownHeading = h("h3", { hidden: true }, "Found for this image alone");
    this.flipped = h("p.finding", { role: "status", hidden: true });
    this.hiddenButton = h("button.link", { type: "button", hidden: true, onclick: () => { this.showHidden = !this.showHidden; this.showKnobs(); } });
    return h("section.knobs.card", { "aria-label": "Knobs" },
      h("div.row", {}, h("h2", {}, "Knobs"), h("div.tools", {}, this.undoButton, this.redoButton, this.resetButton, ...[this.flipButton, this.lowerButton].filter(Boolean))),
      this.flipped,
      h("p.rangekey", {}, h("i.seen"), "seen in photos ", h("i.beyond"), "beyond, partly invented"),
      this.knobList, this.ownHeading, this.ownList, this.hiddenButton, this.can.search ? this.buildSearch() : null);
  }

  showKnobs() {
    const visible = this.visibleKnobs();
    const fill = (list, knobs) => {
      const known = new Map([...list.children].map((row) => [Number(row.dataset.knob), row]));
      const wanted = knobs.map((knob) => known.get(knob.id) ?? this.knobRow(knob));
      wanted.forEach((row, i) => { if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null); });
      while (list.children.length > wanted.length) list.lastChild.remove();
      wanted.forEach((row, i) => this.showKnob(row, knobs[i]));
    };
    const own = visible.filter((knob) => knob.image !== null);
    fill(this.knobList, visible.filter((knob) => knob.image === null));
    fill(this.ownList, own);
    this.ownHeading.hidden = own.length === 0;
    const hidden = this.knobs.filter((knob) => knob.hidden && this.fits(knob, this.image)).length;
    this.hiddenButton.hidden = hidden === 0 || !this.can.hide;
    this.hiddenButton.textContent = this.showHidden ? "Do not show hidden knobs" : `Show ${hidden} hidden ${hidden === 1 ? "knob" : "knobs"}`;
    this.element.querySelector(".rangekey").hidden = visible.length === 0;
    this.undoButton.disabled = !this.past.length;
    this.redoButton.disabled = !this.future.length;
    this.resetButton.disabled = ![...this.turned.values()].some((share) => share !== 0);
    for (const flip of [this.flipButton, this.lowerButton]) if (flip) flip.disabled = !visible.length || this.image === null;
    if (this.searchButton) this.searchButton.disabled = this.image === null;
  }

  knobRow(knob) {
    const limit = this.limit(knob.id), seen = Math.min(1 / knob.full, limit);
    const slider = h("input.slider", {
      type: "range", min: -limit, max: limit, step: limit / 100, value: 0,
      oninput: (event) => this.turnTo(knob.id, Number(event.target.value), { snap: true }), onchange: () => this.commit(),
      onfocus: () => this.activate(knob.id),
      onkeydown: (event) => this.sliderKey(event, knob.id),
    });
    slider.style.setProperty("--seen", (0.5 * seen) / limit);
    const [less, more] = knob.effect >= 0 ? ["less", "more"] : ["more", "less"];
    const target = this.labels[knob.target], number = this.numbers && this.numbers.names[knob.target];
    const rises = this.numbers && (knob.effect >= 0) !== this.falls(knob.target);
    const words = (word) => (this.numbers ? `${(word === more) === rises ? "more" : "less"} ${number}` : this.labels.length === 2 && word === "less" ? `more ${this.labels[1 - knob.target]}` : `${word} ${target}`);
    return h("li.knob", { "data-knob": knob.id, onpointerdown: () => this.activate(knob.id) },
      h("div.knobhead", {}, h("span.rank", { "aria-hidden": "true" }, String(knob.id + 1)), h("span.name", { title: `${knob.technical}; ${this.numbers ? `moves ${number} by ${this.amount(rises ? Math.abs(knob.effect) : -Math.abs(knob.effect), { sign: true })}` : `raises the score by ${knob.effect.toFixed(2)}`}` }), h("output.value"),
        h("span.knobtools", {},
          this.can.rename ? h("button.quiet.rename", { type: "button", title: "Name it", onclick: () => this.rename(knob.id) }, icon("pen")) : null,
          this.can.hide ? h("button.quiet.hide", { type: "button", onclick: () => this.hide(knob.id) }, icon("off")) : null)),
      h("div.slide", {}, slider, h("i.rest", { "aria-hidden": "true" })),
      h("div.ends", { "aria-hidden": "true" }, h("span", {}, `← ${words(less)}`), h("span", {}, `${words(more)} →`)));
  }

  showKnob(row, knob) {
    const share = this.share(knob.id), u = share * knob.full, beyond = Math.abs(u) > 1.001;
    const slider = row.querySelector(".slider"), value = row.querySelector(".value"), name = row.querySelector(".name");
    const text = share === 0 ? "as is" : `${u > 0 ? "+" : "−"}${Math.round(Math.abs(100 * u))}%${beyond ? " · beyond" : ""}`;
    if (Number(slider.value) !== share) slider.value = share;
    const at = 0.5 + (0.5 * share) / this.limit(knob.id);
    slider.style.setProperty("--from", Math.min(0.5, at));
    slider.style.setProperty("--to", Math.max(0.5, at));
    row.classList.toggle("active", knob.id === this.active);
    row.classList.toggle("turned", share !== 0);
    row.classList.toggle("beyond", beyond);
    row.classList.toggle("put-away", knob.hidden);
    slider.setAttribute("aria-label", `${knob.name}, towards ${this.labels[knob.target]}`);
    slider.setAttribute("aria-valuetext", share === 0 ? "as is" : `${Math.round(100 * u)} percent of the way to the most extreme seen${beyond ? ", beyond what was seen" : ""}`);
    value.textContent = text;
    if (!name.querySelector("input")) {
      name.textContent = knob.name;
      name.classList.toggle("unnamed", !knob.label);
    }
    row.querySelector(".rename")?.setAttribute("aria-label", `Name ${knob.name}`);
    const hide = row.querySelector(".hide");
    if (hide) {
      hide.title = knob.hidden ? "Show it again" : "Hide it: it is not worth showing";
      hide.setAttribute("aria-label", `${knob.hidden ? "Show" : "Hide"} ${knob.name}`);
      const drawn = knob.hidden ? "eye" : "off"; // anew only when it changes: what is pressed must not be replaced
      if (hide.dataset.icon !== drawn) hide.replaceChildren(icon((hide.dataset.icon = drawn)));
    }
  }

  activate(knob) {
    if (this.active === knob) return;
    this.active = knob;
    this.showKnobs();
    this.showAnswer();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), REST_MS);
  }

  sliderKey(event, knob) {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    const { stops } = this.knobs[knob];
    if (by && stops) {
      event.preventDefault();
      const at = stops.reduce((a, b, i) => (Math.abs(b - this.share(knob)) < Math.abs(stops[a] - this.share(knob)) ? i : a), 0);
      this.turnTo(knob, stops[clamp(at + by, 0, stops.length - 1)]);
      this.commit();
    } else if (by) {
      event.preventDefault();
      const step = (event.shiftKey ? 0.02 : 0.1) / this.knobs[knob].full;
      this.turnTo(knob, clamp(Math.round(this.share(knob) / step + by) * step, -this.limit(knob), this.limit(knob)));
      this.commit();
    } else if (event.key === "0") {
      event.preventDefault();
      this.turnTo(knob, 0);
      this.commit();
    }
  }

  turnTo(knob, share, { snap = false } = {}) {
    this.wasTurned ??= plain(this.turned);
    const { stops } = this.knobs[knob];
    if (stops) share = stops.reduce((a, b) => (Math.abs(b - share) < Math.abs(a - share) ? b : a));
    else if (snap && Math.abs(share) < this.limit(knob) * 0.025) share = 0;
    if (!this.can.combine) this.turned.clear();
    this.turned.set(knob, Math.abs(share) < 1e-9 ? 0 : share);
    this.active = knob;
    this.flipped.hidden = true;
    this.showKnobs();
    this.drawKnobs();
  }

  /** A movement is at its end: it can be undone. */
  commit() {
    const was = this.wasTurned;
    this.wasTurned = undefined;
    if (was && !same(was, plain(this.turned))) {
      this.past.push(was);
      this.future = [];
      this.showKnobs();
    }
  }

  setKnobsTo(knobs, { remember = true } = {}) {
    const was = plain(this.turned);
    this.turned = new Map(Object.entries(knobs).map(([knob, share]) => [Number(knob), share]));
    if (remember && !same(was, knobs)) {
      this.past.push(was);
      this.future = [];
    }
    this.flipped.hidden = true;
    this.showKnobs();
    this.drawKnobs();
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(plain(this.turned));
    this.setKnobsTo(this.past.pop(), { remember: false });
  }
  redo() {
    if (!this.future.length) return;
    this.past.push(plain(this.turned));
    this.setKnobsTo(this.future.pop(), { remember: false });
  }

  rename(id) {
    const knob = this.knobs[id];
    const row = this.element.querySelector(`[data-knob="${id}"]`), place = row.querySelector(".name");
    if (place.querySelector("input")) return;
    let finished = false;
    const finish = async (label) => {
      if (finished) return;
      finished = true;
      const knobs = label === null ? undefined : await this.trying(() => this.source.rename(id, label || null));
      input.remove();
      if (knobs) {
        this.setKnobs(knobs);
        this.tell(knob.kept ? "The name is saved in the explanation." : "The name lasts as long as this explorer runs.");
      }
      this.showKnobs();
      this.drawStrip();
    };
    const input = h("input", { value: knob.label ?? "", maxLength: 120, placeholder: "What changes in the picture?", "aria-label": `Name of ${knob.name}`,
      onblur: () => finish(input.value.trim()), onkeydown: (event) => {
        event.stopPropagation();
        if (event.key === "Enter" || event.key === "Escape") {
          finish(event.key === "Enter" ? input.value.trim() : null);
          row.querySelector(".rename").focus();
        }
      } });
    place.replaceChildren(input);
    input.select();
    input.focus();
  }

  async hide(id) {
    const hidden = !this.knobs[id].hidden;
    const knobs = await this.trying(() => this.source.hide(id, hidden));
    if (!knobs) return;
    this.setKnobs(knobs);
    if (hidden) {
      this.turned.delete(id);
      if (this.active === id) this.active = this.visibleKnobs()[0]?.id ?? null;
      this.drawKnobs();
    }
    this.showKnobs();
  }

  async flipIt(target = null) {
    if (this.image === null) return;
    const image = this.image, fitted = this.usesCopy(image);
    for (const button of [this.flipButton, this.lowerButton]) if (button) button.disabled = true;
    const flip = await this.trying(() => this.source.flip(image, target, this.visibleKnobs().filter((knob) => !knob.hidden).map((knob) => knob.id), fitted));
    for (const button of [this.flipButton, this.lowerButton]) if (button) button.disabled = false;
    if (!flip || this.image !== image) return;
    await this.glide(flip.knobs);
    this.flipped.textContent = flip.sentence + (!flip.flipped && this.can.search ? " Search this image for knobs of its own." : "");
    this.flipped.hidden = false;
  }

  /** Turn the knobs to new places, slowly enough to see it. */
  async glide(knobs) {
    const from = plain(this.turned), ids = [...new Set([...Object.keys(from), ...Object.keys(knobs)])].map(Number);
    if (this.can.combine && !this.still.matches) {
      const began = performance.now(), lasts = 700;
      for (let t = 0; t < 1; t = (performance.now() - began) / lasts) {
        const eased = t * t * (3 - 2 * t);
        for (const id of ids) this.turned.set(id, (from[id] ?? 0) + eased * ((knobs[id] ?? 0) - (from[id] ?? 0)));
        this.showKnobs();
        this.drawKnobs();
        await new Promise(requestAnimationFrame);
      }
    }
    this.turned = new Map(Object.entries(from).map(([knob, share]) => [Number(knob), share]));
    const moved = Object.keys(knobs).map(Number);
    if (moved.length) this.active = moved[0];
    this.setKnobsTo(knobs);
  }

  // The search of an image's own knobs.

  buildSearch() {
    this.goal = h("select", { "aria-label": "Towards which answer to search" }, this.numbers ? null : h("option", { value: "" }, "the next likely answer"), this.labels.map((label, i) => h("option", { value: String(i) }, label)));
    this.searchButton = h("button", { type: "button", onclick: () => this.search() }, icon("search"), "Search");
    this.progress = h("progress", { max: 1, value: 0, "aria-label": "Searching" });
    this.progressText = h("span", {}, "0%");
    this.searching = h("div.searching", { hidden: true }, this.progress, this.progressText, h("button", { type: "button", onclick: () => this.cancelling?.abort() }, "Cancel"));
    this.searchForm = h("div.searchform", {}, h("label", {}, "towards ", this.goal), this.searchButton);
    this.found = h("p.finding", { role: "status", hidden: true });
    return h("div.own", {}, h("h3", {}, "What matters for this image?"), h("p.fine", {}, "Tries what the generator can change in this image, one thing at a time."), this.searchForm, this.searching, this.found);
  }

  async search() {
    const image = this.image, fitted = this.usesCopy(image);
    this.cancelling = new AbortController();
    this.searchForm.hidden = true;
    this.searching.hidden = false;
    this.found.hidden = true;
    this.progress.value = 0;
    this.progressText.textContent = "0%";
    const goal = this.goal.value === "" ? null : Number(this.goal.value);
    const result = await this.trying(() => this.source.search(image, goal, { fitted, signal: this.cancelling.signal, progress: (done, total) => {
      this.progress.value = total ? done / total : 0;
      this.progressText.textContent = total ? `${Math.round((100 * done) / total)}%` : "waiting";
    } }));
    this.searchForm.hidden = false;
    this.searching.hidden = true;
    if (result === null) this.say("The search was cancelled");
    if (!result) return;
    result.knobs.forEach((id, place) => { result.allKnobs[id].found = { place, target: result.flip.target, fitted }; });
    for (const old of this.knobs) if (old.found && result.allKnobs[old.id] && !result.allKnobs[old.id].found) result.allKnobs[old.id].found = old.found;
    this.setKnobs(result.allKnobs);
    this.found.replaceChildren(result.finding, " ", Object.keys(result.flip.knobs).length
      ? h("button.link", { type: "button", onclick: () => this.image === image && this.glide(result.flip.knobs) }, result.flip.flipped && !this.numbers ? "Flip it with these" : "Turn them") : "");
    this.foundFor = image;
    this.found.hidden = this.image !== image;
    if (this.image === image) {
      this.active = result.knobs[0] ?? this.active;
      this.showKnobs();
      this.rest();
    }
  }

  // The strip: the active knob from end to end.

  buildStrip() {
    this.stripTitle = h("h2", {}, "From end to end");
    this.strip = h("ol.strip");
    this.stripSection = h("section.strips", { "aria-label": "The knob from end to end", hidden: true }, h("div.row", {}, this.stripTitle, h("p.fine")), this.strip);
    return this.stripSection;
  }

  stripShares(knob) {
    const { full, stops } = this.knobs[knob], limit = this.limit(knob);
    if (stops) {
      const some = (list) => (list.length > 3 ? [0, 1, 2].map((i) => list[Math.round((i * (list.length - 1)) / 2)]) : list);
      return [...some(stops.filter((share) => share < 0)), ...stops.filter((share) => share === 0), ...some(stops.filter((share) => share > 0))];
    }
    return [-limit, ...STRIP_AT.map((u) => u / full).filter((share) => Math.abs(share) < limit - 1e-6), limit];
  }

  async drawStrip() {
    this.stripSection.hidden = this.active === null || this.image === null;
    if (this.stripSection.hidden) return;
    const knob = this.knobs[this.active], image = this.image, target = knob.target;
    const shares = this.stripShares(knob.id);
    const rest = plain(this.turned);
    delete rest[knob.id];
    this.stripTitle.textContent = `${knob.name}, from end to end`;
    this.stripSection.querySelector(".fine").textContent = `${this.titled(target)} below each picture`;
    const key = JSON.stringify([this.place(image), knob.id, rest]);
    if (this.stripKey !== key) {
      const frames = await this.trying(() => this.source.frames(shares.map((share) => this.turn(image, { ...rest, [knob.id]: share })), { lane: "strip", draft: true }));
      if (!frames || image !== this.image || this.active !== knob.id || (this.usesCopy(image) && !frames[0].fitted)) return;
      this.stripKey = key;
      this.strip.replaceChildren(...shares.map((share, i) => this.stripCell(knob, share, frames[i])));
      [...this.strip.children].forEach((cell, i) => paint(cell.querySelector("canvas"), canvasOf(frames[i])));
    }
    const now = this.share(knob.id), nearest = shares.reduce((a, b) => (Math.abs(b - now) < Math.abs(a - now) ? b : a));
    [...this.strip.children].forEach((cell, i) => cell.firstChild.setAttribute("aria-current", String(shares[i] === nearest)));
  }

  stripCell(knob, share, frame) {
    const u = share * knob.full, p = frame.probabilities;
    const text = share === 0 ? "as is" : `${u > 0 ? "+" : "−"}${Math.round(Math.abs(100 * u))}%`;
    const bar = svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", class: "minibar" }, svg("rect", { class: "rail", width: 100, height: 6 }), svg("rect", { class: "now", width: 100 * this.along(p, knob.target), height: 6 }));
    return h("li", {}, h(Math.abs(u) > 1.001 ? "button.beyond" : "button", { type: "button", title: `Turn ${knob.name} to ${text}`, onclick: () => { this.turnTo(knob.id, share); this.commit(); } },
      h("canvas", { "aria-hidden": "true" }), bar, h("span.hidden", {}, `${knob.name}, ${this.spoken(knob.target)} and turn: `), h("span.p", {}, this.shown(p, knob.target)), " ", h("span.at", {}, text)));
  }

  // Other images with the same knobs.

  buildOthers() {
    this.othersList = h("ul.others");
    this.othersFrom = 0;
    this.othersSection = h("section.otherimages", { "aria-label": "The same knobs on other images", hidden: true },
      h("div.row", {}, h("h2", {}, "The same knobs on other images"), h("button", { type: "button", onclick: () => { this.othersFrom += OTHERS; this.askOthers(); } }, "Other ones")),
      this.othersList);
    return this.othersSection;
  }

  async askOthers() {
    const known = this.filtered().map((image) => image.id).filter((id) => this.active === null || !this.knobs[this.active].images || this.knobs[this.active].images.includes(id));
    const all = known.filter((id) => id !== this.image && id !== this.other);
    const turned = Object.fromEntries(Object.entries(plain(this.turned)).filter(([knob]) => this.knobs[knob].image === null || this.can.combine));
    this.othersSection.hidden = all.length === 0 || this.active === null;
    if (this.othersSection.hidden) return;
    // Beginning behind the image shown, so that they change when it does.
    const start = (Math.max(0, known.indexOf(this.image)) + this.othersFrom) % all.length;
    const ids = [...new Set(Array.from({ length: Math.min(OTHERS, all.length) }, (_, i) => all[(start + i) % all.length]))];
    const missing = ids.filter((id) => !this.rebuilt.has(this.place(id))), places = ids.map((id) => this.place(id));
    const turns = [...ids.map((id) => this.turn(id, turned)), ...missing.map((id) => this.turn(id, {}))];
    const frames = await this.trying(() => this.source.frames(turns, { lane: "others", draft: true }));
    if (!frames) return;
    if (this.lost(turns, frames) || !same(places, ids.map((id) => this.place(id)))) return this.askOthers();
    missing.forEach((id, i) => this.rebuilt.set(this.place(id), frames[ids.length + i]));
    this.othersShown = ids.map((id, i) => ({ id, before: this.rebuilt.get(places[i]), now: frames[i] }));
    const target = this.target;
    this.othersList.replaceChildren(...this.othersShown.map(({ id, before, now }) => {
      const from = this.shown(before.probabilities, target), to = this.shown(now.probabilities, target), flips = this.turnedOver(before.probabilities, now.probabilities);
      const name = this.images.get(id)?.name ?? id;
      return h("li", {}, h("button", { type: "button", title: `Show ${name}`, onclick: () => this.show(id) },
        h("canvas", { "aria-hidden": "true" }), h("span.hidden", {}, `Show ${name}; ${this.spoken(target)}: `),
        h("span.p", {}, Object.keys(turned).length ? `${from} → ${to}` : from), " ", flips ? h("span.flipped", {}, this.numbers ? "moved" : this.answer(now.probabilities)) : ""));
    }));
    this.drawOthers();
  }

  drawOthers() {
    (this.othersShown ?? []).forEach(({ before, now }, i) => {
      const canvas = this.othersList.children[i]?.querySelector("canvas");
      if (canvas) paint(canvas, canvasOf(this.mode === "flicker" && !this.showsChanged ? before : now));
    });
  }

  // Taking it away.

  buildExport() {
    const item = (text, note, does) => h("button", { type: "button", onclick: () => { menu.open = false; this.trying(does); } }, h("b", {}, text), h("span", {}, note));
    const kinds = { png: ["Picture", "PNG: photograph, rebuilt, changed"], gif: ["Animation", "GIF: the knobs turned there and back"], webp: ["Animation, small", "WebP"], mp4: ["Film", "MP4, for slides"], html: ["Page", "HTML: a report of what is on screen"] };
    const items = (this.can.export ?? []).map((kind) => item(kinds[kind][0], kinds[kind][1], async () => save(await this.source.export(kind, this.turn(this.image)), `stylex.${kind}`)));
    items.push(item("Settings", "JSON: image, knobs, probabilities", async () => save(new Blob([JSON.stringify(this.settings(), null, 1)], { type: "application/json" }), "stylex.json")));
    if (this.about.repeat) items.push(item("Python", "the lines that repeat it", async () => this.showPython()));
    const menu = h("details.menu", {}, h("summary", { "aria-label": "Save" }, icon("save"), h("span", {}, "Save")), h("div.items", {}, items));
    this.listen(document, "click", (event) => { if (menu.open && !event.composedPath().includes(menu)) menu.open = false; });
    this.listen(menu, "keydown", (event) => { if (event.key === "Escape") { menu.open = false; menu.querySelector("summary").focus(); } });
    return menu;
  }

  settings() {
    const named = (p) => Object.fromEntries(this.labels.map((label, i) => [label, p[i]]));
    const told = (p) => Object.fromEntries(this.rows().map((label) => [this.numbers.names[label], this.value(p, label)]));
    return { ...this.about.repeat, image: this.image, fitted: this.usesCopy(this.image), knobs: plain(this.turned),
      turned: Object.entries(plain(this.turned)).map(([id, share]) => ({ name: this.knobs[id].name, attribute: this.knobs[id].technical, of_the_way_observed: share * this.knobs[id].full })),
      ...(this.numbers ? { unit: this.numbers.unit, answers: told(this.now.probabilities), rebuilt_answers: told(this.before.probabilities) } : {}),
      probabilities: named(this.now.probabilities), rebuilt_probabilities: named(this.before.probabilities) };
  }

  python() {
    const { run, data, explanation, classifier, other_classifier: other } = this.about.repeat, text = JSON.stringify;
    const given = [text(run), data && `data=${text(data)}`, explanation && `explanation=${text(explanation)}`, classifier && `classifier=${text(classifier)}`, other && "other_classifier=True"].filter(Boolean);
    const image = this.images.get(this.image), turned = Object.entries(plain(this.turned));
    const search = ({ target, fitted }) => `found_${target}${fitted ? "_fitted" : ""}`;
    const lines = ["import stylex", "", `studio = stylex.open_studio(${given.join(", ")})`];
    let id = text(this.image);
    if (image.own) {
      lines.push(`image = studio.add(${text(image.name)}, open(${text(image.name)}, "rb").read())`);
      id = "image.id";
    } else {
      lines.push(`while ${id} not in studio.images and studio.load_more():`, "    pass");
    }
    const searches = new Map(turned.map(([knob]) => this.knobs[knob].found).filter(Boolean).map((found) => [search(found), found]));
    const copy = this.usesCopy(this.image), fitted = copy ? ", fitted=True" : "";
    if (copy || [...searches.values()].some((found) => found.fitted)) lines.push(`studio.fit(${id})`);
    for (const [name, found] of searches) lines.push(`${name} = studio.search(${id}, ${found.target}${found.fitted ? ", fitted=True" : ""}).knobs`);
    const knobs = turned.map(([knob, share]) => {
      const { found, name } = this.knobs[knob];
      return `    ${found ? `${search(found)}[${found.place}]` : knob}: ${Number(share.toFixed(4))},  # ${name.replace(/\s+/g, " ")}`;
    });
    lines.push(knobs.length ? `knobs = {\n${knobs.join("\n")}\n}` : "knobs = {}", `frame = studio.render([stylex.Turn(image=${id}, knobs=knobs${fitted})])[0]`,
      this.numbers ? `print(studio.numbers.said(float(frame.probabilities[${this.asked}]), ${this.asked}))` : "print(dict(zip(studio.labels, frame.probabilities.round(3).tolist())))");
    return lines.join("\n") + "\n";
  }

  showPython() {
    const code = this.python();
    const copied = h("span.fine", { role: "status" });
    const dialog = h("dialog.help", { "aria-label": "Python lines", onclose: () => dialog.remove() }, h("h2", {}, "The lines that repeat it"), h("pre", { tabIndex: 0 }, code),
      h("form.row", { method: "dialog" }, h("button", { type: "button", onclick: () => navigator.clipboard.writeText(code).then(() => { copied.textContent = "Copied."; }, () => { copied.textContent = "Select and copy them."; }) }, "Copy"), copied, h("button.primary", {}, "Close")));
    this.element.append(dialog);
    dialog.showModal();
  }

  // Keys.

  listenToKeys() {
    const modes = Object.fromEntries(MODES.map(([name, , key]) => [key, name]));
    this.listen(document, "keydown", (event) => {
      if (!this.shortcuts || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || this.element.querySelector("dialog[open]")) return;
      const target = event.composedPath()[0]; // inside a shadow root too
      if (target.closest?.("select, textarea, input:not([type=range]):not([type=checkbox])")) return;
      if (!this.element.contains(target) && (this.options.embedded || target !== document.body)) return;
      const does = { "?": () => this.help.showModal(), x: () => this.can.flip && this.flipIt(this.numbers ? this.asked : null), X: () => this.can.flip && this.numbers && this.flipIt(this.labels.length - 1), r: () => this.setKnobsTo({}), n: () => this.step(1), p: () => this.step(-1),
        z: () => this.undo(), Z: () => this.redo(), "+": () => this.zoom(2), "=": () => this.zoom(2), "-": () => this.zoom(0.5) }[event.key] ?? (modes[event.key] && (() => this.setMode(modes[event.key])));
      if (does) {
        event.preventDefault();
        does();
      }
    });
  }
}

function barRow() {
  const chart = svg("svg", { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { class: "rail", width: 100, height: 14 }), svg("rect", { class: "now", height: 14 }),
    svg("rect", { class: "moved", height: 14 }), svg("line", { class: "was", y1: 0, y2: 14 }));
  return h("tr", {}, h("th", { scope: "row" }), h("td.chart", {}, chart), h("td.p"), h("td.change"));
}

function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// The page's address: #image=test-3&0=1.2&4=-0.5

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.get("image")) return null;
  const knobs = [...given].filter(([name, share]) => /^\d+$/.test(name) && Number.isFinite(Number(share))).map(([name, share]) => [Number(name), Number(share)]);
  return { image: given.get("image"), knobs };
}

function writeAddress(image, turned) {
  const words = new URLSearchParams({ image });
  for (const [knob, share] of turned) if (share !== 0) words.set(knob, Number(share.toFixed(3)));
  history.replaceState(null, "", `#${words}`);
}
