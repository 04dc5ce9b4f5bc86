"use strict";
/* What pages share: layers, legend, and the popup of a cell. */

const find = id => document.getElementById(id);
const make = (tag, settings = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), settings);
  element.append(...children);
  return element;
};
const latlng = ([x, y]) => L.CRS.EPSG3857.pointToLatLng(L.point(256 * x, 256 * y), 0);
const place = spot => {
  const {x, y} = L.CRS.EPSG3857.latLngToPoint(spot, 0);
  return [x / 256, y / 256];
};
const boxOf = map => {
  const [left, top, right, bottom] = map.box;
  return L.latLngBounds(latlng([left, bottom]), latlng([right, top]));
};

/* What a cell says, for the popup: a heading, shares of what may be there, facts, and where it lies. */
const FIRST = 6; // shares that are shown at once
const line = (name, ...texts) => make("tr", {}, make("th", {scope: "row", textContent: name}),
  ...texts.map(text => make("td", {}, text)));
const said = (map, cell, spot, {heading, shares = [], most, facts = []}) => {
  const content = make("div", {}, make("h2", {textContent: heading}));
  const rows = shares.toSorted((p, q) => q[1] - p[1]).map(([name, share]) => {
    const row = line(name, make("meter", {value: share, ariaHidden: "true"}), `${(100 * share).toFixed(1)} %`);
    row.classList.toggle("most", name === most);
    return row;
  });
  if (rows.length) content.append(make("table", {}, ...rows.slice(0, FIRST)));
  if (rows.length > FIRST) {
    content.append(make("details", {}, make("summary", {textContent: `${rows.length - FIRST} more`}),
      make("table", {}, ...rows.slice(FIRST))));
  }
  const {row, column, x, y} = map.whereabouts(cell);
  content.append(make("table", {},
    ...facts.map(fact => line(...fact)),
    line("Row, column", `${row}, ${column}`),
    line(map.crs || "East, north", `${x.toFixed(0)}, ${y.toFixed(0)}`),
    line("Latitude, longitude", `${spot.lat.toFixed(5)}, ${spot.lng.toFixed(5)}`),
  ));
  return content;
};

/* The legend of a look and of the marks that are on. */
const css = colour => `rgb(${colour & 255} ${colour >> 8 & 255} ${colour >> 16 & 255})`;
const key = background => {
  const element = make("span", {className: "key"});
  element.style.background = background;
  return element;
};
const legendOf = (look, marks) => {
  const parts = [make("summary", {textContent: look.name[0].toUpperCase() + look.name.slice(1)})];
  if (look.ends) {
    const bar = make("canvas", {width: 200, height: 1, ariaHidden: "true"}), context = bar.getContext("2d");
    const [from, to] = [look.ends[0][0], look.ends.at(-1)[0]];
    for (let x = 0; x < 200; x += 1) {
      context.fillStyle = css(look.table[Math.min(NODATA - 1, Math.round((from + (to - from) * x / 199) / look.scale))]);
      context.fillRect(x, 0, 1, 1);
    }
    parts.push(bar, make("p", {className: "ends"}, ...look.ends.map(([, text]) => make("span", {textContent: text}))));
  } else {
    parts.push(...look.keys.map(([colour, text]) => make("p", {}, key(colour), text)));
  }
  parts.push(...marks.map(({name, colour, slant}) => {
    const stripes = `repeating-linear-gradient(${-45 * slant}deg, ${colour} 0 2px, #fff 2px 3px, #bbb 3px 6px)`;
    return make("p", {}, key(stripes), name);
  }));
  return parts;
};

