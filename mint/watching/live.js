// Keeps a page current: the server says which parts have changed, and only these are replaced.
// What a reader has opened, typed, scrolled or focused stays as it is.
"use strict";
(() => {
  const live = document.getElementById("live");
  const said = document.getElementById("live-said");
  let skew = Number(live.dataset.now) - Date.now() / 1000;

  function holderOf(name) {
    if (name === "header" || name === "nav") return document.querySelector(`body > ${name}`);
    return document.querySelector(`[data-part="${CSS.escape(name)}"]`);
  }

  // A part that was not there before stands where the server sends it: after the one before it.
  let previous = null;
  function place(name) {
    const known = holderOf(name);
    if (known) return known;
    const made = document.createElement("div");
    made.dataset.part = name;
    if (previous && previous.parentNode.tagName === "MAIN") previous.after(made);
    else document.querySelector("main").append(made);
    return made;
  }

  const summaries = (holder) => [...holder.querySelectorAll("details")];
  const nameOf = (details) => details.querySelector("summary")?.textContent ?? "";
  const scrolled = (holder) => [...holder.querySelectorAll(".scroll, nav > div")];
  const reachable = (holder) =>
    [...holder.querySelectorAll("a[href], button, input, select, summary, [tabindex]")];

  function stateOf(holder) {
    return {
      open: summaries(holder).filter((one) => one.open).map(nameOf),
      scrolls: scrolled(holder).map((one) => [one.scrollLeft, one.scrollTop]),
      forms: [...holder.querySelectorAll("form")].map((form) => [...form.elements].map((e) => e.value)),
      focus: reachable(holder).indexOf(document.activeElement),
      entries: [...holder.querySelectorAll("button.open[aria-expanded=true]")].map((b) => b.textContent),
    };
  }

  function restore(holder, state) {
    for (const one of summaries(holder)) one.open = one.open || state.open.includes(nameOf(one));
    [...holder.querySelectorAll("form")].forEach((form, i) => {
      const values = state.forms[i];
      if (!values || values.length !== form.elements.length) return;
      values.forEach((value, k) => {
        if (form.elements[k].tagName !== "BUTTON") form.elements[k].value = value;
      });
      form.dispatchEvent(new Event("input", { bubbles: true }));
    });
    for (const button of holder.querySelectorAll("button.open[aria-expanded=false]")) {
      if (state.entries.includes(button.textContent)) button.click();
    }
    scrolled(holder).forEach((one, i) => {
      if (state.scrolls[i]) [one.scrollLeft, one.scrollTop] = state.scrolls[i];
    });
    if (state.focus >= 0) reachable(holder)[state.focus]?.focus({ preventScroll: true });
  }

  // Scripts that come with a part do not run by themselves; the page's policy knows their content.
  function runScripts(holder) {
    for (const old of holder.querySelectorAll("script:not([type])")) {
      const made = document.createElement("script");
      made.textContent = old.textContent;
      old.replaceWith(made);
    }
  }

  function replace(name, html) {
    const holder = place(name);
    const state = stateOf(holder);
    holder.innerHTML = html;
    runScripts(holder);
    restore(holder, state);
    tick(holder);
    previous = holder;
  }

  function spanOf(seconds) {
    if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
    return `${(seconds / 86400).toFixed(1)} days`;
  }

  function tick(holder) {
    const now = Date.now() / 1000 + skew;
    for (const time of holder.querySelectorAll("time[data-since]")) {
      const since = Number(time.dataset.since);
      const clock = new Date(since * 1000).toLocaleTimeString("en-GB");
      time.textContent = `${clock} (${spanOf(now - since)} ago)`;
      time.title = new Date(since * 1000).toISOString();
    }
  }

  const source = new EventSource(`events?seen=${encodeURIComponent(live.dataset.seen)}`);
  source.addEventListener("part", (event) => {
    const { part, html, now } = JSON.parse(event.data);
    skew = now - Date.now() / 1000;
    replace(part, html);
  });
  source.addEventListener("open", () => {
    said.textContent = "Live: changes appear by themselves.";
    live.classList.remove("lost");
  });
  source.addEventListener("error", () => {
    said.textContent =
      "Not live: the server does not answer. What is shown is the last state; it is tried again.";
    live.classList.add("lost");
  });
  setInterval(() => tick(document), 1000);
  tick(document);
})();
