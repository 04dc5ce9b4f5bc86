"use strict";
/* A change: what its cells are coloured by, and what one of them says. */

const arrow = (from, to) => `${from} → ${to}`;
const movesOf = transitions => transitions.filter(([from, to]) => from !== to);

const changesOf = (map, {transitions}) => {
  const plane = map.plane("transition"), found = new Set(plane), scale = map.scale("probability of change");
  const ends = [[0, "0 %"], [1, "100 %"]];
  const seen = transitions.filter(([from, to], number) => from !== to && found.has(number));
  const painted = Uint32Array.from({length: 256}, (_, number) => {
    const [from, to, colour] = transitions[number] ?? [];
    return from === to ? 0 : packed(channels(colour)); // what stayed lets the pictures through
  });
  return [
    {name: "most likely transition", plane, table: painted,
      keys: seen.map(([from, to, colour]) => [colour, arrow(from, to)])},
    {name: "land use of each date", planes: [map.plane("before"), map.plane("after")], table: palette(map.colours),
      keys: keysOf(map)},
    {name: "probability of change", plane: map.plane("probability of change"), scale, ends,
      table: ramp(scale, stops(REDS, 0, 1))},
    ...movesOf(transitions).map(([from, to, colour]) => ({name: `probability of ${arrow(from, to)}`, scale, ends,
      plane: map.plane(`probability ${from} to ${to}`), table: ramp(scale, [[0, "#f4f4f4"], [1, colour]])})),
  ];
};

/* A mark of land that has a class in both dates, but that the model does not know: it counts as none. */
const unknownOf = map => {
  const [before, after, both] = ["before", "after", "transition"].map(map.plane), colour = "#101418";
  const plane = both.map((value, i) => value === NODATA && before[i] !== NODATA && after[i] !== NODATA ? 1 : 0);
  const mark = {name: "unknown land", colour, slant: 1, on: true, plane, table: palette([colour, colour]).fill(0, 0, 1)};
  return plane.includes(1) ? [mark] : [];
};

/* What a cell says, as of said. */
const changed = (map, {transitions, dates}, cell) => {
  const classes = ["before", "after"].map(side => map.classes[map.read(side, cell)]);
  const facts = classes.map((name, i) => [dates[i], name ?? "no answer"]);
  if (classes.includes(undefined)) return {heading: "No answer: masked, or no data", facts};
  const likeliest = transitions[map.read("transition", cell)];
  if (!likeliest) return {heading: "Unknown land", facts};
  const [from, to] = likeliest, same = from === to;
  const shares = [["no change", 1 - map.read("probability of change", cell)],
    ...movesOf(transitions).map(([a, b]) => [arrow(a, b), map.read(`probability ${a} to ${b}`, cell)])];
  return {heading: same ? `${from}, unchanged` : arrow(from, to), shares, most: same ? "no change" : arrow(from, to), facts};
};
