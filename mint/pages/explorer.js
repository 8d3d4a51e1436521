// The table of all replies: sort, search, filter, and open a row to read its whole conversation.
// What models and people wrote enters the page as text (textContent), never as HTML.
"use strict";
(() => {
  const PAGE = 50;
  // The data stand before the script; their id says which of the page's tables this is.
  const part = document.currentScript.previousElementSibling.id.replace(/-data$/, "");
  const form = document.getElementById(`${part}-filters`);
  const table = document.getElementById(`${part}-table`);
  const body = table.tBodies[0];
  const count = document.getElementById(`${part}-count`);
  const later = document.getElementById(`${part}-more`);
  const data = JSON.parse(document.getElementById(`${part}-data`).textContent);
  const collator = new Intl.Collator("en", { numeric: true });
  let order = { column: null, down: false };
  let shown = [];
  let limit = PAGE;

  const spaced = (name) => name.replaceAll("_", " ");
  const tacticsOf = (row) => data.tactics.filter((name) => row.tactics.flat().includes(name));
  const messagesOf = (row) => row.history.map((index) => data.messages[index]);
  for (const row of data.rows) {
    row.used = tacticsOf(row);
    row.words = [row.place, row.reply, row.seeker, row.reason].join("\n").toLowerCase();
  }

  function element(tag, kind, said) {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (said !== undefined) made.textContent = said;
    return made;
  }

  function tagOf(name) {
    const index = data.tactics.indexOf(name);
    return element("i", index < 0 ? "tag none" : `tag t${index}`, spaced(name));
  }

  function figure(value, digits) {
    return value === null ? "–" : value.toFixed(digits).replace("-", "−");
  }

  function keeps(row, wanted) {
    const rating = row.values.rating;
    return (
      wanted.words.every((word) => row.words.includes(word)) &&
      (!wanted.system || row.system === wanted.system) &&
      (!wanted.tactic || row.used.includes(wanted.tactic)) &&
      (wanted.least === null || (rating !== null && rating >= wanted.least)) &&
      (wanted.most === null || (rating !== null && rating <= wanted.most)) &&
      (!wanted.veto || vetoed(row, wanted.veto))
    );
  }

  function vetoed(row, wanted) {
    if (wanted === "(none)") return row.graded && row.tricks.length === 0;
    if (wanted === "(any)") return row.tricks.length > 0;
    if (wanted === "(not graded)") return !row.graded;
    return row.tricks.includes(wanted);
  }

  function number(name) {
    const said = form.elements[name].value.trim();
    return said === "" ? null : Number(said);
  }

  function valueOf(row, column) {
    if (column in row.values) return row.values[column];
    return { tactics: row.used.map(spaced).join(", "), veto: row.tricks.join(", ") }[column] ?? row[column];
  }

  // What has no value stands last, whichever way the column is sorted.
  function compare(a, b) {
    const [x, y] = [valueOf(a, order.column), valueOf(b, order.column)];
    const [noX, noY] = [x, y].map((value) => value === null || value === "");
    if (noX || noY) return noX - noY;
    const sign = typeof x === "number" ? x - y : collator.compare(x, y);
    return order.down ? -sign : sign;
  }

  function update() {
    const wanted = {
      words: form.elements.search.value.toLowerCase().split(/\s+/).filter(Boolean),
      system: form.elements.system.value,
      tactic: form.elements.tactic.value,
      veto: form.elements.veto.value,
      least: number("least"),
      most: number("most"),
    };
    shown = data.rows.filter((row) => keeps(row, wanted));
    if (order.column !== null) shown.sort(compare);
    limit = PAGE;
    draw();
  }

  function draw() {
    body.replaceChildren(...shown.slice(0, limit).map(rowOf));
    count.textContent = `${shown.length} of ${data.rows.length} replies`;
    later.hidden = shown.length <= limit;
    for (const head of table.tHead.rows[0].cells) {
      const sorted = head.dataset.column === order.column;
      head.setAttribute("aria-sort", !sorted ? "none" : order.down ? "descending" : "ascending");
    }
  }

  function rowOf(row) {
    const line = element("tr", "entry");
    const open = element("button", "open", row.place);
    open.type = "button";
    open.setAttribute("aria-expanded", "false");
    const first = element("th");
    first.scope = "row";
    first.append(open);
    const said = element("td");
    said.append(element("div", "said", row.reply || "(no visible reply)"));
    line.append(first, element("td", "", row.system), said);
    const tags = element("td", "tags");
    tags.append(...row.used.map(tagOf));
    const veto = row.graded ? row.tricks.map(spaced).join(", ") : "not graded";
    line.append(tags, element("td", "", veto || "–"));
    for (const column of data.columns) {
      line.append(element("td", "figure", figure(row.values[column.key], column.digits)));
    }
    line.addEventListener("click", () => toggle(line, row, open));
    return line;
  }

  function toggle(line, row, open) {
    const below = line.nextElementSibling;
    const wasOpen = below !== null && below.className === "conversation";
    open.setAttribute("aria-expanded", String(!wasOpen));
    if (wasOpen) {
      below.remove();
      return;
    }
    const cell = element("td");
    cell.colSpan = line.cells.length;
    cell.append(...conversation(row));
    const made = element("tr", "conversation");
    made.append(cell);
    line.after(made);
  }

  function conversation(row) {
    const turns = messagesOf(row).map(([role, said]) => turn(role, said));
    turns.push(turn("seeker", row.seeker));
    const reply = element("p", "reply");
    reply.append(element("b", "", "Reply "));
    if (row.sentences.length > 0 && row.sentences.length === row.tactics.length) {
      row.sentences.forEach((sentence, i) => {
        const unit = element("span", "unit", `${sentence} `);
        unit.append(...row.tactics[i].map(tagOf));
        reply.append(unit);
      });
    } else {
      reply.append(row.reply || "(no visible reply)");
    }
    const scores = data.columns.map((c) => `${c.title.toLowerCase()} ${figure(row.values[c.key], c.digits)}`);
    if (row.tricks.length > 0) scores.push(`held down: ${row.tricks.map(spaced).join(", ")}`);
    if (row.reason) scores.push(row.reason);
    return [...turns, reply, element("p", "scores", scores.join(" · "))];
  }

  function turn(role, said) {
    const made = element("p", role === "seeker" ? "seeker" : "seeker supporter");
    made.append(element("b", "", role === "seeker" ? "Seeker " : "Supporter "), said);
    return made;
  }

  for (const head of table.tHead.rows[0].cells) {
    head.firstElementChild.addEventListener("click", () => {
      const again = order.column === head.dataset.column;
      order = { column: head.dataset.column, down: again && !order.down };
      update();
    });
  }
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update));
  later.addEventListener("click", () => {
    limit += PAGE;
    body.append(...shown.slice(limit - PAGE, limit).map(rowOf));
    later.hidden = shown.length <= limit;
  });
  update();
})();
