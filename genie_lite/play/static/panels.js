// The folds under the picture: the latent actions themselves, and where the next prompt comes from.

// Tiles of pictures to click. `chosen(index)` is called with the tile's place.
function makeTiles(className, chosen, signal) {
  const grid = make("div", { class: `gl-tiles ${className}` });
  let tiles = [];
  const show = (items, type) => {
    if (items.length !== tiles.length) {
      for (const { view } of tiles) view.free();
      tiles = items.map((item, index) => {
        const view = picture("gl-thumb", "");
        const words = make("span");
        const made = make("button", { type: "button", class: "gl-tile" }, view.image, words);
        made.addEventListener("click", () => chosen(index), { signal });
        return { view, words, made, bytes: undefined };
      });
      grid.replaceChildren(...tiles.map(({ made }) => made));
    }
    items.forEach(({ bytes, label, title }, index) => {
      const tile = tiles[index];
      tile.words.textContent = label;
      tile.made.title = title;
      tile.made.setAttribute("aria-label", title);
      tile.made.classList.toggle("gl-empty", !bytes?.byteLength);
      if (bytes !== tile.bytes) tile.view.show(bytes, type, "");
      tile.bytes = bytes;
    });
  };
  const light = (index) => tiles.forEach(({ made }, place) => made.classList.toggle("gl-last", place === index));
  return { grid, show, light, free: () => tiles.forEach(({ view }) => view.free()) };
}

// One button for each latent action, with a short looping video of what it does.
function makeLatentActions(model, send, signal) {
  const { actions } = model.get("setup");
  const digits = Math.min(9, actions.length - 1);
  const tiles = makeTiles("gl-actions", (action) => send({ kind: "act", action }), signal);
  const again = button("Preview from the current frame", "Show what each action would do now");
  const note = make("p", {
    class: "gl-note",
    text: `Each plays one frame; so do the keys 0 to ${digits}. The loops show the action held for a few frames.`,
  });
  const shown = fold(`The latent actions themselves (${actions.length})`, "gl-latent", note, tiles.grid, again);
  const show = () => {
    const previews = model.get("previews");
    tiles.show(actions.map((action, index) => ({ ...action, bytes: previews[index] })), "image/gif");
  };
  again.addEventListener("click", () => send({ kind: "previews" }), { signal });
  shown.addEventListener("toggle", () => {
    if (shown.open && !model.get("previews").some((bytes) => bytes.byteLength)) send({ kind: "previews" });
  }, { signal });
  show();
  return { shown, show, light: tiles.light, free: tiles.free };
}

function makeGallery(model, send, signal) {
  const tiles = makeTiles("gl-gallery", (index) => send({ kind: "choose", index }), signal);
  const more = button("Other frames", "Show other frames of the data");
  const shown = fold("Start from a frame of the data", "gl-frames", tiles.grid, more);
  const show = () => {
    tiles.show(model.get("gallery").map((bytes, index) => (
      { bytes, label: "", title: `Start from frame ${index + 1} of the data` }
    )), "image/png");
  };
  more.addEventListener("click", () => send({ kind: "gallery" }), { signal });
  shown.addEventListener("toggle", () => {
    if (shown.open && !model.get("gallery").length) send({ kind: "gallery" });
  }, { signal });
  show();
  return { shown, show, free: tiles.free };
}

// A picture beside what the model sees of it, and what was done in between.
function makeFitted(model, source) {
  const before = picture("gl-original", "Your picture");
  const after = picture("gl-seen", "Your picture as the model sees it");
  const notes = make("p", { class: "gl-note" });
  const titled = (view, title) => make("figure", {}, view.image, make("figcaption", { text: title }));
  const box = make(
    "div", { class: "gl-fitted", hidden: true },
    titled(before, "your picture"), make("span", { class: "gl-becomes", "aria-hidden": "true", text: "→" }),
    titled(after, "as the model sees it"), notes,
  );
  return {
    box,
    show() {
      const fitted = model.get("fitted");
      if (fitted.source !== source) return;
      before.show(fitted.original);
      after.show(fitted.frame);
      notes.textContent = fitted.notes;
      box.hidden = false;
    },
    free() {
      before.free();
      after.free();
    },
  };
}

const LARGE = 4e6; // bytes; the server cuts connections that send more than about 10 MB at once
const SIDE = 1024;

// The bytes of a picture file; a large one is shrunk here, before it is sent.
async function readPicture(file) {
  if (file.size <= LARGE) return file.arrayBuffer();
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = make("canvas", { width: Math.ceil(bitmap.width * scale), height: Math.ceil(bitmap.height * scale) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return blob.arrayBuffer();
}

function makeUpload(model, send, say, signal) {
  const fitted = makeFitted(model, "upload");
  const input = make("input", { type: "file", accept: "image/*", class: "gl-file" });
  const label = make("label", { class: "gl-button gl-choose" }, "Choose a picture", input);
  const text = "PNG, JPEG, GIF, WebP … of any size. It goes only to this notebook's kernel.";
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    try {
      send({ kind: "upload", name: file.name }, [await readPicture(file)]);
    } catch {
      say(`${file.name}: too large to send as it is, and this browser cannot shrink it; make it smaller first`, true);
    }
    input.value = ""; // so that the same file may be chosen again
  }, { signal });
  const row = make("div", { class: "gl-row" }, label, make("span", { class: "gl-note", text }));
  return { shown: fold("Start from your own picture", "gl-upload", row, fitted.box), ...fitted };
}

function makeDraw(model, send, signal) {
  const fitted = makeFitted(model, "drawing");
  const drawing = makeDrawing(model.get("setup"), {
    use: (bytes) => send({ kind: "drawing" }, [bytes]),
    frame: () => model.get("state").png,
  }, signal);
  return { shown: fold("Start from a drawing", "gl-drawing", drawing, fitted.box), ...fitted };
}
