// A drawing canvas: mouse, pen and touch. The finished drawing goes to the kernel as PNG bytes.

const SIZES = [2, 4, 8, 16]; // brush diameters in pixels of the frame

function button(label, title, className) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = label;
  made.title = title;
  made.setAttribute("aria-label", title);
  return made;
}

function render({ model, el }) {
  const stop = new AbortController();
  const { signal } = stop;
  const detail = model.get("detail");
  const [rows, columns] = model.get("frame_size");
  const palette = model.get("palette");
  const paper = palette[0][1];
  let colour = palette[1][1];
  let size = SIZES[2];

  el.classList.add("gl-draw");
  const tools = document.createElement("div");
  tools.className = "gl-draw-tools";
  const canvas = document.createElement("canvas");
  canvas.width = columns * detail;
  canvas.height = rows * detail;
  canvas.className = "gl-canvas";
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  canvas.setAttribute("aria-label", "Drawing canvas");
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;

  const group = (name) => {
    const box = document.createElement("div");
    box.className = "gl-draw-group";
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", name);
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
  const act = (label, title, work, className = "gl-tool") => {
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
  act("Copy frame", "Put the frame now shown on the canvas, to draw over it", () => model.send({ kind: "copy" }));
  act("Use as prompt", "Start play from this drawing", () => {
    canvas.toBlob(async (blob) => {
      model.send({ kind: "drawing" }, undefined, [await blob.arrayBuffer()]);
    }, "image/png");
  }, "gl-tool gl-primary");

  const received = (message, buffers) => {
    if (message?.kind !== "frame" || !buffers?.length) return;
    createImageBitmap(new Blob([buffers[0]], { type: "image/png" })).then((bitmap) => {
      remember();
      pen.imageSmoothingEnabled = false;
      pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    });
  };
  model.on("msg:custom", received);

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
    pen.lineWidth = size * detail;
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

  el.replaceChildren(canvas, tools);
  return () => {
    stop.abort();
    model.off("msg:custom", received);
  };
}

export default { render };
