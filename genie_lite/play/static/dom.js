// Small helpers for making parts of the page.

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// Setting a text that is there already would make the browser lay out the page again, many times a second.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function button(label, title, className = "gl-button") {
  return make("button", { type: "button", class: className, title, text: label });
}

// Bytes from the kernel as the address of a picture; the caller revokes it.
function address(bytes, type) {
  return URL.createObjectURL(new Blob([bytes], { type }));
}

// A picture that may be changed and frees what it showed before.
function picture(className, alt) {
  const image = make("img", { class: className, alt });
  return {
    image,
    show(bytes, type = "image/png", words = alt) {
      this.free();
      image.alt = words;
      if (bytes?.byteLength) image.src = address(bytes, type);
      else image.removeAttribute("src");
    },
    free() {
      if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    },
  };
}

function fold(title, className, ...children) {
  return make("details", { class: `gl-fold ${className}` }, make("summary", { text: title }), ...children);
}

let named = 0;

// A range input with its name and its value in words.
function slider(name, title, { min, max, step = 1, value, words = String }, changed) {
  const id = `gl-slider-${++named}-${Math.random().toString(36).slice(2, 7)}`;
  const input = make("input", { type: "range", id, min, max, step, title });
  const output = make("output", { for: id });
  const say = () => {
    output.textContent = words(input.value);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.value = value;
  say();
  input.addEventListener("input", say);
  input.addEventListener("change", () => changed(Number(input.value)));
  return make("div", { class: "gl-slider" }, make("label", { for: id, text: name }), input, output);
}
