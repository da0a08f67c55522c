// The picture below the sliders of an explorer. Where it may be clicked, it tells the kernel where that was, in pixels
// of the picture. It also names the sliders for screen readers: ipywidgets leaves them without a name, and gives the
// number of a choice for its value.
function render({ model, el }) {
  const image = document.createElement("img");
  image.style.maxWidth = "100%";
  if (model.get("clickable")) image.style.cursor = "pointer";
  let address = null;
  const nameSliders = () => {
    for (const slider of el.closest(".widget-vbox")?.querySelectorAll(".widget-hslider") ?? []) {
      const handle = slider.querySelector(".noUi-handle");
      handle?.setAttribute("aria-label", slider.querySelector(".widget-label")?.textContent ?? "");
      handle?.setAttribute("aria-valuetext", slider.querySelector(".widget-readout")?.textContent ?? "");
    }
  };
  const show = () => {
    const former = address;
    address = URL.createObjectURL(new Blob([model.get("value")], { type: "image/png" }));
    image.src = address;
    image.alt = model.get("words");
    if (former) URL.revokeObjectURL(former);
    nameSliders();
  };
  image.addEventListener("click", (event) => {
    if (!model.get("clickable")) return;
    const box = image.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * image.naturalWidth;
    const y = ((event.clientY - box.top) / box.height) * image.naturalHeight;
    model.set("clicked", [x, y, (model.get("clicked")[2] ?? 0) + 1]); // the count makes every click a change
    model.save_changes();
  });
  model.on("change:value", show);
  show();
  el.append(image);
  image.addEventListener("load", nameSliders, { once: true }); // by then all of the explorer is on the page
  return () => {
    model.off("change:value", show);
    URL.revokeObjectURL(address);
  };
}
export default { render };
