// Arrow and number keys for the whole player. One command is under way at a time and at most one waits,
// so a held key plays as fast as the world does and leaves nothing behind when it is let go.

const WRITES = "input, textarea, select, [contenteditable='true'], [role='slider'], .noUi-handle";

function render({ model, el }) {
  const stop = new AbortController();
  const { signal } = stop;
  const view = Math.random().toString(36).slice(2);
  let count = 0;
  let underWay = null;
  let waiting = null;
  let held = null;

  el.classList.add("gl-keys");
  const hint = () => {
    el.textContent = model.get("hint");
  };
  model.on("change:hint", hint);
  hint();

  const send = (command) => {
    underWay = `${view}-${++count}`;
    model.send({ ...command, id: underWay });
  };
  const answered = (message) => {
    if (message?.kind !== "done" || message.id !== underWay) return;
    underWay = null;
    const next = waiting ?? held;
    waiting = null;
    if (next) send(next);
  };
  model.on("msg:custom", answered);

  const commandOf = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return null;
    return model.get("commands")[event.key] ?? null;
  };
  const letGo = () => {
    held = null;
  };
  const pressed = (event) => {
    const command = commandOf(event);
    if (!command || event.target.closest(WRITES)) return;
    event.preventDefault();
    event.stopPropagation();
    if (command.kind === "nothing") return;
    if (event.repeat) {
      held = command;
      if (underWay === null) send(command);
    } else if (underWay === null) {
      send(command);
    } else {
      waiting = command;
    }
  };

  const attach = (player) => {
    player.tabIndex = 0;
    player.dataset.lmSuppressShortcuts = "true";
    player.setAttribute("role", "application");
    player.setAttribute("aria-label", model.get("hint"));
    player.addEventListener("keydown", pressed, { signal });
    player.addEventListener("keyup", letGo, { signal });
    player.addEventListener("focusout", letGo, { signal });
    const screen = player.querySelector(".gl-screen");
    screen?.addEventListener("mousedown", (event) => event.preventDefault(), { signal });
    screen?.addEventListener("click", () => player.focus({ preventScroll: true }), { signal });
  };
  const find = () => {
    if (signal.aborted) return;
    const player = el.isConnected ? el.closest(".gl-player") : null;
    if (player) attach(player);
    else requestAnimationFrame(find);
  };
  find();

  return () => {
    stop.abort();
    model.off("change:hint", hint);
    model.off("msg:custom", answered);
  };
}

export default { render };
