// The chat page. What people and models wrote enters the page as text (textContent), never as HTML.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const begin = $("begin"), composer = $("composer"), onward = $("onward");
  const turns = $("turns"), state = $("state"), emotions = $("emotions"), actions = $("actions");
  const { element, spaced, figure } = drawing;
  let tactics = [], talk = null;

  async function ask(address, body) {
    const options = { method: "POST", headers: { "content-type": "application/json" } };
    const sent = body === undefined ? {} : { ...options, body: JSON.stringify(body) };
    const answer = await fetch(address, sent);
    const text = await answer.text();
    if (!answer.ok) throw new Error(text.trim() || `status ${answer.status}`);
    return text;
  }
  const act = (name, body) => ask(`/conversations/${talk.name}/${name}`, body ?? {});
  function failed(error) {
    state.textContent = error.message;
    state.className = "error";
  }
  function tell(said) {
    state.textContent = said;
    state.className = "muted";
  }

  // --- beginning ---------------------------------------------------------------------------
  function fill(select, entries, chosen) {
    select.replaceChildren(
      ...entries.map(([value, title]) => {
        const option = element("option", "", title);
        option.value = value;
        option.selected = value === chosen;
        return option;
      }),
    );
  }
  function shorten(said, length) {
    return said.length > length ? `${said.slice(0, length - 1)}…` : said;
  }
  const WHO = { you: "You", rule: "Rule seeker", served: "Language model" };

  async function offer() {
    const facts = JSON.parse(await ask("/facts"));
    tactics = facts.tactics;
    const models = facts.models.map((name, number) => [String(number), name]);
    fill(begin.elements.left, models, "0");
    fill(begin.elements.right, [["", "none"], ...models], facts.models.length > 1 ? "1" : "");
    fill(begin.elements.seeker, facts.seekers.map((name) => [name, WHO[name]]), facts.usual.seeker);
    const people = facts.persons.map((one) => [
      one.id,
      `${shorten(one.about, 70)} (hopes for: ${spaced(one.hopes)})`,
    ]);
    fill(begin.elements.person, people, facts.usual.person);
    fill(begin.elements.preset, facts.presets.map((name) => [name, spaced(name)]), facts.usual.preset);
    begin.elements.blind.checked = facts.usual.blind;
    begin.querySelector('[data-for="pair"]').hidden = facts.models.length < 2;
    suit();
  }
  function suit() {
    for (const label of begin.querySelectorAll('[data-for="simulated"]')) {
      label.hidden = begin.elements.seeker.value === "you";
    }
    begin.querySelector('[data-for="blind"]').hidden = begin.elements.right.value === "";
  }
  begin.addEventListener("change", suit);
  begin.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { left, right, blind, seeker, person, preset } = begin.elements;
    const models = [left.value, right.value].filter((value) => value !== "").map(Number);
    const asked = { models, blind: blind.checked && models.length > 1, seeker: seeker.value };
    if (seeker.value !== "you") Object.assign(asked, { person: person.value, preset: preset.value });
    try {
      const { name } = JSON.parse(await ask("/conversations", asked));
      sessionStorage.setItem("conversation", name); // for when the page is loaded again
      open(name);
    } catch (error) {
      failed(error);
    }
  });

  // --- a conversation ----------------------------------------------------------------------
  function open(name) {
    if (talk) talk.source.close();
    turns.replaceChildren();
    emotions.replaceChildren();
    $("copied").hidden = true;
    talk = { name, names: [], you: true, live: new Set(), turns: new Map(), traces: [], danger: false };
    talk.source = new EventSource(`/conversations/${name}/events`);
    talk.source.addEventListener("told", (event) => {
      const told = JSON.parse(event.data);
      if (told.kind in TELLS) TELLS[told.kind](told);
    });
    talk.source.addEventListener("error", () => {
      const over = talk.source.readyState === EventSource.CLOSED;
      if (over && !talk.names.length) sessionStorage.removeItem("conversation");
      tell(over ? "This conversation is no longer there." : "The connection is lost; trying again.");
    });
  }

  function turnOf(number) {
    if (!talk.turns.has(number)) {
      const made = drawing.turn(number, talk.names);
      turns.append(made.row);
      talk.turns.set(number, made);
    }
    return talk.turns.get(number);
  }

  function message(told) {
    const line = element("p", "seeker");
    line.append(element("b", "", talk.you ? "You" : "Seeker"), ` ${told.text}`);
    return line;
  }

  const TELLS = {
    opened(told) {
      Object.assign(talk, { names: told.names, you: told.you, live: new Set(told.names.keys()) });
      talk.traces = told.names.map(() => []);
      composer.hidden = !told.you;
      onward.hidden = told.you;
      actions.hidden = false;
      for (const button of actions.querySelectorAll("[data-side]")) {
        button.hidden = Number(button.dataset.side) >= told.names.length;
      }
      naming(told.hidden);
    },
    danger(told) {
      const { help } = turnOf(told.turn);
      if (!help.childElementCount) help.append($("danger").content.cloneNode(true));
    },
    seeker(told) {
      trace(told);
      if (!told.text && !told.ended) return;
      const turn = turnOf(told.turn);
      // What you say goes to both; a simulated seeker answers each model for itself.
      if (talk.you) {
        if (!turn.said.childElementCount) turn.said.append(message(told));
      } else {
        const felt = `emotion ${figure(told.emotion, 1)} (${told.change >= 0 ? "+" : ""}${figure(told.change, 1)})`;
        turn.columns[told.side].heard.append(message(told));
        const why = told.turn ? `${felt}: ${told.reason}` : felt;
        turn.columns[told.side].heard.append(element("p", "small muted", why));
      }
    },
    growing(told) {
      const { reply } = turnOf(told.turn).columns[told.side];
      if (reply.dataset.whole) return;
      reply.setAttribute("aria-busy", "true");
      reply.textContent = told.text || "…";
    },
    reply(told) {
      const turn = turnOf(told.turn);
      const { reply, more } = turn.columns[told.side];
      reply.dataset.whole = "yes";
      reply.removeAttribute("aria-busy");
      reply.textContent = told.text || `(no visible reply: ${spaced(told.status)})`;
      if (!told.text) reply.classList.add("empty");
      turn.columns[told.side].tokens = `${told.tokens} tokens${told.cut ? ", cut at the limit" : ""}`;
      turn.columns[told.side].scores.textContent = turn.columns[told.side].tokens;
      if (told.thought) {
        const details = element("details", "more");
        details.append(element("summary", "", "As generated, with thoughts"), element("p", "reply", told.thought));
        more.append(details);
      }
      turn.replies += 1;
      if (turn.replies === 2) turn.row.append(drawing.vote(told.turn, vote));
    },
    grades(told) {
      drawing.grades(turnOf(told.turn).columns[told.side], told, tactics);
    },
    waiting(told) {
      if (!told.all) return;
      busy(false);
      tell(talk.you ? "Your turn." : "The models wait for you to go on.");
      if (talk.you) $("message").focus({ preventScroll: false });
      else if (onward.elements.play.checked) go();
      else onward.querySelector("button").focus();
    },
    vote(told) {
      const turn = turnOf(told.turn);
      for (const input of turn.row.querySelectorAll("fieldset input")) {
        input.checked = input.value === told.choice;
      }
    },
    names(told) {
      talk.names = told.names;
      for (const { columns } of talk.turns.values()) {
        columns.forEach((column, place) => { column.title.textContent = told.names[place]; });
      }
      naming(false);
    },
    over(told) {
      talk.live.delete(told.side);
      const why = told.lost ? `ended without a result (${told.lost})` : `is over: ${spaced(told.ended)}`;
      const name = talk.names.length > 1 ? `The conversation with ${talk.names[told.side]}` : "The conversation";
      turns.append(element("p", told.lost ? "error" : "missing", `${name} ${why}.`));
      if (talk.live.size) return;
      composer.hidden = onward.hidden = true;
      tell("The conversation is over. It can still be voted on, saved and copied.");
    },
  };

  function naming(hidden) {
    actions.querySelector('[data-do="reveal"]').hidden = !hidden;
    for (const button of actions.querySelectorAll("[data-side]")) {
      const of = talk.names.length > 1 ? ` (${talk.names[button.dataset.side]})` : "";
      button.textContent = `Copy as training data${of}`;
    }
  }

  // --- emotions ----------------------------------------------------------------------------
  function trace(told) {
    const values = talk.traces[told.side];
    values.push(told.emotion);
    if (talk.you && values.every((value) => value === values[0])) return;
    const several = talk.names.length > 1;
    const boxes = talk.names.map((name, side) =>
      talk.traces[side].length ? drawing.trace(several ? name : "", talk.traces[side]) : "",
    );
    emotions.replaceChildren(...boxes);
  }
  // --- what one does -----------------------------------------------------------------------
  async function vote(turn, choice, noted) {
    try {
      const { file } = JSON.parse(await act("vote", { turn, choice }));
      noted.textContent = `noted in ${file}`;
    } catch (error) {
      failed(error);
    }
  }
  function busy(is) {
    for (const form of [composer, onward]) form.querySelector("button").disabled = is;
    if (is) tell("The models are answering.");
  }
  async function go() {
    busy(true);
    try {
      await act("next");
    } catch (error) {
      busy(false);
      failed(error);
    }
  }
  onward.addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
  composer.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = composer.elements.text.value;
    if (!text.trim()) return;
    busy(true);
    try {
      await act("say", { text });
      composer.elements.text.value = "";
    } catch (error) {
      busy(false);
      failed(error);
    }
  });
  composer.elements.text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!composer.querySelector("button").disabled) composer.requestSubmit();
  });
  actions.addEventListener("click", async (event) => {
    const { do: what, side } = event.target.dataset;
    if (!what) return;
    try {
      if (what === "copy") await copy(await ask(`/conversations/${talk.name}/record/${side}`));
      else {
        const { file } = JSON.parse(await act(what));
        if (file) tell(`Saved to ${file}.`);
      }
    } catch (error) {
      failed(error);
    }
  });
  async function copy(text) {
    const box = $("copied");
    box.hidden = false;
    box.querySelector("textarea").value = text;
    try {
      await navigator.clipboard.writeText(text);
      tell("Copied: a record that mint prepare reads.");
    } catch {
      box.querySelector("textarea").select();
      tell("Copy it from the box below.");
    }
  }

  offer()
    .then(() => {
      const name = sessionStorage.getItem("conversation");
      if (name) open(name);
    })
    .catch(failed);
})();
