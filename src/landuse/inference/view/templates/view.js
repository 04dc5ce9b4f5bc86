"use strict";
/* The page: layers, legend, and the numbers of a cell. */

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

/* What a cell says, for the popup. */
const FIRST = 6; // classes that are shown at once
const line = (name, ...texts) => make("tr", {}, make("th", {scope: "row", textContent: name}),
  ...texts.map(text => make("td", {}, text)));
const told = (map, numbers, spot) => {
  const percent = share => `${(100 * share).toFixed(1)} %`;
  const content = make("div", {}, make("h2", {textContent: numbers.class ?? "No answer: masked, or no data"}));
  const facts = make("table");
  if (numbers.class !== null) {
    const rows = numbers.probabilities.toSorted((p, q) => q[1] - p[1]).map(([name, share]) => {
      const row = line(name, make("meter", {value: share, ariaHidden: "true"}), percent(share));
      row.classList.toggle("most", name === numbers.class);
      return row;
    });
    content.append(make("table", {}, ...rows.slice(0, FIRST)));
    if (rows.length > FIRST) {
      content.append(make("details", {}, make("summary", {textContent: `${rows.length - FIRST} more classes`}),
        make("table", {}, ...rows.slice(FIRST))));
    }
    const score = numbers.ood, highest = (NODATA - 1) * map.scale("ood");
    facts.append(
      line("Unsure", numbers.abstained ? "yes: rather no answer" : "no"),
      line("Doubt (entropy)", numbers.entropy.toFixed(2)),
      line("Strangeness (OOD)", score === null ? "not known"
        : score >= highest ? `${highest.toFixed(1)} or more` : `${score.toFixed(2)}${score > 1 ? ": a stranger" : ""}`),
    );
  }
  facts.append(
    line("Row, column", `${numbers.row}, ${numbers.column}`),
    line(map.crs || "East, north", `${numbers.x.toFixed(0)}, ${numbers.y.toFixed(0)}`),
    line("Latitude, longitude", `${spot.lat.toFixed(5)}, ${spot.lng.toFixed(5)}`),
  );
  content.append(facts);
  return content;
};

/* The legend of a look and of the marks that are on. */
const css = colour => `rgb(${colour & 255} ${colour >> 8 & 255} ${colour >> 16 & 255})`;
const key = background => {
  const element = make("span", {className: "key"});
  element.style.background = background;
  return element;
};
const legendOf = (map, look, marks) => {
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
    parts.push(...map.classes.map((name, i) => make("p", {}, key(map.colours[i]), name)));
  }
  parts.push(...marks.map(({name, colour, slant}) => {
    const stripes = `repeating-linear-gradient(${-45 * slant}deg, ${colour} 0 2px, #fff 2px 3px, #bbb 3px 6px)`;
    return make("p", {}, key(stripes), name);
  }));
  return parts;
};

/* The map with its picture, and a base map once it is asked for. */
const ground = (map, box) => {
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

/* Layers, opacity and legend. */
const layered = (view, map, box, picture) => {
  const looks = looksOf(map), drawn = {pane: "cells", bounds: box}, cells = new Cells(map, looks[0], drawn);
  const marks = MARKS.map(mark => marked(map, mark)).filter(mark => mark.plane.some(value => mark.table[value]));
  const layers = [
    {name: "true colour", layer: picture, on: true},
    {name: "cells", layer: cells, on: true},
    ...marks.map(mark => ({name: mark.name, mark, layer: new Cells(map, mark, {...drawn, pane: "marks"}), on: false})),
  ];

  const legend = L.control({position: "bottomright"});
  legend.onAdd = () => {
    const element = make("details", {className: "legend", ariaLabel: "Legend", open: map.classes.length <= 2 * FIRST});
    L.DomEvent.disableScrollPropagation(element).disableClickPropagation(element);
    return element;
  };
  legend.addTo(view);
  const explain = () => {
    const on = layers.filter(({mark, layer}) => mark && view.hasLayer(layer)).map(({mark}) => mark);
    legend.getContainer().replaceChildren(...legendOf(map, cells.look, on));
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
    cells.show(looks[find("look").value]);
    explain();
  });
  const opacity = find("opacity"), fade = () => {
    cells.setOpacity(opacity.value / 100);
    document.querySelector("output[for=opacity]").value = `${opacity.value} %`;
  };
  opacity.addEventListener("input", fade);
  fade();
};

/* A click on a cell, or Enter for the one in the middle, shows its numbers. */
const readable = (view, map) => {
  const outline = L.polygon([], {color: "#fff", weight: 3, fill: false, interactive: false});
  const read = spot => {
    const cell = map.cellAt(...place(spot));
    if (cell < 0) return;
    const column = cell % map.columns, row = Math.floor(cell / map.columns);
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => latlng(map.placeOf(column + x, row + y)));
    const numbers = map.numbers(cell), centre = latlng(map.placeOf(column + 0.5, row + 0.5));
    const content = told(map, numbers, centre);
    L.popup({maxHeight: 320, minWidth: 230, maxWidth: 300}).setLatLng(centre).setContent(content).openOn(view)
      .on("remove", () => outline.remove());
    outline.setLatLngs(corners).addTo(view); // after the popup before has closed
    find("said").textContent = [...content.querySelectorAll("h2, tr")].map(part => part.textContent).join("; ");
  };
  view.on("click", event => read(event.latlng));
  view.on("keypress", ({originalEvent}) => originalEvent.key === "Enter" && read(view.getCenter()));
};

const start = async () => {
  const {maps, sample} = JSON.parse(find("data").textContent), [map] = await Promise.all(maps.map(opened));
  const box = boxOf(map), view = ground(map, box), picture = L.imageOverlay(map.picture, box, {pane: "picture"});
  if (sample) {
    picture.addTo(view);
    find("looks").hidden = find("area").hidden = true;
    labelling(view, map, sample);
  } else {
    layered(view, map, box, picture);
    readable(view, map);
  }
  find("controls").hidden = false;
  return {map, view};
};

const started = start();
started.catch(error => {
  const old = !("DecompressionStream" in window && Array.prototype.toSorted);
  find("fault").textContent = old ? "The map needs a newer browser, of 2023 or later." : `The map fails: ${error.message}`;
  find("fault").hidden = false;
  throw error; // for the console
});
