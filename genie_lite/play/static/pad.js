// Nine keys at most, in the places of a number pad. Each can be held with mouse, pen or finger.

const PAD = [
  ["up-left", "↖", ""], ["up", "↑", "W"], ["up-right", "↗", ""],
  ["left", "←", "A"], ["none", "•", "."], ["right", "→", "D"],
  ["down-left", "↙", ""], ["down", "↓", "S"], ["down-right", "↘", ""],
];

// `jumps`: whether "up" is a jump.
function makePad({ keys: known, jumps }, { held, pressed, released }, signal) {
  const pad = make("div", { class: "gl-pad", role: "group", "aria-label": "Keys" });
  const buttons = {};
  const names = { none: "wait, no key", ...(jumps && { up: "up, jump" }) };
  PAD.forEach(([key, glyph, letters], place) => {
    if (!known.includes(key)) return;
    const name = names[key] ?? key.replace("-", " and ");
    const hint = jumps && key === "up" ? `${letters}, space` : letters;
    const made = make(
      "button",
      { type: "button", class: "gl-key", tabindex: -1, "aria-label": name, title: name, "data-key": key },
      make("span", { text: glyph }), hint ? make("kbd", { text: hint }) : null,
    );
    made.style.gridArea = `${Math.floor(place / 3) + 1} / ${(place % 3) + 1}`;
    made.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault(); // the focus stays on the picture
      made.setPointerCapture(event.pointerId);
      held.press(event.pointerId, key);
      pressed();
    }, { signal });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      made.addEventListener(end, (event) => {
        held.release(event.pointerId);
        released();
      }, { signal });
    }
    made.addEventListener("click", (event) => { // without a pointer: a screen reader, or Enter
      if (event.detail !== 0) return;
      held.press("click", key);
      pressed();
      held.release("click");
      released();
    }, { signal });
    made.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
    buttons[key] = made;
    pad.append(made);
  });
  return {
    pad,
    light(intention, last) {
      for (const [key, made] of Object.entries(buttons)) {
        made.classList.toggle("gl-held", key === intention);
        made.classList.toggle("gl-last", key === last);
      }
    },
  };
}
