// The player: puts the parts together and speaks with the kernel. Commands go there as custom messages; what the
// session shows comes back in the trait `state`, which also names the command that it answers.

const UNKNOWN = "This world does not know that key; the pad shows those it knows.";
const QUICK = 100; // milliseconds a frame, below which a held key is sent ahead
const BESIDE = 282; // pixels that the controls take at the right of the picture
const LEAST = 384; // a picture narrower than this has the controls below it
const OWN_KEYS = "input, textarea, select, [contenteditable='true']"; // these use the keys themselves
const ACTIVE = "button, summary, a, label"; // these use space and Enter
const SCROLLS = new Set(["Space", "PageUp", "PageDown", "Home", "End"]);

function makeTools(model, pump, send, signal) {
  const tool = (label, title, command) => {
    const made = button(label, title);
    made.addEventListener("click", () => pump.request(command), { signal });
    return made;
  };
  const undo = tool("Undo", "Take back the last step (Backspace)", { kind: "undo" });
  const reset = tool("Reset", "Start again from the same prompt", { kind: "reset" });
  const fresh = tool("New prompt", "Start from another frame of the data", { kind: "new" });
  const gif = tool("Save GIF", "Save what was played as a GIF", { kind: "gif" });
  const auto = make("button", { type: "button", class: "gl-button gl-auto", "aria-pressed": "false", text: "Auto-play" });
  const choice = make("select", { "aria-label": "What auto-play does", title: "What auto-play does" });
  choice.append(...model.get("setup").choices.map(([value, text]) => make("option", { value, text })));
  auto.addEventListener("click", () => {
    send({ kind: "auto", on: auto.getAttribute("aria-pressed") !== "true", choice: choice.value });
  }, { signal });
  choice.addEventListener("change", () => send({ kind: "auto", choice: choice.value }), { signal });
  return {
    row: make("div", { class: "gl-row" }, undo, reset, fresh, gif, make("span", { class: "gl-pair" }, auto, choice)),
    show(state) {
      undo.disabled = state.number === 0;
      auto.setAttribute("aria-pressed", String(state.auto));
      setText(auto, state.auto ? "Stop auto-play" : "Auto-play");
      if (choice.value !== state.choice) choice.value = state.choice;
    },
  };
}

