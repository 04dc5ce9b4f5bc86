"use strict";
/* Two dates on one map: the first left of a divider, the second right of it. */

const STEPS = {ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100};

/* Make the panes of both dates and the divider between; return the panes as of layered. dates: two texts. */
const swiped = (view, dates) => {
  const panes = ["before", "after", "divider"].map(name => view.createPane(name));
  for (const [i, above] of [250, 251, 450].entries()) panes[i].style.zIndex = above; // below a popup's 700
  const divider = make("div", {className: "divider", tabIndex: 0}, ...dates.map(text => make("span", {textContent: text})));
  const described = {role: "slider", "aria-label": `Divider: ${dates[0]} left of it, ${dates[1]} right of it`,
    "aria-orientation": "horizontal", "aria-valuemin": 0, "aria-valuemax": 100};
  for (const [name, value] of Object.entries(described)) divider.setAttribute(name, value);
  panes[2].append(divider);
  let share = 50; // of the map's width, percent

  const draw = () => {
    const {x: width, y: height} = view.getSize(), {x: left, y: top} = view.containerPointToLayerPoint([0, 0]);
    const at = left + width * share / 100, bottom = top + height;
    for (const [i, [from, to]] of [[left, at], [at, left + width]].entries()) {
      panes[i].style.clipPath = `polygon(${from}px ${top}px, ${to}px ${top}px, ${to}px ${bottom}px, ${from}px ${bottom}px)`;
    }
    L.DomUtil.setPosition(divider, L.point(at, top));
    divider.style.height = `${height}px`;
    divider.setAttribute("aria-valuenow", Math.round(share));
    divider.setAttribute("aria-valuetext", `${Math.round(share)} % of the map is ${dates[0]}`);
  };
  const move = to => {
    share = Math.max(0, Math.min(100, to));
    draw();
  };
  L.DomEvent.disableClickPropagation(divider); // the map is not dragged along
  divider.addEventListener("pointerdown", event => {
    divider.setPointerCapture(event.pointerId);
    divider.focus();
  });
  divider.addEventListener("pointermove", event => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const {left, width} = view.getContainer().getBoundingClientRect();
    move(100 * (event.clientX - left) / width);
  });
  divider.addEventListener("keydown", event => {
    if (!(event.key in STEPS) || event.ctrlKey || event.metaKey || event.altKey) return;
    move(share + STEPS[event.key]);
    event.preventDefault();
    event.stopPropagation();
  });
  view.on("move resize", draw);
  draw();
  return [["before", "before"], ["after", "after"]];
};
