// The notebook's widget: the viewer over strips, or over the explorer's interface, asked through the notebook's own
// channel instead of a port. It stands in one text behind viewer.js, strip_source.js and http_source.js.

/** What fetch does, over the widget's messages: {id, method, path, type} and a body there, {id, status, type} back. */
function overMessages(model) {
  const waiting = new Map();
  model.on("msg:custom", (message, buffers) => {
    waiting.get(message.id)?.(new Response(message.status === 204 ? null : buffers[0], { status: message.status, headers: { "Content-Type": message.type } }));
    waiting.delete(message.id);
  });
  return async (path, { method = "GET", headers = {}, body = null } = {}) => {
    const id = `${Date.now()}-${Math.random()}`; // one widget may be seen in several places
    const bytes = body === null ? [] : [typeof body === "string" ? new TextEncoder().encode(body).buffer : await body.arrayBuffer()];
    const answer = new Promise((resolve) => waiting.set(id, resolve));
    model.send({ id, method, path, type: headers["Content-Type"] ?? "" }, undefined, bytes);
    return answer;
  };
}

/** The explorer's source, whose pictures are fetched before they are shown: a notebook has no address for them. */
function notebookSource(model) {
  const send = overMessages(model), source = httpSource("", send), pictures = new Map();
  async function keep(image) {
    const answer = await send(`/api/images/${encodeURIComponent(image.id)}/${image.original ? "original" : "rebuilt"}.png`);
    pictures.set(image.id, URL.createObjectURL(await answer.blob()));
  }
  return {
    ...source,
    async images(after) {
      const answer = await source.images(after);
      await Promise.all(answer.images.map(keep));
      return answer;
    },
    async add(file) {
      const image = await source.add(file);
      await keep(image);
      return image;
    },
    pictureURL: (id) => pictures.get(id),
  };
}

export default {
  render({ model, el }) {
    const place = document.createElement("div");
    place.dataset.lmSuppressShortcuts = "true"; // a notebook's own keys would cut the cell
    el.append(place);
    const strips = model.get("strips");
    const source = strips ? stripSource(JSON.parse(strips)) : notebookSource(model);
    const viewer = mount(place, source, { embedded: true, gallery: strips ? false : undefined });
    return () => viewer.close();
  },
};