function render({ model, el }) {
  const stop = new AbortController();
  const { signal } = stop;
  const setup = model.get("setup");
  const space = setup.jumps ? " space jumps;" : "";
  const hint = `Hold the arrow keys or WASD;${space} Backspace takes a step back.`;
  const held = new Held(setup.keys);
  const screen = makeScreen(setup.frame_size, setup.scale);
  const root = make("div", { class: "gl-player", "data-lm-suppress-shortcuts": "true" });
  const message = make("div", { class: "gl-message", hidden: true });
  const file = make("a", { class: "gl-download", hidden: true });
  let limit = model.get("state").speed;

  const send = (command, buffers) => {
    try {
      model.send(command, undefined, buffers);
    } catch { // the connection is closed: the kernel was restarted or stopped
      screen.offline.hidden = false;
    }
  };
  const commandOf = (intention) => {
    if (!intention) return null;
    if (intention.startsWith("#")) return { kind: "act", action: Number(intention.slice(1)) };
    return { kind: "press", key: intention };
  };
  const realTime = make("input", { type: "checkbox" });
  const timeRuns = () => realTime.checked && !document.hidden && root.contains(document.activeElement);
  const pump = new Pump({
    send: ({ buffers, ...command }) => send(command, buffers),
    next: () => (held.lasts ? commandOf(held.intention) : null) ?? (timeRuns() ? commandOf("none") : null),
    pace: () => 1000 / limit,
    quick: () => (model.get("state").ms ?? Infinity) < QUICK,
  });
  const request = (command, buffers) => pump.request({ ...command, buffers });

  const light = () => {
    const { last } = model.get("state");
    pad.light(held.intention, last.key);
    latent.light(last.action);
  };
  const pressed = () => {
    const command = commandOf(held.intention);
    if (command) pump.request(command);
    else say(UNKNOWN);
    setTimeout(() => pump.go(), HOLD + 5);
    light();
  };
  const letGo = () => {
    held.clear();
    light();
  };
  const pad = makePad(setup, { held, pressed, released: light }, signal);
  const tools = makeTools(model, pump, send, signal);
  const say = (text, error) => {
    setText(message, text);
    message.hidden = !text;
    message.classList.toggle("gl-error", Boolean(error));
    message.setAttribute("role", error ? "alert" : "status");
    file.hidden = true;
  };
  const latent = makeLatentActions(model, request, signal);
  const folds = [
    latent, makeGallery(model, request, signal), makeUpload(model, request, say, signal),
    makeDraw(model, request, signal),
  ];
  const sliders = make(
    "div", { class: "gl-sliders" },
    slider("MaskGIT steps", "Fewer is faster", { min: 1, max: setup.most_steps, value: model.get("state").steps },
      (value) => send({ kind: "steps", value })),
    slider("Speed limit", "Frames per second at most", { min: 1, max: 30, value: limit, words: (n) => `${n} fps` },
      (value) => {
        limit = value;
        send({ kind: "speed", value });
      }),
  );
  const time = make("label", { class: "gl-check", title: "The world goes on when no key is held" }, realTime, "Real time");
  if (setup.keys.includes("none")) tools.row.append(time);
  realTime.addEventListener("change", () => pump.go(), { signal });

  screen.stage.setAttribute("aria-label", `The player. ${hint}`);
  const left = make("div", { class: "gl-left" }, screen.stage, screen.strip, screen.status);
  const right = make(
    "div", { class: "gl-right" },
    make("p", { class: "gl-note", text: hint }), pad.pad,
    make("div", { class: "gl-controls" }, tools.row, sliders, message, file),
  );
  root.append(make("div", { class: "gl-main" }, left, right), ...folds.map(({ shown }) => shown));

  // ---------------------------------------------------------------------------------------------- keyboard

  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") screen.stage.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter")) return;
    if (event.key === "Escape" || event.key === "Tab") return;
    event.stopPropagation(); // a plain key means nothing to the notebook as long as the player has the keyboard
    if (event.target.closest(OWN_KEYS)) return;
    if ((event.code === "Space" || event.code === "Enter") && event.target.closest(ACTIVE)) return;
    const digit = /^[0-9]$/.test(event.key) && Number(event.key) < setup.actions.length;
    const key = digit ? `#${event.key}` : DIRECTIONS[event.code];
    const plain = !event.shiftKey || key;
    if (!plain || !(key || event.code === "Backspace" || SCROLLS.has(event.code))) return;
    event.preventDefault();
    if (event.code === "Backspace") pump.request({ kind: "undo" });
    else if (key && !event.repeat) {
      held.press(event.code, key);
      pressed();
    }
  }, { signal });
  root.addEventListener("keyup", (event) => {
    held.release(event.code);
    light();
  }, { signal });
  root.addEventListener("focusout", letGo, { signal });
  window.addEventListener("blur", letGo, { signal });
  root.addEventListener("focusin", () => pump.go(), { signal });
  // JupyterLab must not act on the player's keys, but it may on its own combinations, such as Shift+Enter and Ctrl+S.
  window.addEventListener("keydown", (event) => {
    const combination = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter");
    if (!root.contains(event.target) || !(combination || event.key === "Escape")) return;
    delete root.dataset.lmSuppressShortcuts;
    setTimeout(() => {
      root.dataset.lmSuppressShortcuts = "true";
    });
  }, { signal, capture: true });
  // After a click with the mouse the keys play again; space would otherwise press the button once more.
  root.addEventListener("click", (event) => {
    if (event.detail > 0 && !event.target.closest(`${OWN_KEYS}, summary, a, label, .gl-draw`)) {
      screen.stage.focus({ preventScroll: true });
    }
  }, { signal });

  // ------------------------------------------------------------------------------------ what the kernel says

  const shown = () => {
    const state = model.get("state");
    screen.show(state);
    tools.show(state);
    say(state.message.text, state.message.error);
    light();
    pump.answered(state.answered);
  };
  const received = (content, buffers) => {
    if (content.kind === "begun") pump.begun(content.id);
    else if (content.kind === "history") {
      screen.remember(content.frames.map((frame, index) => ({ ...frame, png: buffers[index] })));
    } else if (content.kind === "file") {
      if (file.href) URL.revokeObjectURL(file.href);
      Object.assign(file, { href: address(buffers[0], "image/gif"), download: content.name, hidden: false });
      file.textContent = `Download ${content.name}`;
    }
  };
  const heard = {
    "change:state": shown,
    "change:previews": latent.show,
    "change:gallery": folds[1].show,
    "change:fitted": () => folds.slice(2).forEach((panel) => panel.show()),
    "msg:custom": received,
  };
  for (const [name, handler] of Object.entries(heard)) model.on(name, handler);

  // ------------------------------------------------------------------------------------------ size and focus

  const measure = new ResizeObserver(() => {
    const style = getComputedStyle(root);
    const room = root.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (room <= 0) return;
    const wide = room >= BESIDE + LEAST;
    root.classList.toggle("gl-wide", wide);
    screen.fit(wide ? room - BESIDE : room, Math.max(256, 0.66 * window.innerHeight));
  });
  measure.observe(root);
  const still = `.gl-still[data-player="${setup.player}"]`;
  const clock = setInterval(() => {
    screen.wait(screen.offline.hidden ? pump.sent[0] : null);
    document.querySelectorAll(still).forEach((picture) => { // where the style sheet alone does not hide it
      picture.hidden = true;
    });
  }, 100);

  // The first time it is shown the player takes the keyboard, unless somebody is typing elsewhere, and comes into view
  // when its cell has just been run. JupyterLab is not told, so its active cell stays the next one and Shift+Enter goes
  // on through the notebook.
  const seen = new IntersectionObserver(([entry], observer) => {
    observer.disconnect();
    const active = document.activeElement;
    const free = !active || active === document.body || active.matches(".jp-Notebook, .jp-Notebook *:not(:read-write)");
    const cell = el.closest(".jp-Cell");
    const justRun = [cell, cell?.nextElementSibling].some((near) => near?.classList.contains("jp-mod-active"));
    if (!free || !model.get("unseen") || !(justRun || entry.isIntersecting)) return;
    model.set("unseen", false);
    model.save_changes();
    el.addEventListener("focusin", (event) => event.stopPropagation(), { once: true });
    screen.stage.focus({ preventScroll: true });
    if (justRun) screen.status.scrollIntoView({ block: "nearest" });
  }, { threshold: 0.5 });
  seen.observe(screen.stage);

  el.replaceChildren(root);
  shown();
  send({ kind: "history" });

  return () => {
    stop.abort();
    pump.stop();
    measure.disconnect();
    seen.disconnect();
    clearInterval(clock);
    for (const [name, handler] of Object.entries(heard)) model.off(name, handler);
    for (const panel of folds) panel.free();
    if (file.href) URL.revokeObjectURL(file.href);
  };
}

export default { render };
