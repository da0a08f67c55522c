// The picture, the strip of the last frames under it, and words about what is going on.

const STRIP = 8;
const PATIENCE = 350; // milliseconds without an answer after which the player says what it waits for
const LOST = 15000;

function makeScreen([height, width], most) {
  const canvas = make("canvas", { class: "gl-screen", width, height, role: "img", "aria-label": "The world" });
  const overlay = make("div", { class: "gl-overlay", role: "status", hidden: true });
  const offline = make("div", {
    class: "gl-overlay", role: "alert", hidden: true,
    text: "The kernel of this player is gone. Run this cell again to play.",
  });
  const stage = make("div", { class: "gl-stage", tabindex: 0, role: "application" }, canvas, overlay, offline);
  const strip = make("div", { class: "gl-strip", "aria-hidden": "true" });
  const status = make("div", { class: "gl-status" });
  const pen = canvas.getContext("2d");
  const slots = Array.from({ length: STRIP }, () => {
    const small = make("canvas", { width, height });
    const caption = make("span");
    strip.append(make("div", { class: "gl-slot" }, small, caption));
    return { pen: small.getContext("2d"), caption };
  });
  let past = []; // { number, bitmap, caption }, the newest last
  let arrivals = [];
  let latest = 0;

  const draw = () => {
    const newest = past.at(-1);
    pen.drawImage(newest.bitmap, 0, 0);
    const empty = STRIP - past.length;
    slots.forEach((slot, place) => {
      const frame = past[place - empty];
      slot.pen.clearRect(0, 0, width, height);
      if (frame) slot.pen.drawImage(frame.bitmap, 0, 0);
      slot.caption.textContent = frame?.caption ?? "";
    });
    canvas.setAttribute("aria-label", `The world, frame ${newest.number}`);
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
      const seconds = (now - arrivals[0]) / 1000;
      const rate = arrivals.length > 4 ? `${((arrivals.length - 1) / seconds).toFixed(1)} frames/s` : "";
      status.textContent = [`frame ${number}`, rate, ms ? `${Math.round(ms)} ms each in the kernel` : ""]
        .filter(Boolean).join(" · ");
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

    // Says why a key has no effect yet, from what the pump knows of the command under way.
    wait(underWay) {
      const waited = underWay ? performance.now() - (underWay.begun ?? underWay.sent) : 0;
      let words = "";
      if (underWay?.begun && waited > PATIENCE) words = "Computing the frame …";
      else if (underWay && waited > LOST) {
        words = "No answer. If another cell is running, wait for it or stop it; if the kernel was restarted, run this cell again.";
      } else if (underWay && waited > PATIENCE) words = "Waiting: the kernel is running another cell.";
      if (overlay.textContent !== words) overlay.textContent = words;
      overlay.hidden = !words;
    },
  };
}
