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
    {name: "most likely transition", plane, table: painted, keys: seen.map(([from, to, colour]) => [colour, arrow(from, to)])},
    {name: "land use of each date", planes: [map.plane("before"), map.plane("after")], table: palette(map.colours), keys: keysOf(map)},
    {name: "probability of change", plane: map.plane("probability of change"), scale, ends, table: ramp(scale, stops(REDS, 0, 1))},
    ...movesOf(transitions).map(([from, to, colour]) => ({name: `probability of ${arrow(from, to)}`, scale, ends,
      plane: map.plane(`probability ${from} to ${to}`), table: ramp(scale, [[0, "#f4f4f4"], [1, colour]])})),
  ];
};

/* What a cell says, as of said. */
const changed = (map, {transitions, dates}, cell) => {
  const [from, to] = transitions[map.read("transition", cell)] ?? [], likelihood = map.read("probability of change", cell);
  const facts = ["before", "after"].map((side, i) => [dates[i], map.classes[map.read(side, cell)] ?? "no answer"]);
  const shares = likelihood === null ? [] : [["no change", 1 - likelihood],
    ...movesOf(transitions).map(([a, b]) => [arrow(a, b), map.read(`probability ${a} to ${b}`, cell)])];
  if (from === undefined) return {heading: "No answer: masked, or unknown in a date", shares, facts};
  const same = from === to;
  return {heading: same ? `${from}, unchanged` : arrow(from, to), shares, most: same ? "no change" : arrow(from, to), facts};
};
