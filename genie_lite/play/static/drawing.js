// A drawing canvas for mouse, pen and touch. `use` gets the finished drawing as PNG bytes; `frame` gives the PNG of
// the current frame, to draw over it.

const DETAIL = 4; // canvas pixels per pixel of the frame
const SIZES = [2, 4, 8, 16]; // brush diameters in pixels of the frame

function makeDrawing({ frame_size: [rows, columns], palette }, { use, frame }, signal) {
  const paper = palette[0][1];
  let colour = palette[1][1];
  let size = SIZES[2];

  const tools = make("div", { class: "gl-draw-tools" });
  const canvas = make("canvas", {
    class: "gl-canvas", width: columns * DETAIL, height: rows * DETAIL, role: "img", "aria-label": "Drawing canvas",
  });
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingEnabled = false;

  const group = (name) => {
    const box = make("div", { class: "gl-draw-group", role: "group", "aria-label": name });
    tools.append(box);
    return box;
  };
  const choose = (box, chosen) => {
    for (const other of box.children) other.setAttribute("aria-pressed", String(other === chosen));
  };

  const colours = group("Brush colour");
  palette.forEach(([name, value], index) => {
    const eraser = index === 0;
    const swatch = button(eraser ? "⌫" : "", eraser ? `Eraser (${name})` : name, "gl-swatch");
    swatch.setAttribute("aria-label", swatch.title);
    swatch.style.setProperty("--gl-colour", value);
    swatch.addEventListener("click", () => {
      colour = value;
      choose(colours, swatch);
    }, { signal });
    colours.append(swatch);
  });
  choose(colours, colours.children[1]);

  const sizes = group("Brush size");
  for (const value of SIZES) {
    const dot = button("", `Brush of ${value} pixels`, "gl-size");
    dot.setAttribute("aria-label", dot.title);
    dot.style.setProperty("--gl-dot", `${Math.max(4, value * 1.25)}px`);
    dot.addEventListener("click", () => {
      size = value;
      choose(sizes, dot);
    }, { signal });
    sizes.append(dot);
  }
  choose(sizes, sizes.children[2]);

  const steps = [];
  const remember = () => {
    steps.push(pen.getImageData(0, 0, canvas.width, canvas.height));
    if (steps.length > 20) steps.shift();
  };
  const clear = () => {
    pen.fillStyle = paper;
    pen.fillRect(0, 0, canvas.width, canvas.height);
  };
  clear();

  const acts = group("Drawing");
  const act = (label, title, work, className = "gl-button") => {
    const made = button(label, title, className);
    made.addEventListener("click", work, { signal });
    acts.append(made);
    return made;
  };
  act("Undo", "Take back the last stroke", () => {
    if (steps.length) pen.putImageData(steps.pop(), 0, 0);
  });
  act("Clear", "Start again on an empty canvas", () => {
    remember();
    clear();
  });
  act("Copy frame", "Put the current frame on the canvas, to draw over it", async () => {
    const bitmap = await createImageBitmap(new Blob([frame()], { type: "image/png" }));
    remember();
    pen.imageSmoothingEnabled = false;
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  });
  act("Use as prompt", "Start play from this drawing", () => {
    canvas.toBlob(async (blob) => use(await blob.arrayBuffer()), "image/png");
  }, "gl-button gl-primary");

  let last = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * canvas.width,
      ((event.clientY - box.top) / box.height) * canvas.height,
    ];
  };
  const stroke = (to) => {
    pen.strokeStyle = colour;
    pen.lineWidth = size * DETAIL;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...last);
    pen.lineTo(to[0] + 0.01, to[1]);
    pen.stroke();
    last = to;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    remember();
    last = at(event);
    stroke(last);
  }, { signal });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const points = event.getCoalescedEvents?.() ?? [];
    for (const point of points.length ? points : [event]) stroke(at(point));
  }, { signal });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      last = null;
    }, { signal });
  }

  return make("div", { class: "gl-draw" }, canvas, tools);
}