/* The map with its picture, and a base map once it is asked for. */
const ground = box => {
  const moving = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  const view = L.map("map", {zoomSnap: 0.5, maxZoom: 19, fadeAnimation: false, zoomAnimation: moving, inertia: moving});
  for (const [i, name] of ["picture", "cells", "marks"].entries()) view.createPane(name).style.zIndex = 250 + 10 * i;
  view.attributionControl.setPrefix("");
  L.control.scale({imperial: false}).addTo(view);
  view.fitBounds(box);
  find("whole").addEventListener("click", () => view.fitBounds(box));
  const base = L.tileLayer("https://tile.openstreetmap.org/{z}/{x}/{y}.png", {
    maxZoom: 19, referrerPolicy: "strict-origin-when-cross-origin", // their rules ask for a referrer
    attribution: '&copy; <a href="https://www.openstreetmap.org/copyright">OpenStreetMap</a> contributors',
  });
  find("base").addEventListener("click", () => {
    view.hasLayer(base) ? base.remove() : base.addTo(view);
    find("base").setAttribute("aria-pressed", view.hasLayer(base));
  });
  find("file-note").hidden = location.protocol !== "file:";
  return view;
};

/* Layers, opacity and legend. sides: of each date the panes of its picture and of its cells. */
const layered = (view, map, box, {looks, marks}, sides) => {
  const pictures = sides.map(([pane], i) => L.imageOverlay(map.pictures[i], box, {pane, zIndex: 1}));
  const looked = (look, i) => ({...look, plane: look.planes?.[i] ?? look.plane});
  const cells = sides.map(([, pane], i) => new Cells(map, looked(looks[0], i), {pane, bounds: box, zIndex: 2}));
  const layers = [
    {name: "true colour", layer: L.layerGroup(pictures), on: true},
    {name: "cells", layer: L.layerGroup(cells), on: true},
    ...marks.map(mark => ({name: mark.name, mark, layer: new Cells(map, mark, {pane: "marks", bounds: box}), on: mark.on})),
  ];
  let look = looks[0];

  const legend = L.control({position: "bottomright"});
  legend.onAdd = () => {
    const element = make("details", {className: "legend", ariaLabel: "Legend", open: !(look.keys?.length > 2 * FIRST)});
    L.DomEvent.disableScrollPropagation(element).disableClickPropagation(element);
    return element;
  };
  legend.addTo(view);
  const explain = () => {
    const on = layers.filter(({mark, layer}) => mark && view.hasLayer(layer)).map(({mark}) => mark);
    legend.getContainer().replaceChildren(...legendOf(look, on));
  };

  for (const {name, layer, on} of layers) {
    const input = make("input", {type: "checkbox", checked: on});
    const set = () => {
      input.checked ? layer.addTo(view) : layer.remove();
      explain();
    };
    input.addEventListener("change", set);
    find("layers").append(make("label", {}, input, name));
    set();
  }
  find("look").append(...looks.map((look, i) => make("option", {value: i, textContent: look.name})));
  find("look").addEventListener("change", () => {
    look = looks[find("look").value];
    cells.forEach((side, i) => side.show(looked(look, i)));
    explain();
  });
  const opacity = find("opacity"), fade = () => {
    cells.forEach(side => side.setOpacity(opacity.value / 100));
    document.querySelector("output[for=opacity]").value = `${opacity.value} %`;
  };
  opacity.addEventListener("input", fade);
  fade();
};

/* A click on a cell, or Enter for the one in the middle, shows its numbers. */
const readable = (view, map, told) => {
  const outline = L.polygon([], {color: "#fff", weight: 3, fill: false, interactive: false});
  const read = spot => {
    const cell = map.cellAt(...place(spot));
    if (cell < 0) return;
    const column = cell % map.columns, row = Math.floor(cell / map.columns);
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => latlng(map.placeOf(column + x, row + y)));
    const centre = latlng(map.placeOf(column + 0.5, row + 0.5)), content = said(map, cell, centre, told(cell));
    L.popup({maxHeight: 320, minWidth: 230, maxWidth: 300}).setLatLng(centre).setContent(content).openOn(view)
      .on("remove", () => outline.remove());
    outline.setLatLngs(corners).addTo(view); // after the popup before has closed
    find("said").textContent = [...content.querySelectorAll("h2, tr")].map(part => part.textContent).join("; ");
  };
  view.on("click", event => read(event.latlng));
  view.on("keypress", ({originalEvent}) => originalEvent.key === "Enter" && read(view.getCenter()));
};
