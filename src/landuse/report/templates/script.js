/* The page is complete without this; it adds sorting, hints, filters and enlarged tiles. */
"use strict";

/* scroll regions that fit need no stop for the keyboard */
const fit = () => document.querySelectorAll(".scroll").forEach(region => {
  if (region.scrollWidth > region.clientWidth + 1 || region.scrollHeight > region.clientHeight + 1) region.tabIndex = 0;
  else region.removeAttribute("tabindex");
});
addEventListener("resize", fit);
document.querySelectorAll("details").forEach(fold => fold.addEventListener("toggle", fit));
fit();

/* sortable tables */
document.querySelectorAll("table.sortable").forEach(table => {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") !== "descending" && (column > 0 || head.hasAttribute("aria-sort"));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (x, y) => x === "" || y === "" ? (x === "") - (y === "") :
        (descending ? -1 : 1) * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
      body.append(...[...body.rows].sort((x, y) => compare(key(x), key(y))));
    });
  });
});

/* hints: the text of <title>, at once and readable */
const hint = document.createElement("div");
hint.id = "hint";
hint.hidden = true;
hint.setAttribute("aria-hidden", "true");
document.body.append(hint);
document.querySelectorAll("svg title").forEach(title => {
  title.parentNode.dataset.hint = title.textContent;
  title.remove();
});
document.addEventListener("pointerover", event => {
  const mark = event.target.closest("[data-hint]");
  hint.hidden = !mark;
  if (mark) hint.textContent = mark.dataset.hint;
});
document.addEventListener("pointermove", event => {
  if (hint.hidden) return;
  const left = Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8);
  const above = event.clientY + 20 + hint.offsetHeight > innerHeight;
  hint.style.left = `${Math.max(8, left)}px`;
  hint.style.top = `${event.clientY + (above ? -hint.offsetHeight - 12 : 18)}px`;
});

/* galleries: filter by label, enlarge */
const viewer = document.createElement("dialog");
viewer.setAttribute("aria-label", "Enlarged tile");
const stage = document.createElement("div"), words = document.createElement("p"), buttons = document.createElement("div");
buttons.className = "buttons";
stage.className = "pair";
viewer.append(stage, words, buttons);
document.body.append(viewer);
let current;
const show = tile => {
  if (!tile) return;
  current = tile;
  stage.replaceChildren(...[...tile.querySelectorAll("img")].map(img => img.cloneNode()));
  words.replaceChildren(...[...tile.querySelector("figcaption").childNodes].map(node => node.cloneNode(true)));
  if (!viewer.open) viewer.showModal();
};
const step = by => {
  const tiles = [...current.parentNode.children].filter(tile => !tile.hidden);
  show(tiles[(tiles.indexOf(current) + by + tiles.length) % tiles.length]);
};
[["Previous", () => step(-1)], ["Next", () => step(1)], ["Close", () => viewer.close()]].forEach(([text, act]) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", act);
  buttons.append(button);
});
viewer.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
viewer.addEventListener("click", event => { if (event.target === viewer) viewer.close(); });
document.querySelectorAll(".gallery").forEach(gallery => {
  const tiles = [...gallery.querySelectorAll(".tiles > li")];
  tiles.forEach(tile => {
    const button = document.createElement("button"), pair = tile.querySelector(".pair");
    button.type = "button";
    button.className = "pair";
    button.append(...pair.childNodes);
    pair.replaceWith(button);
    button.addEventListener("click", () => show(tile));
  });
  const labels = [...new Set(tiles.flatMap(tile => JSON.parse(tile.dataset.labels)))].sort();
  if (labels.length < 3) return;
  const label = document.createElement("label"), select = document.createElement("select");
  select.append(new Option("all labels", ""), ...labels.map(name => new Option(name, name)));
  label.append("Show ", select);
  gallery.querySelector(".tiles").before(label);
  select.addEventListener("change", () => tiles.forEach(tile => {
    tile.hidden = select.value !== "" && !JSON.parse(tile.dataset.labels).includes(select.value);
  }));
});

/* the table of contents follows */
const links = new Map([...document.querySelectorAll("nav a")].map(link => [link.hash.slice(1), link]));
const seen = new IntersectionObserver(entries => entries.forEach(entry => {
  const link = links.get(entry.target.id);
  if (!link || !entry.isIntersecting) return;
  links.forEach(other => other.classList.remove("here"));
  link.classList.add("here");
  const list = link.closest("ul");
  list.scrollTo({left: link.offsetLeft - list.clientWidth / 2 + link.clientWidth / 2});
}), {rootMargin: "-20% 0px -70% 0px"});
document.querySelectorAll("section[id]").forEach(section => seen.observe(section));

/* print what is folded */
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(fold => { fold.open = true; }));
