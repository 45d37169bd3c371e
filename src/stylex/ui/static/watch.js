// The page of a training: asks every two seconds what its folder holds, and draws it. Nothing is sent but these requests.
const here = new URL(".", location.href).pathname.replace(/\/$/, "");
const el = (id) => document.getElementById(id);
const EVERY_MS = 2000;

// Held-out figures: what each says, from where it is good at 32 pixels, and what passes by accident beside it.
const HELD = [
  ["agreement", "the classifier says the same of an image and its reconstruction", { beside: "agreement_other", besideSays: "another image's reconstruction", good: 0.98, share: true }],
  ["pixel_l1", "mean difference of pixels, of 2 at most", { beside: "pixel_l1_other", besideSays: "another image's reconstruction", good: 0.1 }],
  ["probability_error", "mean difference of the probabilities", { good: 0.02 }],
  ["follows_w", "drawn with another image's maps, it still says what it said", { beside: "follows_maps", besideSays: "it says what the maps' image is", good: 0.97, share: true }],
  ["kl", "mean divergence of the answers, in nats", {}],
  ["variety_reconstructed", "spread between reconstructions; of real images it is 1", {}],
  ["variety_sampled", "spread between sampled images; of real images it is 1", {}],
];
const LOSSES = {
  pixel: "mean difference of pixels", perceptual: "distance of features", kl: "divergence of the classifier's answers",
  discriminator: "the discriminator's loss", generator_encoder: "the discriminator on reconstructions", generator_noise: "the discriminator on samples",
  real_signs: "the discriminator on real images; near 1 it knows them by heart", augment_p: "how often images are changed before it sees them",
  r1: "the discriminator's slope", swap: "divergence when maps are of another image", swap_features: "difference of features then",
  latent: "how well latents are found again", latent_moments: "latents' distance from a normal distribution", path_length: "unevenness of steps in w",
  kl_noise: "divergence of samples from what was asked",
};

