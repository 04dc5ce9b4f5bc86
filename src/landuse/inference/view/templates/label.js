"use strict";
/* Labelling: from cell to cell of a sample, a key a class. What the map says is not shown: people would follow it. */

const csv = rows => rows.map(row => row.map(value => {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}).join(",") + "\n").join("");

/* What the browser keeps for this page, so that one closed by mistake loses nothing; some forbid it. */
const kept = {
  read: name => {
    try { return JSON.parse(localStorage.getItem(name)) ?? []; } catch { return []; }
  },
  write: (name, value) => {
    try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* they are saved as a file, or not at all */ }
  },
};

const labelling = (view, map, {cells, other, name, pictures}) => {
  const names = [...new Set([...map.classes, other])]; // a model may have a class of that name
  const storage = `landuse labels ${name}`, labels = new Map(kept.read(storage));
  const keyOf = i => names[i] === other ? "0" : i < 9 ? String(i + 1) : "";
  const outline = L.polygon([], {color: "#fff", weight: 3, fill: false, interactive: false}).addTo(view);
  let at = 0, colours = 0, picture = null; // colours: 0 true, 1 false

  const paint = () => {
    picture?.remove();
    if (!pictures.length) return;
    const {box, colours: all} = pictures[at];
    picture = L.imageOverlay(all[colours], boxOf({box}), {pane: "cells"}).addTo(view);
    find("false").setAttribute("aria-pressed", colours === 1);
  };
  const turn = () => {
    colours = 1 - colours;
    paint();
  };
  const go = to => {
    at = Math.max(0, Math.min(cells.length - 1, to));
    const [cell, row, column] = cells[at], [down, across] = [map.rows / map.whole[0], map.columns / map.whole[1]];
    const corner = (x, y) => latlng(map.placeOf((column + x) * across, (row + y) * down));
    outline.setLatLngs([corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)]);
    view.fitBounds(L.latLngBounds(corner(-1.5, 2.5), corner(2.5, -1.5)), {animate: false});
    paint();
    find("progress").textContent =
      `Cell ${at + 1} of ${cells.length}, ${labels.get(cell) ?? "not labelled"}. ${labels.size} labelled.`;
    find("classes").childNodes.forEach((button, i) => button.setAttribute("aria-pressed", labels.get(cell) === names[i]));
  };
  const label = i => {
    labels.set(cells[at][0], names[i]);
    kept.write(storage, [...labels]);
    const open = [...cells.keys()].map(k => (at + 1 + k) % cells.length).find(k => !labels.has(cells[k][0]));
    go(open ?? at);
  };
  find("classes").append(...names.map((text, i) => {
    const button = make("button", {type: "button"}, keyOf(i) && make("kbd", {textContent: keyOf(i)}), text);
    button.addEventListener("click", () => label(i));
    return button;
  }));
  find("before").addEventListener("click", () => go(at - 1));
  find("after").addEventListener("click", () => go(at + 1));
  find("save").addEventListener("click", () => {
    const rows = cells.filter(([cell]) => labels.has(cell)).map(cell => [...cell, labels.get(cell[0])]);
    const text = csv([["cell", "row", "col", "mapped", "label"], ...rows]);
    const link = make("a", {href: URL.createObjectURL(new Blob([text], {type: "text/csv"})), download: "labels.csv"});
    link.click();
    URL.revokeObjectURL(link.href);
  });
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const i = names.findIndex((_, k) => keyOf(k) === event.key);
    if (i >= 0) label(i);
    else if (event.key === "p") go(at - 1);
    else if (event.key === "n") go(at + 1);
    else if (event.key === "f" && !find("false").hidden) turn();
  });
  find("false").addEventListener("click", turn);
  find("false").hidden = !(pictures.length && pictures[0].colours.length > 1);
  find("labelling").hidden = false;
  go(Math.max(0, cells.findIndex(([cell]) => !labels.has(cell))));
};
