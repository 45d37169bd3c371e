// A source for the viewer (see the head of viewer.js) that has everything with it: frames that were drawn when the
// explanation was written. `about` is what describe() answers, with images (each with its pictures and probabilities)
// and strips {image, knob, src, shares, probabilities: one row a frame}, whose frames lie in one picture in a row.

export function stripSource({ images, strips, ...about }) {
  const byId = new Map(images.map((image) => [image.id, image]));
  const sheets = new Map();

  /** The strip's picture on a canvas, read once. */
  async function sheetOf(strip) {
    const picture = new Image();
    picture.src = strip.src;
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    return context;
  }

  async function frame({ image, knobs }) {
    const [[knob, share]] = [...Object.entries(knobs), [null, 0]];
    const strip = strips.find((one) => one.image === image && (knob === null || one.knob === Number(knob)));
    if (!strip) throw new Error("This image was not drawn with that knob; open the explorer to turn it.");
    const nearest = strip.shares.reduce((best, at, i) => (Math.abs(at - share) < Math.abs(strip.shares[best] - share) ? i : best), 0);
    strip.frames ??= [];
    if (!strip.frames[nearest]) {
      if (!sheets.has(strip)) sheets.set(strip, sheetOf(strip));
      const sheet = await sheets.get(strip), width = sheet.canvas.width / strip.shares.length;
      strip.frames[nearest] = { pixels: sheet.getImageData(nearest * width, 0, width, sheet.canvas.height), probabilities: strip.probabilities[nearest] };
    }
    return strip.frames[nearest];
  }

  return {
    describe: async () => ({ ...about, repeat: null, features: { combine: false } }),
    images: async () => ({ images, next: images.length, coming: 0, trouble: null }),
    image: async (id) => byId.get(id),
    pictureURL: (id) => byId.get(id).picture,
    frames: (turns) => Promise.all(turns.map(frame)),
  };
}
