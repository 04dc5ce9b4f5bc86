"use strict";
/* A map: what its cells are coloured by, marks over them, and what one of them says. */

/* ends: numbers and texts below the legend's ramp; a look without has keys, colours and texts. */
const looksOf = map => {
  const shown = map.plane("class"), lowest = map.classes.length > 1 ? 1 / map.classes.length : 0;
  const probabilities = map.classes.map(name => map.plane(`probability ${name}`));
  const likeliest = shown.map((value, cell) => value === NODATA ? NODATA : probabilities[value][cell]);
  const scale = map.scale(`probability ${map.classes[0]}`);
  const looks = [
    {name: "land use", plane: shown, table: palette(map.colours), keys: keysOf(map)},
    {name: "probability of the class shown", plane: likeliest, scale, table: ramp(scale, stops(VIRIDIS, lowest, 1)),
      ends: [[lowest, `${Math.round(100 * lowest)} %`], [1, "100 %"]]},
    ...map.classes.map((name, i) => ({name: `probability of ${name}`, plane: probabilities[i], scale,
      ends: [[0, "0 %"], [1, "100 %"]], table: ramp(scale, [[0, "#f4f4f4"], [1, map.colours[i]]])})),
    {name: "doubt (entropy)", plane: map.plane("entropy"), scale: map.scale("entropy"),
      ends: [[0, "0: sure"], [1, "1: all classes alike"]], table: ramp(map.scale("entropy"), stops(PURPLES, 0, 1))},
  ];
  if (map.plane("ood").some(value => value !== NODATA)) { // a model may have no reference to compare with
    looks.push({name: "strangeness (OOD score)", plane: map.plane("ood"), scale: map.scale("ood"),
      ends: [[0, "0"], [1, "1: limit"], [2, "2 and more"]],
      table: ramp(map.scale("ood"), [[0, "#f7fbff"], [1, "#4292c6"], [1.001, "#fdae61"], [2, "#a50026"]])});
  }
  return looks;
};

/* Marks: stripes, which show on every colour. */
const MARKS = [
  {name: "unsure cells", on: false, band: "abstained", above: 0, colour: "#101418", slant: 1},
  {name: "strangers", on: false, band: "ood", above: 1, colour: "#e6007e", slant: -1},
];
const marksOf = map => MARKS.map(mark => {
  const colour = packed(channels(mark.colour)), scale = map.scale(mark.band);
  const table = Uint32Array.from({length: 256}, (_, i) => i < NODATA && i * scale > mark.above + 1e-9 ? colour : 0);
  return {...mark, plane: map.plane(mark.band), table};
}).filter(mark => mark.plane.some(value => mark.table[value]));

/* What a cell says, as of said. */
const told = (map, cell) => {
  const name = map.classes[map.read("class", cell)];
  if (name === undefined) return {heading: "No answer: masked, or no data"};
  const score = map.read("ood", cell), highest = (NODATA - 1) * map.scale("ood");
  return {
    heading: name,
    shares: map.classes.map(one => [one, map.read(`probability ${one}`, cell)]),
    most: name,
    facts: [
      ["Unsure", map.read("abstained", cell) === 1 ? "yes: rather no answer" : "no"],
      ["Doubt (entropy)", map.read("entropy", cell).toFixed(2)],
      ["Strangeness (OOD)", score === null ? "not known"
        : score >= highest ? `${highest.toFixed(1)} or more` : `${score.toFixed(2)}${score > 1 ? ": a stranger" : ""}`],
    ],
  };
};
