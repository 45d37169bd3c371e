// A source for the viewer (see the head of viewer.js) that asks the explorer's server; `send` does what fetch does.

export function httpSource(base, send = (path, options) => fetch(path, options)) {
  const viewer = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
  const run = Date.now().toString(36); // of another run, a picture of the same name is another picture

  async function ask(path, options = {}) {
    let answer;
    try {
      answer = await send(base + path, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The explorer does not answer. Is the command still running in its terminal?");
    }
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({}));
      throw new Error(told.error || `The explorer answered with ${answer.status}.`);
    }
    return answer;
  }
  const get = async (path) => (await ask(path)).json();
  const post = (path, body, signal) =>
    ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

  /** Begin long work and wait for its end; null when it was cancelled. */
  async function ended(path, body, { progress, signal }) {
    let job = await (await post(path, body)).json();
    while (job.state === "waiting" || job.state === "running") {
      progress(job.done, job.total);
      await new Promise((resume) => setTimeout(resume, 250));
      if (signal.aborted) {
        await ask(`/api/jobs/${job.job}`, { method: "DELETE" });
        return null;
      }
      job = await get(`/api/jobs/${job.job}`);
    }
    if (job.state === "failed") throw new Error(job.error);
    return job.state === "done" ? job : null;
  }

  return {
    describe: () => get("/api/describe"),
    images: (after) => get(`/api/images?after=${after}`),
    image: (id) => get(`/api/images/${encodeURIComponent(id)}`),
    pictureURL: (id, state) => `${base}/api/images/${encodeURIComponent(id)}/${state}.png?run=${run}`,

    async frames(turns, { lane, draft = false }) {
      const answer = await post("/api/frames", { viewer, lane, turns, draft });
      return answer.status === 204 ? null : unpacked(await answer.arrayBuffer());
    },

    async add(file) {
      const name = encodeURIComponent(file.name || "pasted picture");
      const answer = await ask(`/api/images?name=${name}`, {
        method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file,
      });
      return answer.json();
    },

    async search(image, target, { fitted = false, ...how }) {
      const job = await ended("/api/search", { image, target, fitted }, how);
      return job && { ...job.found, allKnobs: job.all_knobs };
    },

    fitSeconds: async (image) => (await get(`/api/images/${encodeURIComponent(image)}/fit`)).seconds,
    fit: async (image, how) => (await ended("/api/fit", { image }, how))?.image ?? null,

    flip: async (image, target, knobs, fitted = false) => (await post("/api/flip", { image, target, knobs, fitted })).json(),
    rename: async (knob, label) => (await (await post(`/api/knobs/${knob}`, { label })).json()).knobs,
    hide: async (knob, hidden) => (await (await post(`/api/knobs/${knob}`, { hidden })).json()).knobs,
    export: async (kind, turn) => (await post("/api/export", { kind, ...turn })).blob(),
  };
}

// The server's frames: length of a JSON header (4 bytes, little-endian), the header, the pixels of all frames; a small one
// has half the width and height, and no probabilities.
function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const { width, height, channels, frames, drafts, small, fitted } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let begin = 4 + length;
  return frames.map((probabilities, i) => {
    const scale = small[i] ? 2 : 1, pixels = new ImageData(width / scale, height / scale), count = pixels.width * pixels.height;
    const source = new Uint8Array(buffer, begin, count * channels);
    begin += count * channels;
    for (let p = 0, q = 0, r = 0; p < count; p++, q += 4, r += channels) {
      pixels.data[q] = source[r];
      pixels.data[q + 1] = source[channels === 3 ? r + 1 : r];
      pixels.data[q + 2] = source[channels === 3 ? r + 2 : r];
      pixels.data[q + 3] = 255;
    }
    return { pixels: small[i] ? enlarged(pixels, width, height) : pixels, probabilities, draft: drafts[i], small: small[i], fitted: fitted[i] };
  });
}

function enlarged(pixels, width, height) {
  const [from, to] = [[pixels.width, pixels.height], [width, height]].map(([width, height]) => Object.assign(document.createElement("canvas"), { width, height }).getContext("2d"));
  from.putImageData(pixels, 0, 0);
  to.imageSmoothingQuality = "high";
  to.drawImage(from.canvas, 0, 0, width, height);
  return to.getImageData(0, 0, width, height);
}
