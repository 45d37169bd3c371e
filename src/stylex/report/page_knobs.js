// The report's knobs: the explorer's viewer over the strips in the page, in a shadow so that neither's looks reach the other.
function begin(looks) {
  const host = document.getElementById("viewer");
  const shadow = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(looks);
  shadow.adoptedStyleSheets = [sheet];
  const place = document.createElement("div");
  shadow.append(place);
  document.getElementById("turn").hidden = false;
  const about = JSON.parse(host.dataset.knobs);
  const viewer = mount(place, stripSource(about), { embedded: true, gallery: false });
  for (const button of document.querySelectorAll(".turn")) {
    const knob = Number(button.dataset.knob);
    button.hidden = !about.strips.some((strip) => strip.knob === knob);
    button.addEventListener("click", async () => {
      if (!viewer.fits(viewer.knobs[knob], viewer.image)) await viewer.show(viewer.knobs[knob].images[0]);
      viewer.turnTo(knob, 1);
      viewer.commit();
      place.querySelector(`[data-knob="${knob}"] .slider`).focus({ preventScroll: true });
      host.scrollIntoView({ block: "nearest" });
    });
  }
}
