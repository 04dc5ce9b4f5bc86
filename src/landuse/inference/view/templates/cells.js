"use strict";
/* Cells: where they lie, what they hold, and how they are coloured. Knows Leaflet, and nothing of the page. */

const NODATA = 255;
const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const inflated = async text => {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

/* Evenly spaced nodes over the unit square, each with two numbers: bilinear in between. See mercator.py. */
const lattice = text => {
  const nodes = new Float32Array(bytes(text).buffer), side = Math.sqrt(nodes.length / 2), last = side - 2;
  return (x, y, into) => {
    const column = Math.max(0, Math.min(last, Math.floor(x * (side - 1)))), u = x * (side - 1) - column;
    const row = Math.max(0, Math.min(last, Math.floor(y * (side - 1)))), v = y * (side - 1) - row;
    const at = 2 * (row * side + column), below = at + 2 * side;
    for (let k = 0; k < 2; k += 1) {
      into[k] = (nodes[at + k] * (1 - u) + nodes[at + 2 + k] * u) * (1 - v)
        + (nodes[below + k] * (1 - u) + nodes[below + 2 + k] * u) * v;
    }
  };
};

/* A map of the page's data with what is done with it. Places are on the web map, whose world is a square of side 1. */
const opened = async map => {
  const [rows, columns] = map.shape, [left, top, right, bottom] = map.box, values = await inflated(map.values);
  const planes = map.bands.map((_, i) => values.subarray(i * rows * columns, (i + 1) * rows * columns));
  const toGrid = lattice(map.toGrid), toBox = lattice(map.toBox), spot = [0, 0];
  const read = (name, cell) => { // a number, or null where nothing is known
    const band = map.bands.indexOf(name), value = planes[band][cell];
    return value === NODATA ? null : value * map.scales[band];
  };
  return {
    ...map, rows, columns, read,
    plane: name => planes[map.bands.indexOf(name)],
    scale: name => map.scales[map.bands.indexOf(name)],
    /* number of the cell, row by row, or -1 */
    cellAt: (x, y) => {
      toGrid((x - left) / (right - left), (y - top) / (bottom - top), spot);
      const column = Math.floor(spot[0] * columns), row = Math.floor(spot[1] * rows);
      return column < 0 || row < 0 || column >= columns || row >= rows ? -1 : row * columns + column;
    },
    placeOf: (column, row) => {
      toBox(column / columns, row / rows, spot);
      return [left + spot[0] * (right - left), top + spot[1] * (bottom - top)];
    },
    whereabouts: cell => {
      const column = cell % columns, row = Math.floor(cell / columns), [a, b, c, d, e, f] = map.transform;
      return {
        row: Math.floor((row + 0.5) * map.whole[0] / rows), // of the whole map
        column: Math.floor((column + 0.5) * map.whole[1] / columns),
        x: a * (column + 0.5) + b * (row + 0.5) + c,
        y: d * (column + 0.5) + e * (row + 0.5) + f,
      };
    },
  };
};

/* Tables of 256 colours, as a canvas stores them: one a value. */
const channels = colour => [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));
const packed = ([r, g, b]) => (255 << 24 | b << 16 | g << 8 | r) >>> 0; // canvases are little-endian, as machines are
const WHITE = packed([255, 255, 255]);
const ramp = (scale, marks) => Uint32Array.from({length: 256}, (_, value) => { // marks: [number, "#rrggbb"], rising
  if (value === NODATA) return 0;
  const number = value * scale, next = marks.findIndex(([at]) => at > number - 1e-9);
  if (next < 1) return packed(channels(marks.at(next)[1]));
  const [[from, low], [to, high]] = [marks[next - 1], marks[next]], share = (number - from) / (to - from);
  const ends = [channels(low), channels(high)];
  return packed([0, 1, 2].map(i => Math.round(ends[0][i] * (1 - share) + ends[1][i] * share)));
});
const stops = (colours, from, to) => colours.map((colour, i) => [from + (to - from) * i / (colours.length - 1), colour]);
const VIRIDIS = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];
const PURPLES = ["#f7fbff", "#9e9ac8", "#54278f"];
const REDS = ["#f7f4f0", "#fdbb84", "#d7301f", "#7f0000"];
const palette = colours => Uint32Array.from({length: 256}, (_, i) => i < colours.length ? packed(channels(colours[i])) : 0);

const keysOf = map => map.classes.map((name, i) => [map.colours[i], name]);

/* Stripes of a mark over the cells, with a light edge. slant: 1 or -1, their direction. */
const striped = (colour, x, y, slant) => {
  const at = (x + slant * y) & 7;
  return colour === 0 || at > 2 ? 0 : at < 2 ? colour : WHITE;
};

/* Cells as a layer. Each tile is drawn for its zoom, so that edges of cells are sharp. look: its plane and table. */
const Cells = L.GridLayer.extend({
  options: {noWrap: true, updateWhenZooming: false},
  initialize(map, look, options) {
    Object.assign(this, {cells: map, look});
    L.setOptions(this, options);
  },
  createTile({x, y, z}) {
    const ratio = Math.min(2, Math.ceil(devicePixelRatio)), side = 256 * ratio, world = side * 2 ** z;
    const tile = document.createElement("canvas");
    tile.width = tile.height = side;
    const context = tile.getContext("2d"), image = context.createImageData(side, side);
    const pixels = new Uint32Array(image.data.buffer), {plane, table, slant} = this.look;
    for (let row = 0, at = 0; row < side; row += 1) {
      for (let column = 0; column < side; column += 1, at += 1) {
        const cell = this.cells.cellAt((x * side + column + 0.5) / world, (y * side + row + 0.5) / world);
        if (cell < 0) continue;
        const colour = table[plane[cell]];
        pixels[at] = slant ? striped(colour, Math.floor(column / ratio), Math.floor(row / ratio), slant) : colour;
      }
    }
    context.putImageData(image, 0, 0);
    return tile;
  },
  show(look) {
    this.look = look;
    this.redraw();
  },
});
