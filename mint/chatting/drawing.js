// How the chat page draws replies with their grades, and emotions. What people and models wrote enters
// the page as text (textContent), never as HTML.
"use strict";
const drawing = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function element(tag, kind, said) {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (said !== undefined) made.textContent = said;
    return made;
  }
  const spaced = (name) => name.replaceAll("_", " ");
  const figure = (value, digits) => value.toFixed(digits).replace("-", "−");

  function tagOf(name, tactics) {
    const index = tactics.indexOf(name);
    return element("i", index < 0 ? "tag none" : `tag t${index}`, spaced(name));
  }

  // A graded reply in its column.
  function grades(column, told, tactics) {
    if (told.sentences) {
      column.reply.replaceChildren();
      for (const { sentence, tactics: names } of told.sentences) {
        const unit = column.reply.appendChild(element("span", "unit"));
        const index = tactics.indexOf(names[0]);
        unit.append(element("span", index < 0 ? "" : `s t${index}`, sentence), ...names.map((name) => tagOf(name, tactics)));
        column.reply.append(" ");
      }
    }
    const scores = [];
    const { rating } = told;
    if (rating && "value" in rating) scores.push(`reward model ${figure(rating.value, 2)}`);
    else if (rating) scores.push(`empathy ${figure(rating.aggregate, 2)} of 5`);
    if (told.novelty !== null) scores.push(`novelty ${figure(told.novelty, 2)} nats`);
    else if (!told.failures.novelty) scores.push("first reply, nothing to be new against");
    column.scores.textContent = [...scores, column.tokens].join(" · ");
    for (const trick of rating?.tricks ?? []) {
      column.scores.append(" ", element("span", "chip worse", `held down: ${spaced(trick)}`));
    }
    if (told.label_leak) column.scores.append(" ", element("span", "chip worse", "names its tactics"));
    for (const [name, why] of Object.entries(told.failures)) {
      column.scores.append(" ", element("span", "chip worse wrap", `${name} failed: ${why}`));
    }
    if (rating?.dimensions) column.more.append(ratings(rating, told.variety));
  }

  function ratings(rating, variety) {
    const details = element("details", "more");
    details.append(element("summary", "", "All ratings"));
    const list = details.appendChild(element("dl", "facts"));
    const rows = { ...rating.dimensions, ...rating.parts };
    if (variety !== null) rows["variety of tactics, nats"] = variety;
    for (const [name, value] of Object.entries(rows)) {
      const row = list.appendChild(element("div"));
      row.append(element("dt", "", spaced(name)), element("dd", "", figure(value, 2)));
    }
    return details;
  }

  // The emotion of one side, turn by turn; `name` is "" where there is one side.
  function trace(name, values) {
    const box = element("figure", "card figure");
    const told = values.map((value) => figure(value, 0)).join(", ");
    box.append(element("h4", "", `Emotion${name ? ` with ${name}` : ""}: ${told}`));
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 300 70");
    svg.setAttribute("class", "chart");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `Emotion from 0 to 100, turn by turn: ${told}`);
    const x = (turn) => 6 + (288 * turn) / Math.max(8, values.length - 1);
    const y = (value) => 64 - 0.58 * value;
    const shape = (kind, path) => {
      const made = document.createElementNS(SVG, "path");
      made.setAttribute("class", kind);
      made.setAttribute("d", path);
      svg.append(made);
    };
    for (const level of [0, 50, 100]) shape("base", `M6 ${y(level)}H294`);
    shape("line c0", `M${values.map((value, turn) => `${x(turn)} ${y(value)}`).join("L")}`);
    values.forEach((value, turn) => shape("point c0", `M${x(turn) - 3} ${y(value)}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0`));
    box.append(svg);
    return box;
  }

  // One row a turn: help, what the person says, the replies side by side; a vote may come below.
  function turn(number, names) {
    const row = element("article", "card pair");
    row.setAttribute("aria-label", `Turn ${number + 1}`);
    const help = row.appendChild(element("div"));
    const said = row.appendChild(element("div"));
    const sides = row.appendChild(element("div", "sides"));
    const columns = names.map((name, place) => {
      const column = sides.appendChild(element("div", `side ${place ? "after" : ""}`));
      return {
        title: column.appendChild(element("h4", "", name)),
        heard: column.appendChild(element("div")),
        reply: column.appendChild(element("p", "reply")),
        scores: column.appendChild(element("p", "scores")),
        more: column.appendChild(element("div")),
      };
    });
    return { row, help, said, columns, replies: 0 };
  }

  // `chosen(turn, choice, where to say that it is noted)` is called for each choice.
  function vote(number, chosen) {
    const field = element("fieldset", "vote");
    field.append(element("legend", "", "Which reply is better?"));
    for (const [choice, title] of [["left", "Left"], ["tie", "Neither"], ["right", "Right"]]) {
      const label = element("label");
      const input = label.appendChild(element("input"));
      Object.assign(input, { type: "radio", name: `vote-${number}`, value: choice });
      label.append(` ${title}`);
      field.append(label);
    }
    const noted = field.appendChild(element("span", "small muted"));
    field.addEventListener("change", (event) => chosen(number, event.target.value, noted));
    return field;
  }

  return { element, spaced, figure, grades, trace, turn, vote };
})();
