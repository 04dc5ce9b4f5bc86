"use strict";
/* The page of a map, of its sample, or of a change. */

const start = async () => {
  const {maps, sample, change} = JSON.parse(find("data").textContent), [map] = await Promise.all(maps.map(opened));
  const box = boxOf(map), view = ground(box);
  if (sample) {
    L.imageOverlay(map.pictures[0], box, {pane: "picture"}).addTo(view);
    find("looks").hidden = find("area").hidden = true;
    labelling(view, map, sample);
  } else if (change) {
    layered(view, map, box, {looks: changesOf(map, change), marks: unknownOf(map)}, swiped(view, change.dates));
    readable(view, map, cell => changed(map, change, cell));
  } else {
    layered(view, map, box, {looks: looksOf(map), marks: marksOf(map)}, [["picture", "cells"]]);
    readable(view, map, cell => told(map, cell));
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