const number = (v) => (v === 0 ? "0" : Math.abs(v) >= 1000 || Math.abs(v) < 0.001 ? v.toExponential(1) : String(+v.toPrecision(3)));
const percent = (v) => `${(100 * v).toFixed(v > 0.995 && v < 1 ? 2 : 1)}%`;
const kimg = (n) => `${+(n / 1000).toPrecision(4)}`;
function duration(s) {
  if (s == null || !(s < 1e8)) return "–";
  const m = Math.round(s / 60);
  return s < 90 ? `${Math.round(s)} s` : m < 60 ? `${m} min` : `${Math.floor(m / 60)} h ${String(m % 60).padStart(2, "0")} min`;
}
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "text", "circle"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// A chart: one curve, perhaps another beside it and a line from where it is good.
const W = 300, H = 132, LEFT = 42, RIGHT = 6, TOP = 8, BOTTOM = 20;
function chart(name, what, points, { beside = null, besideSays = "", good = null, share = false, log = false, last = 0 } = {}) {
  const shown = [...points, ...(beside || [])].map((p) => p[1]);
  const positive = log && shown.every((v) => v > 0);
  let low = Math.min(...shown, ...(good == null || positive ? [] : [good])), high = Math.max(...shown, ...(good == null || positive ? [] : [good]));
  if (share) { low = Math.min(low, 0); high = 1; } else if (!positive && low > 0 && low < 0.6 * high) low = 0;
  if (low === high) { high += Math.abs(high) * 0.1 || 1; low -= Math.abs(low) * 0.1; }
  const scale = positive ? Math.log : (v) => v;
  const end = Math.max(last, points[points.length - 1][0], 1);
  const x = (n) => LEFT + (W - LEFT - RIGHT) * (n / end);
  const y = (v) => TOP + (H - TOP - BOTTOM) * (1 - (scale(v) - scale(low)) / (scale(high) - scale(low)));
  const line = (ps) => ps.map(([n, v], i) => `${i ? "L" : "M"}${x(n).toFixed(1)} ${y(v).toFixed(1)}`).join("");
  const newest = points[points.length - 1][1], say = share ? percent : number;
  const svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${name}: ${say(points[0][1])} at the beginning, ${say(newest)} now` });
  for (const at of [low, positive ? Math.exp((Math.log(low) + Math.log(high)) / 2) : (low + high) / 2, high]) {
    svg.append(make("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(at), y2: y(at) }));
    svg.append(make("text", { class: "axis", x: LEFT - 5, y: y(at) + 3.5, "text-anchor": "end" }, share ? `${Math.round(100 * at)}%` : number(at)));
  }
  svg.append(make("text", { class: "axis", x: LEFT, y: H - 5 }, "0"));
  svg.append(make("text", { class: "axis", x: W - RIGHT, y: H - 5, "text-anchor": "end" }, `${kimg(end)} kimg`));
  if (good != null && good >= low && good <= high) svg.append(make("line", { class: "good", x1: LEFT, x2: W - RIGHT, y1: y(good), y2: y(good) }));
  if (beside && beside.length) {
    svg.append(make("path", { class: "beside", d: line(beside) }));
    if (beside.length < 30) for (const [n, v] of beside) svg.append(make("circle", { class: "dot other", cx: x(n), cy: y(v), r: 2.2 }));
  }
  svg.append(make("path", { class: "curve", d: line(points) }));
  if (points.length < 30) for (const [n, v] of points) svg.append(make("circle", { class: "dot", cx: x(n), cy: y(v), r: 2.6 }));
  const key = make("p", { class: "key" });
  if (beside && beside.length) key.append(make("span", {}, make("i", { class: "other" }), `${besideSays}: ${say(beside[beside.length - 1][1])}`));
  if (good != null) key.append(make("span", {}, make("i", { class: "line" }), `good: ${say(good)}`));
  return make("div", { class: "chart" }, make("h3", {}, name.replaceAll("_", " "), make("b", {}, say(newest))), make("p", { class: "what" }, what), svg, key);
}

function fact(name, value, small = "") {
  const dd = make("dd", {}, value);
  if (small) dd.append(" ", make("small", {}, small));
  return make("div", {}, make("dt", {}, name), dd);
}

let chosen = null, newest = null, drawn = "";
const STATES = { training: "training now", stopped: "stopped", finished: "finished", damaged: "damaged" };

function show(told) {
  const run = told.run;
  el("name").textContent = told.name;
  el("folder").textContent = told.folder;
  const state = run ? run.state : "waiting";
  el("state").dataset.state = state;
  el("state").textContent = run ? STATES[state] : "about to begin";
  document.title = (run && run.total_nimg ? `${Math.floor(100 * run.nimg / run.total_nimg)}% ` : "") + told.name;
  el("trouble").hidden = !(run && run.trouble);
  el("trouble").textContent = run && run.trouble ? run.trouble : "";
  el("bar").max = run && run.total_nimg ? run.total_nimg : 1;
  el("bar").value = run && run.total_nimg ? run.nimg : 0;
  const facts = [];
  if (run) {
    const whole = run.total_nimg ? ` / ${kimg(run.total_nimg)}` : "";
    facts.push(fact("kimg", kimg(run.nimg) + whole, run.total_nimg ? `${Math.floor(100 * run.nimg / run.total_nimg)}%` : ""));
    if (state === "training") facts.push(fact("left, at this speed", duration(run.left_s)));
    facts.push(fact("images a second", run.images_per_s == null ? "–" : number(run.images_per_s), run.images_per_s ? `${number(1000 / run.images_per_s)} s a kimg` : ""));
    facts.push(fact("last written", `${duration(run.age_s)} ago`));
    if (state === "stopped") facts.push(fact("to go on", "the same command again"));
  } else facts.push(fact("waiting", "nothing is written yet"));
  el("facts").replaceChildren(...facts);
  el("verdict").textContent = told.verdict || "Measured with each snapshot; the first comes about two minutes into a training.";
  const last = run && run.total_nimg ? run.total_nimg : 0, log = el("log").checked;
  const key = JSON.stringify([told.curves, last, log]);
  if (key !== drawn) {
    drawn = key;
    const held = HELD.filter(([name]) => told.curves[`held_out/${name}`]).map(([name, what, more]) =>
      chart(name, what, told.curves[`held_out/${name}`], { ...more, last, beside: more.beside ? told.curves[`held_out/${more.beside}`] : null }));
    el("held").replaceChildren(...held);
    const losses = Object.keys(told.curves).filter((name) => !name.startsWith("held_out/"));
    el("losses").replaceChildren(...losses.map((name) => chart(name, LOSSES[name] || "", told.curves[name], { last, log })));
  }
  pictures(told.panels);
}

function pictures(all) {
  const slider = el("which");
  el("nopanel").hidden = all.length > 0;
  el("panel").hidden = !all.length;
  slider.disabled = all.length < 2;
  slider.max = Math.max(0, all.length - 1);
  if (!all.length) return;
  const at = chosen == null || !all.includes(chosen) ? all[all.length - 1] : chosen;
  slider.value = all.indexOf(at);
  slider.setAttribute("aria-valuetext", `at ${kimg(at)} kimg`);
  el("at").textContent = `at ${kimg(at)} kimg${at === all[all.length - 1] ? ", the newest" : ""}`;
  if (newest !== at) {
    newest = at;
    el("panel").src = `${here}/api/panels/${at}.png`;
    el("panel").alt = `Real images, their reconstructions and drawn ones, with the classifier's probabilities, at ${kimg(at)} kimg`;
  }
  slider.oninput = () => { const i = Number(slider.value); chosen = i === all.length - 1 ? null : all[i]; pictures(all); };
}

let told = null;
async function ask() {
  try {
    const answer = await fetch(`${here}/api/run`);
    if (!answer.ok) throw new Error(String(answer.status));
    told = await answer.json();
    show(told);
  } catch {
    el("state").dataset.state = "gone";
    el("state").textContent = told && told.within ? "the training's program has ended; stylex watch shows its run" : "no answer; trying again";
  }
  setTimeout(ask, document.hidden ? 5 * EVERY_MS : EVERY_MS);
}
el("log").addEventListener("change", () => told && show(told));
document.addEventListener("visibilitychange", () => !document.hidden && told && show(told));
ask();
