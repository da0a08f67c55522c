// The picture, the strip of the last frames under it, and words about what is going on.

const STRIP = 8;
const PATIENCE = 350; // milliseconds without an answer after which the player says what it waits for
const LOST = 15000;
const WORDS = 200; // milliseconds between two changes of the words under the picture
const GAP = 4; // pixels between the frames of the strip

function makeScreen([height, width], most) {
  const canvas = make("canvas", { class: "gl-screen", width, height, role: "img", "aria-label": "The world" });
  const overlay = make("div", { class: "gl-overlay", role: "status", hidden: true });
  const offline = make("div", {
    class: "gl-overlay", role: "alert", hidden: true,
    text: "The kernel of this player is gone. Run this cell again to play.",
  });
  const stage = make("div", { class: "gl-stage", tabindex: 0, role: "application" }, canvas, overlay, offline);
  const strip = make("div", { class: "gl-strip", "aria-hidden": "true" });
  const small = make("canvas", { width: STRIP * (width + GAP) - GAP, height });
  const captions = Array.from({ length: STRIP }, () => make("span"));
  strip.append(small, make("div", { class: "gl-captions" }, ...captions));
  const status = make("div", { class: "gl-status" });
  const pen = canvas.getContext("2d");
  const stripPen = small.getContext("2d");
  let past = []; // { number, bitmap, caption }, the newest last
  let arrivals = [];
  let latest = 0;

  const draw = () => {
    pen.drawImage(past.at(-1).bitmap, 0, 0);
    stripPen.clearRect(0, 0, small.width, height);
    const empty = STRIP - past.length;
    captions.forEach((caption, place) => {
      const frame = past[place - empty];
      if (frame) stripPen.drawImage(frame.bitmap, place * (width + GAP), 0);
      setText(caption, frame?.caption ?? "");
    });
  };
  // Words change a few times a second at most, and once more after the last frame.
  let spoken = -Infinity;
  let speaking = null;
  const speak = ({ number, ms }) => {
    clearTimeout(speaking);
    const rest = spoken + WORDS - performance.now();
    if (rest > 0) {
      speaking = setTimeout(() => speak({ number, ms }), rest);
      return;
    }
    spoken = performance.now();
    const seconds = (arrivals.at(-1) - arrivals[0]) / 1000;
    const rate = arrivals.length > 4 ? `${((arrivals.length - 1) / seconds).toFixed(1)} frames/s` : "";
    const time = ms ? `${Math.round(ms)} ms each in the kernel` : "";
    setText(status, [`frame ${number}`, rate, time].filter(Boolean).join(" · "));
    canvas.setAttribute("aria-label", `The world, frame ${number}`);
  };

  return {
    stage,
    strip,
    status,
    canvas,
    offline,

    // Frames come as PNG. Decoding takes a moment, so a frame overtaken by a newer one is not drawn.
    async show({ png, number, caption, ms }) {
      const turn = ++latest;
      const bitmap = await createImageBitmap(new Blob([png], { type: "image/png" }));
      past = past.filter((frame) => frame.number < number).slice(1 - STRIP);
      past.push({ number, bitmap, caption });
      if (turn !== latest) return;
      draw();
      const now = performance.now();
      arrivals = arrivals.filter((time) => now - time < 3000).concat(now).slice(-20);
      speak({ number, ms });
    },

    async remember(frames) {
      const old = await Promise.all(frames.map(async ({ png, ...rest }) => (
        { ...rest, bitmap: await createImageBitmap(new Blob([png], { type: "image/png" })) }
      )));
      const first = past[0]?.number ?? Infinity;
      past = [...old.filter((frame) => frame.number < first), ...past].slice(-STRIP);
      if (past.length) draw();
    },

    // The largest whole multiple of the frame that fits, so that every pixel of it is equally large.
    fit(room, tall) {
      const scale = Math.max(1, Math.min(most, Math.floor(room / width), Math.floor(tall / height)));
      stage.style.width = strip.style.width = `${scale * width}px`;
      canvas.style.width = `${scale * width}px`;
      canvas.style.height = `${scale * height}px`;
    },

    // Says why a key has no effect yet, from what the pump knows of the oldest command without an answer.
    wait(oldest) {
      const waited = oldest ? performance.now() - (oldest.begun ?? oldest.at) : 0;
      let words = "";
      if (oldest?.begun && waited > PATIENCE) words = "Computing the frame …";
      else if (oldest && waited > LOST) {
        words = "No answer yet. If another cell is running, wait for it or stop it; if not, run this cell again.";
      } else if (oldest && waited > PATIENCE) words = "Waiting for the kernel. Is another cell running?";
      setText(overlay, words);
      overlay.hidden = !words;
    },
  };
}
